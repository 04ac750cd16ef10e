"""Test cases: the event, the data it meets, the expected outcome, and results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ckfunc.model.function import ApiCall, ConsoleLine, Status
from ckfunc.model.job import Seed

DEFAULT_NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
"""What a handler's clock shows unless a case says otherwise: just before the message of the sample events."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A JSON value that is expected; with `subset`, mappings may hold more."""

    value: Any
    subset: bool = False


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that a handler must make; what is None may be anything."""

    method: str | None = None
    path: str | None = None
    body: Wanted | None = None
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.method or 'any method'} {self.path or 'any path'}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must come of a case. None is not looked at; `calls` () with `other_calls` false means that none is made."""

    status: Status = Status.SUCCEEDED
    result: Wanted | None = None
    error: str | None = None
    error_matches: str | None = None
    console: tuple[str, ...] = ()
    calls: tuple[ExpectedCall, ...] | None = None
    other_calls: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """One case. `file` is relative to the project, with forward slashes; `line` is where the case begins.

    `skip` is why it is not run ("" without a reason), None for one that is. `now` is what the handler's clock shows;
    without `network` it reaches the platform alone.
    """

    file: str
    line: int
    name: str
    type: str
    event: Mapping[str, Any]
    seed: Seed
    expect: Expectation
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    now: datetime = DEFAULT_NOW
    network: bool = False
    skip: str | None = None
    only: bool = False


@dataclass(frozen=True, slots=True)
class CaseRun:
    """What came of a run. `error` is its message, None when it succeeded; `stack` shows the user's own files."""

    status: Status
    payload: Any = None
    error_name: str = ""
    error: str | None = None
    stack: str = ""
    console: tuple[ConsoleLine, ...] = ()
    calls: tuple[ApiCall, ...] = ()
    duration_ms: float = 0.0


class Outcome(StrEnum):
    """What is said of a case. `BROKEN` could not be tried; `LEFT_OUT` was not, for another has `only`."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    SKIPPED = "skipped"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Miss:
    """One expectation that was not met. `expected` and `actual` are texts to be compared line by line, if any."""

    what: str
    message: str
    expected: str | None = None
    actual: str | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and what came of it; `observed` is None for one that was not run."""

    case: Case
    verdict: Outcome
    misses: tuple[Miss, ...] = ()
    observed: CaseRun | None = None

    @property
    def bad(self) -> bool:
        """Whether it makes the whole run fail."""
        return self.verdict in (Outcome.FAILED, Outcome.BROKEN)


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


def tally(results: Iterable[CaseResult]) -> Tally:
    """Return how many cases had which end."""
    verdicts = [one.verdict for one in results]
    return Tally(
        passed=verdicts.count(Outcome.PASSED),
        failed=verdicts.count(Outcome.FAILED) + verdicts.count(Outcome.BROKEN),
        skipped=verdicts.count(Outcome.SKIPPED),
        left_out=verdicts.count(Outcome.LEFT_OUT),
    )
