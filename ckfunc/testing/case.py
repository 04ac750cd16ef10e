"""Test cases: event or conversation, initial data, expected outcome, results, and shards."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from enum import StrEnum
from math import fsum
from typing import Any, TypeAlias

from ckfunc.base.errors import UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.model.application import ApiCall, ConsoleLine, Status
from ckfunc.model.fault import Fault
from ckfunc.model.job import Seed
from ckfunc.sandbox.acts import Act, Consequences

CaseKey: TypeAlias = tuple[str, str]
"""The file and the name of a case, which identify it on every machine."""

CONVERSATION = "conversation"
"""The type of a case with a conversation instead of an event."""

DEFAULT_NOW = datetime(2026, 1, 15, 9, 30, tzinfo=UTC)
"""The default time of a handler's clock: just before the message of the sample events."""

MOST_SHARDS = 1000
_SET_UP_S = 0.1
"""What a case takes besides its functions: its data and its process."""


@frozen
class ExpectedValue:
    """An expected JSON value. With `subset`, mappings may have more keys."""

    value: Any
    subset: bool = False


@frozen
class ExpectedCall:
    """A call that a handler must make. None matches anything."""

    method: str | None = None
    path: str | None = None
    body: ExpectedValue | None = None
    status: int | None = None

    def __str__(self) -> str:
        return f"{self.method or 'any method'} {self.path or 'any path'}"


@frozen
class Expectation:
    """The expected outcome of a case. None is not checked; `calls` () with `other_calls` false expects no calls."""

    status: Status = Status.SUCCEEDED
    result: ExpectedValue | None = None
    error: str | None = None
    error_matches: str | None = None
    console: tuple[str, ...] = ()
    calls: tuple[ExpectedCall, ...] | None = None
    other_calls: bool = True


@frozen
class ExpectedText:
    """An expected text: all of it, a part of it, and a regular expression that matches a part. None is not checked."""

    exact: str | None = None
    part: str | None = None
    pattern: str | None = None


@frozen
class ExpectedMessage:
    """A message that a step must create, change or delete. None matches anything."""

    user: str | None = None
    system: bool | None = None
    channel: str | None = None
    body: ExpectedText = ExpectedText()
    file: str | None = None
    properties: ExpectedValue | None = None
    changed: bool | None = None
    deleted: bool = False


@frozen
class ExpectedNotification:
    """A notification that a user must receive. None matches anything."""

    user: str | None = None
    channel: str | None = None
    title: ExpectedText = ExpectedText()
    body: ExpectedText = ExpectedText()


@frozen
class ExpectedRun:
    """A run of the function of a type, and its expected outcome."""

    type: str
    expect: Expectation


@frozen
class StepExpectation:
    """The expected consequences of a step. None is not checked; an empty list expects none.

    With `refusal`, the platform must refuse the step. Of each list, others may come in between, unless `other_…` is
    false. `online` maps names of users to their presence, `typing` are the names of all users who must be typing.
    """

    refusal: ExpectedText | None = None
    messages: tuple[ExpectedMessage, ...] | None = None
    other_messages: bool = True
    functions: tuple[ExpectedRun, ...] | None = None
    other_functions: bool = True
    notifications: tuple[ExpectedNotification, ...] | None = None
    other_notifications: bool = True
    online: Mapping[str, bool] = field(default_factory=dict)
    typing: tuple[str, ...] | None = None


@frozen
class Step:
    """A step of a conversation: an act and its expected consequences. `line` is where it begins in the file."""

    line: int
    act: Act
    expect: StepExpectation = StepExpectation()


@frozen
class Case:
    """A test case. `file` is relative to the project, with forward slashes; `line` is where the case begins.

    A case is an event for the function of a type, or a conversation in `steps`, whose type is CONVERSATION. `skip` is
    the reason for skipping the case ("" without a reason), or None for a case that runs. `now` is the time of the
    handler's clock. Without `network`, handlers can only reach the platform.
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
    steps: tuple[Step, ...] = ()

    @property
    def key(self) -> CaseKey:
        """What identifies the case on every machine."""
        return self.file, self.name


@frozen
class CaseRun:
    """The result of a run. `error` is the error message, None after a success. `stack` refers to the user's files.

    For a conversation, `steps` are those that were performed; output and calls are those of all functions. `unmet` are
    the faults of the case that no call has met.
    """

    status: Status
    payload: Any = None
    error_name: str = ""
    error: str | None = None
    stack: str = ""
    console: tuple[ConsoleLine, ...] = ()
    calls: tuple[ApiCall, ...] = ()
    duration_ms: float = 0.0
    steps: tuple[StepRun, ...] = ()
    unmet: tuple[Fault, ...] = ()


@frozen
class StepRun:
    """A step that was performed, and everything that it caused. `runs` are pairs of a type and the run's result."""

    step: Step
    caused: Consequences
    runs: tuple[tuple[str, CaseRun], ...] = ()


class CaseOutcome(StrEnum):
    """The outcome of a case. BROKEN: it could not run. LEFT_OUT: it did not run, because another case has `only`."""

    PASSED = "passed"
    FAILED = "failed"
    BROKEN = "broken"
    SKIPPED = "skipped"
    LEFT_OUT = "left out"


@frozen
class Miss:
    """An expectation that was not met. `expected` and `actual` are texts to compare line by line, if there are any."""

    what: str
    message: str
    expected: str | None = None
    actual: str | None = None


@frozen
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

    @property
    def left_out(self) -> bool:
        """Whether the case did not run because another one has `only`."""
        return self.verdict is CaseOutcome.LEFT_OUT


@frozen
class Tally:
    """The number of cases by outcome. `failed` includes those that could not run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    left_out: int = 0

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """The counts other than 0, as texts with styles."""
        counts = (
            (self.passed, "passed", "success"),
            (self.failed, "failed", "failure"),
            (self.skipped, "skipped", "warning"),
            (self.left_out, "left out by `only`", "warning"),
        )
        return tuple((f"{count} {word}", style) for count, word, style in counts if count)

    def __str__(self) -> str:
        return ", ".join(text for text, _ in self.parts) or "no cases"


def tally(results: Iterable[CaseResult]) -> Tally:
    """Return the number of cases by outcome."""
    verdicts = [result.verdict for result in results]
    return Tally(
        passed=verdicts.count(CaseOutcome.PASSED),
        failed=verdicts.count(CaseOutcome.FAILED) + verdicts.count(CaseOutcome.BROKEN),
        skipped=verdicts.count(CaseOutcome.SKIPPED),
        left_out=verdicts.count(CaseOutcome.LEFT_OUT),
    )


@frozen
class Shard:
    """A part of the cases: the one with this number, from 1, of `total`."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    def of(self, cases: Sequence[Case], durations_s: Mapping[CaseKey, float]) -> tuple[Case, ...]:
        """Return the cases of this shard, in order. Every case is in exactly one shard of the same total.

        The result depends on nothing else: the longest case goes first, each to the shard with the least to do. A case
        without a recorded duration counts as the average of the others.
        """
        average = fsum(durations_s.values()) / len(durations_s) if durations_s else 0.0

        def duration_s(case: Case) -> float:
            return _SET_UP_S + durations_s.get(case.key, average)

        loads = [0.0] * self.total
        chosen: set[CaseKey] = set()
        for case in sorted(cases, key=lambda case: (-duration_s(case), case.key)):
            least = loads.index(min(loads))
            loads[least] += duration_s(case)
            if least == self.number - 1:
                chosen.add(case.key)
        return tuple(case for case in cases if case.key in chosen)


@frozen
class ShardedCases:
    """A shard, and the number of cases in all shards."""

    shard: Shard
    cases: int


def read_shard(text: str) -> Shard:
    """Read a shard such as 2/5. Raises UsageProblem."""
    match = re.fullmatch(r"([1-9][0-9]{0,3})/([1-9][0-9]{0,3})", text)
    if match is None or not int(match[1]) <= int(match[2]) <= MOST_SHARDS:
        raise UsageProblem(
            f"--shard {text!r} is not a part such as 2/4",
            hint=f"the parts of 4 are 1/4, 2/4, 3/4 and 4/4; there can be {MOST_SHARDS} parts",
        )
    return Shard(int(match[1]), int(match[2]))
