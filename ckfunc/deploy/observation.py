"""Watch a deploy, and revert it if too many runs fail.

The rule: once `min_runs` runs of the new version have ended, and after each further one, at most

    runs * (max_failures + earlier failure rate), rounded up

of them may have failed. The earlier failure rate is the share of failures in the function's last EARLIER_RUNS runs of
older versions that were not reverted, including runs that end during the watch; without such runs it is 0. The
arithmetic is exact, so the result can be computed by hand.

The journal of the deploy records how far the watch has come, so that `deploy --resume` continues it after a crash.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ckfunc.base.clock import Clock, timestamp
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.interrupts import EXIT_INTERRUPTED
from ckfunc.base.secrets import Secret
from ckfunc.base.text import printable
from ckfunc.deploy.apply import journal as journals
from ckfunc.deploy.apply import watch_record as records
from ckfunc.deploy.apply.journal import JournalRecord
from ckfunc.deploy.apply.recovery import NothingToUndo, Undo, ValuesNeeded, prepare_undo
from ckfunc.deploy.apply.report import DeployReport, Ending, nothing_done
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import reverted_versions, versions_of
from ckfunc.deploy.run import carry_out_undo
from ckfunc.logs.entries import Gap, LogEntry, Recovered, Trouble
from ckfunc.logs.follow import CheckedClock, follow
from ckfunc.logs.tail import InvocationListing
from ckfunc.model.application import Function, Invocation, Status
from ckfunc.model.project import Target, WatchPolicy, percent

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.model.outputs import ResumedWatchJson, WatchedVersionJson, WatchJson

EARLIER_RUNS = 100
"""How many runs of older versions the earlier failure rate covers, at most."""
MOST_EXAMPLES = 3
"""How many failed runs of each function are reported."""
_PAGE = 100
_MOST_VERSIONS = 100
"""How many older versions are searched for reverted ones."""


class FunctionVerdict(StrEnum):
    """The judgement of a new version. REPLACED: someone else has deployed a newer version, so it is not judged."""

    GOOD = "good"
    TOO_FEW_RUNS = "too_few_runs"
    TOO_MANY_FAILURES = "too_many_failures"
    REPLACED = "replaced"


@dataclass(slots=True)
class VersionRuns:
    """The runs of a function's new version so far, and the earlier ones. `first_failed` are the first failed runs.

    `earlier` says of each earlier run whether it failed. It does not include runs of `reverted` versions, because a
    failed deploy must not make the next one pass. `replaced_by` is the number of a newer version that ran.
    """

    type: str
    former: int
    version: int
    policy: WatchPolicy
    runs: int = 0
    failed: int = 0
    breached: bool = False
    replaced_by: int | None = None
    reverted: frozenset[int] = frozenset()
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
            if run.version_number not in self.reverted:
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


class WatchEnding(StrEnum):
    """How a watch ended. NOT_REVERTED: too many runs failed, but the deploy could not be reverted completely."""

    KEPT = "kept"
    NOT_ENOUGH_RUNS = "not_enough_runs"
    REVERTED = "reverted"
    NOT_REVERTED = "not_reverted"
    INTERRUPTED = "interrupted"
    NOT_WATCHED = "not_watched"


@frozen
class Observation:
    """The result of a watch. `undone` is the report of the undo; None if it was not attempted, or before a crash.

    `problem` is why the deploy was not watched, or not reverted; `notes` are parts that an undo cannot restore.
    """

    policy: WatchPolicy
    ending: WatchEnding
    functions: tuple[VersionRuns, ...] = ()
    undone: DeployReport | None = None
    problem: CkfuncError | None = None
    notes: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code of the command."""
        if self.ending is WatchEnding.INTERRUPTED:
            return EXIT_INTERRUPTED
        return EXIT_OK if self.ending in (WatchEnding.KEPT, WatchEnding.NOT_ENOUGH_RUNS) else EXIT_FAILED

    def to_json(self) -> WatchJson:
        """Return the observation for `--json`."""
        document: WatchJson = {
            "ending": self.ending.value,
            "watch_for_s": self.policy.watch_for_s,
            "max_failures": percent(self.policy.max_failures),
            "min_runs": self.policy.min_runs,
            "functions": [runs.to_json() for runs in self.functions],
        }
        if self.undone is not None:
            document["undone"] = [item.to_json() for item in self.undone.items]
        if self.problem is not None:
            document["problem"] = printable(self.problem.message)
        if self.notes:
            document["notes"] = [printable(note) for note in self.notes]
        return document

    def resumed_json(self, target: str, *, ok: bool) -> ResumedWatchJson:
        """Return the observation for `--json` of a command that only continued a watch."""
        return {"target": target, "ok": ok, "watch": self.to_json()}


@frozen
class WatchState:
    """A watch that is under way: the runs so far, and the seconds that are left."""

    functions: Sequence[VersionRuns]
    left_s: float


OnWatch: TypeAlias = Callable[[WatchState | Trouble | Recovered | Gap], object]
"""Called with the state after each run and each wait, and with notices about the connection."""


@frozen
class WatchContext:
    """Everything that a watch needs besides the journal. `former_values` are the variables before the deploy."""

    root: Path
    target: Target
    client: Client
    clock: Clock
    on_watch: OnWatch = lambda _: None
    former_values: Mapping[str, Secret] | None = None


def open_watch(root: Path, target: str, identity: str | None) -> JournalRecord | None:
    """Return the journal of the last deploy if its watch is not over, or if it is not completely reverted."""
    newest = journals.last(root, target, identity)
    deployed = newest
    if newest is not None and newest.command == "undo" and newest.undoes is not None:
        deployed = next(
            (record for record in journals.records(root, target) if record.path.name == newest.undoes), None
        )
    if deployed is None or not deployed.ok or (watch := deployed.watch) is None or watch.over:
        return None
    # An undo by hand has made the watch pointless.
    return deployed if deployed is newest or watch.breached else None


def watch_deploy(record: JournalRecord, context: WatchContext) -> Observation:
    """Watch a complete deploy to the end, and revert it if too many runs fail. The result is in the observation.

    `record` is what `open_watch` returned.
    """
    assert record.watch is not None  # noqa: S101 - as open_watch promises
    policy = record.watch.policy
    functions = watched_functions(record, policy)
    if not record.watch.breached and functions:
        until = record.watch.until
        if until is None:
            until = context.clock.now() + timedelta(seconds=policy.watch_for_s)
            records.record_begin(record.path, until)
        try:
            _follow_runs(functions, until, context)
        except KeyboardInterrupt:
            return Observation(policy, WatchEnding.INTERRUPTED, functions)
        except CkfuncError as problem:
            return Observation(policy, WatchEnding.NOT_WATCHED, functions, problem=problem)
    if record.watch.breached or any(runs.breached for runs in functions):
        records.record_breach(record.path)
        observation = _revert(record, Observation(policy, WatchEnding.REVERTED, functions), context)
        if observation.ending is WatchEnding.REVERTED:
            records.record_end(record.path)
        return observation
    records.record_end(record.path)
    judged = any(runs.verdict is FunctionVerdict.GOOD for runs in functions)
    return Observation(policy, WatchEnding.KEPT if judged else WatchEnding.NOT_ENOUGH_RUNS, functions)


def watched_functions(record: JournalRecord, policy: WatchPolicy) -> tuple[VersionRuns, ...]:
    """Return the functions of which a deploy created a new version after an older one, without runs."""
    watched = []
    for name in sorted(record.attempted):
        before = record.before.functions.get(name)
        if before and before[0]:
            # A deploy that was killed during a write has no record of the version, so the next number is expected.
            watched.append(VersionRuns(name, before[0], record.versions.get(name, before[0] + 1), policy))
    return tuple(watched)


class _TimeIsUp(Exception):
    """The watch has reached its end."""


class _DeadlineClock(CheckedClock):
    """A clock whose last wait ends at a deadline; the wait after that raises _TimeIsUp."""

    def __init__(self, clock: Clock, check: Callable[[], object], seconds: float) -> None:
        super().__init__(clock, check)
        self._deadline_s = clock.monotonic_s() + seconds

    @property
    def left_s(self) -> float:
        """The seconds until the deadline."""
        return max(self._deadline_s - self.monotonic_s(), 0.0)

    def sleep(self, seconds: float) -> None:
        """Wait and check; raises _TimeIsUp after the deadline."""
        left_s = self.left_s
        if not left_s:
            raise _TimeIsUp
        super().sleep(min(seconds, left_s))


def _follow_runs(functions: Sequence[VersionRuns], until: datetime, context: WatchContext) -> None:
    """Count runs until the deadline or a breach. Raises ApiFailure if the first requests fail."""

    def report() -> None:
        context.on_watch(WatchState(functions, clock.left_s))

    clock = _DeadlineClock(context.clock, report, (until - context.clock.now()).total_seconds())
    by_type = {runs.type: runs for runs in functions}
    since = dict(_beginnings(by_type, context.client, VersionCache(context.root)))
    try:
        for item in follow(context.client, by_type, clock=clock, limit=None, since=since):
            if not isinstance(item, LogEntry):
                context.on_watch(item)
                continue
            by_type[item.type].add(item.invocation)
            if by_type[item.type].breached:
                return
            if all(runs.replaced_by is not None for runs in functions):
                return
            report()
    except _TimeIsUp:
        return


def _beginnings(
    by_type: Mapping[str, VersionRuns], client: Client, cache: VersionCache
) -> Iterator[tuple[str, datetime]]:
    """Set the `reverted` versions, and yield the type of each function with the time of its oldest run that counts.

    Functions with fewer than EARLIER_RUNS earlier runs are omitted.
    """
    for function in client.functions():
        if runs := by_type.get(function.type):
            if runs.former > 2:  # at least an older version, a reverted one, and the older script again
                versions = (each for each in versions_of(client, function, cache) if each.version_number < runs.version)
                runs.reverted = reverted_versions(list(islice(versions, _MOST_VERSIONS)))
            if moment := _beginning(function, runs, client):
                yield function.type, moment


def _beginning(function: Function, runs: VersionRuns, client: Client) -> datetime | None:
    earlier: dict[int, datetime] = {}
    for window in InvocationListing(client, function.id).windows(_PAGE):
        for row in window:
            counts = row.version_number < runs.version and row.version_number not in runs.reverted
            if counts and row.status is not Status.RUNNING:
                earlier[row.id] = row.created_time
                if len(earlier) == EARLIER_RUNS:
                    return row.created_time
    return None


def _revert(record: JournalRecord, observation: Observation, context: WatchContext) -> Observation:
    """Restore the state before the deploy, as `ckfunc undo` does, unless an earlier attempt has done so."""
    newest = journals.last(context.root, context.target.name, record.identity)
    if newest is not None and newest.undoes == record.path.name and newest.ok:
        return observation
    try:
        prepared = _prepared(record, context)
        if prepared.plan.is_empty:
            if prepared.begun is not None:  # killed after its last write
                journals.finish(prepared.begun, nothing_done(prepared.plan, Ending.COMPLETE, ""))
            return replace(observation, notes=prepared.notes)
        report = carry_out_undo(prepared, context.root, context.client, context.clock)
    except KeyboardInterrupt:
        return replace(observation, ending=WatchEnding.INTERRUPTED)
    except CkfuncError as problem:
        return replace(observation, ending=WatchEnding.NOT_REVERTED, problem=problem)
    ending = WatchEnding.REVERTED if report.ok else WatchEnding.NOT_REVERTED
    if report.ending is Ending.INTERRUPTED:
        ending = WatchEnding.INTERRUPTED
    return replace(observation, ending=ending, undone=report, notes=prepared.notes)


def _prepared(record: JournalRecord, context: WatchContext) -> Undo:
    """Return the undo of this deploy. Variables stay as they are if their former values are unknown."""
    root, supplied = context.root, context.former_values or {}
    prepare = partial(prepare_undo, root, context.target, context.client, VersionCache(root), supplied=supplied)
    try:
        undo = prepare()
    except ValuesNeeded:
        undo = prepare(keep_environment=True)
        note = "the variables stay as they are, because their former values were lost in the interruption"
        undo = replace(undo, notes=(*undo.notes, note))
    if undo.record.path != record.path:
        raise NothingToUndo(
            f"another deploy to {context.target.name} from this checkout came after it",
            hint="`ckfunc versions TYPE` lists the versions, `ckfunc rollback TYPE` restores one",
        )
    return undo
