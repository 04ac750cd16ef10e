"""Failure rate of a new version, compared with earlier runs.

The rule: once `min_runs` runs of the new version have ended, and after each further one, at most

    runs * (max_failures + earlier failure rate), rounded up

of them may have failed. The earlier failure rate is the share of failures in the function's last EARLIER_RUNS runs of
older versions, including runs that end during the watch; without such runs it is 0. The arithmetic is exact, so the
result can be computed by hand.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from ckfunc.base.clock import timestamp
from ckfunc.base.text import printable
from ckfunc.model.application import Invocation, Status
from ckfunc.model.project import WatchPolicy

if TYPE_CHECKING:
    from ckfunc.model.outputs import WatchedVersionJson

EARLIER_RUNS = 100
"""How many runs of older versions the earlier failure rate covers, at most."""
MOST_EXAMPLES = 3
"""How many failed runs of each function are reported."""


class FunctionVerdict(StrEnum):
    """The judgement of a new version. REPLACED: someone else has deployed a newer version, so it is not judged."""

    GOOD = "good"
    TOO_FEW_RUNS = "too_few_runs"
    TOO_MANY_FAILURES = "too_many_failures"
    REPLACED = "replaced"


@dataclass(slots=True)
class VersionRuns:
    """The runs of a function's new version so far, and the earlier ones. `first_failed` are the first failed runs.

    `earlier` says of each earlier run whether it failed. `replaced_by` is the number of a newer version that ran.
    """

    type: str
    former: int
    version: int
    policy: WatchPolicy
    runs: int = 0
    failed: int = 0
    breached: bool = False
    replaced_by: int | None = None
    earlier: deque[bool] = field(default_factory=lambda: deque(maxlen=EARLIER_RUNS))
    first_failed: list[Invocation] = field(default_factory=list)

    def add(self, run: Invocation) -> None:
        """Count a run that has ended, and judge the version. Runs after a breach are not counted."""
        if run.version_number > self.version:
            self.replaced_by = run.version_number
        if run.status is Status.RUNNING or self.verdict in (
            FunctionVerdict.TOO_MANY_FAILURES,
            FunctionVerdict.REPLACED,
        ):
            return
        failed = run.status is Status.FAILED
        if run.version_number < self.version:
            self.earlier.append(failed)
            return
        self.runs += 1
        self.failed += failed
        if failed and len(self.first_failed) < MOST_EXAMPLES:
            self.first_failed.append(run)
        self.breached = self.runs >= self.policy.min_runs and self.failed > self.allowed

    @property
    def earlier_failed(self) -> int:
        """How many of the earlier runs failed."""
        return sum(self.earlier)

    @property
    def allowed(self) -> int:
        """How many of the runs so far may have failed."""
        earlier = Fraction(self.earlier_failed, len(self.earlier)) if self.earlier else Fraction(0)
        return math.ceil(self.runs * (self.policy.max_failures + earlier))

    @property
    def verdict(self) -> FunctionVerdict:
        """The judgement by the runs so far."""
        if self.breached:
            return FunctionVerdict.TOO_MANY_FAILURES
        if self.replaced_by is not None:
            return FunctionVerdict.REPLACED
        return FunctionVerdict.GOOD if self.runs >= self.policy.min_runs else FunctionVerdict.TOO_FEW_RUNS

    def to_json(self) -> WatchedVersionJson:
        """Return the runs for `--json`."""
        return {
            "type": printable(self.type),
            "version": self.version,
            "former_version": self.former,
            "verdict": self.verdict.value,
            "runs": self.runs,
            "failed": self.failed,
            "allowed": self.allowed,
            "earlier_runs": len(self.earlier),
            "earlier_failed": self.earlier_failed,
            "first_failed": [
                {"id": run.id, "createdTime": timestamp(run.created_time), "error": run.result.get("error")}
                for run in self.first_failed
            ],
        }
