"""The polling interval while following: short during activity, longer when idle."""

from __future__ import annotations

from dataclasses import dataclass

_SLOWING = 1.3
_FIRST_BACKOFF_S = 1.0
_LONGEST_BACKOFF_S = 30.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two rounds while something happens and while nothing does, and between looks for new functions.

    `per_function_s` stretches the rounds of applications with many functions, so that requests stay rare enough.
    """

    quick_s: float
    idle_s: float
    functions_s: float
    per_function_s: float

    def next_s(self, last_s: float, *, active: bool, functions: int) -> float:
        """Return how long to wait after a round that followed a wait of `last_s`."""
        least_s = max(self.quick_s, self.per_function_s * functions)
        return least_s if active else max(min(last_s * _SLOWING, self.idle_s), least_s)


LOOPBACK = Pace(quick_s=0.1, idle_s=0.4, functions_s=2.0, per_function_s=0.005)
REMOTE = Pace(quick_s=1.0, idle_s=3.0, functions_s=15.0, per_function_s=0.05)


def backoff_s(failed: int) -> float:
    """Return how long to wait after the `failed`-th round in a row (from 1) that failed."""
    return min(_FIRST_BACKOFF_S * 2.0 ** min(failed - 1, 10), _LONGEST_BACKOFF_S)
