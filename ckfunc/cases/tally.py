"""How a run of many cases went as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ckfunc.cases.case import Result, Verdict


@dataclass(frozen=True, slots=True)
class Tally:
    """How many cases had which end. `failed` counts those that could not be tried too."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    left_out: int = 0

    @property
    def ran(self) -> int:
        """How many were tried."""
        return self.passed + self.failed

    def __str__(self) -> str:
        counts = (
            (self.passed, "passed"),
            (self.failed, "failed"),
            (self.skipped, "skipped"),
            (self.left_out, "left out by `only`"),
        )
        return ", ".join(f"{count} {word}" for count, word in counts if count) or "no cases"


def tally(results: Iterable[Result]) -> Tally:
    """Return how many cases had which end."""
    verdicts = [one.verdict for one in results]
    return Tally(
        passed=verdicts.count(Verdict.PASSED),
        failed=verdicts.count(Verdict.FAILED) + verdicts.count(Verdict.BROKEN),
        skipped=verdicts.count(Verdict.SKIPPED),
        left_out=verdicts.count(Verdict.LEFT_OUT),
    )
