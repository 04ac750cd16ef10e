"""Test cases: event, initial data, expected outcome, and results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from ckfunc.base.secrets import Secret
from ckfunc.model.fault import Fault
from ckfunc.model.function import ApiCall, ConsoleLine, Status
from ckfunc.model.job import Seed

DEFAULT_NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
"""The default time of a handler's clock: just before the message of the sample events."""


@dataclass(frozen=True, slots=True)
class ExpectedValue:
    """An expected JSON value. With `subset`, mappings may have more keys."""

    value: Any
    subset: bool = False


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that a handler must make. None matches anything."""

    method: str | None = None
    path: str | None = None
    body: ExpectedValue | None = None
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.method or 'any method'} {self.path or 'any path'}"


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected outcome of a case. None is not checked; `calls` () with `other_calls` false expects no calls."""

    status: Status = Status.SUCCEEDED
    result: ExpectedValue | None = None
    error: str | None = None
    error_matches: str | None = None
    console: tuple[str, ...] = ()
    calls: tuple[ExpectedCall, ...] | None = None
    other_calls: bool = True


@dataclass(frozen=True, slots=True)
class Case:
    """A test case. `file` is relative to the project, with forward slashes; `line` is where the case begins.

    `skip` is the reason for skipping the case ("" without a reason), or None for a case that runs. `now` is the time of
    the handler's clock. Without `network`, the handler can only reach the platform.
    """

    file: str
    line: int
    name: str
    type: str
    event: Mapping[str, Any]
    seed: Seed
    expect: Expectation
    environment: Mapping[str, Secret] = field(default_factory=dict)
    now: datetime = DEFAULT_NOW
    network: bool = False
    skip: str | None = None
    only: bool = False
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseRun:
    """The result of a run. `error` is the error message, None after a success. `stack` refers to the user's files."""

    status: Status
    payload: Any = None
    error_name: str = ""
    error: str | None = None
    stack: str = ""
    console: tuple[ConsoleLine, ...] = ()
    calls: tuple[ApiCall, ...] = ()
    duration_ms: float = 0.0


class CaseOutcome(StrEnum):
    """The outcome of a case. BROKEN: it could not run. LEFT_OUT: it did not run, because another case has `only`."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    SKIPPED = "skipped"
    LEFT_OUT = "left out"


@dataclass(frozen=True, slots=True)
class Miss:
    """An expectation that was not met. `expected` and `actual` are texts to compare line by line, if there are any."""

    what: str
    message: str
    expected: str | None = None
    actual: str | None = None


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and its outcome. `observed` is None for a case that did not run."""

    case: Case
    verdict: CaseOutcome
    misses: tuple[Miss, ...] = ()
    observed: CaseRun | None = None

    @property
    def bad(self) -> bool:
        """Whether the case makes the whole test run fail."""
        return self.verdict in (CaseOutcome.FAILED, CaseOutcome.BROKEN)


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of cases by outcome. `failed` includes those that could not run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    left_out: int = 0

    @property
    def ran(self) -> int:
        """The number of cases that ran."""
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
    """Return the number of cases by outcome."""
    verdicts = [result.verdict for result in results]
    return Tally(
        passed=verdicts.count(CaseOutcome.PASSED),
        failed=verdicts.count(CaseOutcome.FAILED) + verdicts.count(CaseOutcome.BROKEN),
        skipped=verdicts.count(CaseOutcome.SKIPPED),
        left_out=verdicts.count(CaseOutcome.LEFT_OUT),
    )
