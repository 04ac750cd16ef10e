"""Policy of a watched deploy: its duration, and the allowed failures.

The texts of functions.yaml and of the command line have the same syntax: "10m", "2%", "20".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from ckfunc.base.clock import duration_s

WATCH_FOR = r"(?:[1-9][0-9]{0,4}[smh])+"
"""Regular expression for a duration such as `90s`, `10m` or `1h30m`."""
MAX_FAILURES = r"(?:100|[0-9]{1,2}(?:\.[0-9]{1,3})?)%"
"""Regular expression for a percentage such as `2%` or `0.5%`."""
MOST_MIN_RUNS = 1_000_000


@dataclass(frozen=True, slots=True)
class WatchPolicy:
    """How long to watch a deploy (0: not at all), and when to revert it.

    `max_failures` is the share of runs, from 0 to 1, that may fail in addition to the earlier failure rate. A function
    is judged once `min_runs` runs of its new version have ended.
    """

    watch_for_s: float = 0.0
    max_failures: Fraction = Fraction(2, 100)
    min_runs: int = 20

    def with_texts(self, watch_for: str | None, max_failures: str | None, min_runs: int | None) -> WatchPolicy:
        """Return the policy with other values, in texts that match WATCH_FOR and MAX_FAILURES; None changes nothing."""
        return WatchPolicy(
            self.watch_for_s if watch_for is None else duration_s(watch_for) or 0.0,
            self.max_failures if max_failures is None else Fraction(max_failures.removesuffix("%")) / 100,
            self.min_runs if min_runs is None else min_runs,
        )


def percent(share: Fraction) -> str:
    """Return a share of 1 as a percentage, with at most three decimals."""
    return f"{round(float(share * 100), 3):g}%"


def duration_text(seconds: float) -> str:
    """Return a duration in the syntax of WATCH_FOR, rounded up to seconds: "1h30m"; "0s" for none."""
    left = max(math.ceil(seconds), 0)
    parts = ((left // 3600, "h"), (left % 3600 // 60, "m"), (left % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
