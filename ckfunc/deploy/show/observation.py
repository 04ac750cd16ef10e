"""Watched deploys as lines of styled text.

Control characters of remote text are removed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from ckfunc.base.text import USUAL_COLUMNS, Line, Segment, counted, printable
from ckfunc.deploy.apply.journal import JournalRecord
from ckfunc.deploy.observation import (
    FunctionVerdict,
    Observation,
    VersionRuns,
    WatchEnding,
    WatchState,
    watched_functions,
)
from ckfunc.deploy.show.text import item_lines, warning_lines
from ckfunc.logs.format import failure_lines
from ckfunc.model.application import Invocation
from ckfunc.model.project import duration_text, percent

_SIGNS = {
    FunctionVerdict.GOOD: ("✓", "success"),
    FunctionVerdict.TOO_FEW_RUNS: ("○", "warning"),
    FunctionVerdict.TOO_MANY_FAILURES: ("✗", "failure"),
    FunctionVerdict.REPLACED: ("○", "warning"),
}


def state_text(state: WatchState) -> str:
    """Return the state of a watch in a few words, for a status line."""
    runs, failed = (
        sum(function.runs for function in state.functions),
        sum(function.failed for function in state.functions),
    )
    counts = f"{counted(runs, 'run')}, {failed} failed"
    return f"watching {names_text(state.functions)}: {counts}, {duration_text(state.left_s)} left"


def announcement(record: JournalRecord, now: datetime) -> str:
    """Return which functions of a deploy will be watched, and for how long; "" if there is nothing to watch."""
    assert record.watch is not None  # noqa: S101 - as open_watch promises
    functions = watched_functions(record, record.watch.policy)
    if not functions or record.watch.breached:
        return ""
    until = record.watch.until  # known if the watch is resumed
    left_s = record.watch.policy.watch_for_s if until is None else (until - now).total_seconds()
    return f"{names_text(functions)} for {duration_text(left_s)}; Ctrl-C leaves the deploy as it is"


def names_text(functions: Sequence[VersionRuns]) -> str:
    """Return the watched versions as text: the only one by name, or else their number."""
    if len(functions) == 1:
        return f"{printable(functions[0].type)} v{functions[0].version}"
    return f"{len(functions)} functions"


def observation_lines(observation: Observation, *, width: int | None = None) -> list[Line]:
    """Return an observation as lines: each function, its first failed runs, the undo, and the summary last.

    `width` is as for `item_lines`. Times are local.
    """
    lines: list[Line] = []
    for runs in observation.functions:
        lines += _function_lines(runs, width or USUAL_COLUMNS)
    if observation.undone is not None:
        lines += item_lines(observation.undone.items, width=width)
        lines += warning_lines(observation.undone.warnings)
    lines += warning_lines(observation.notes)
    good = observation.ending in (WatchEnding.KEPT, WatchEnding.NOT_ENOUGH_RUNS)
    return [*lines, (Segment(_summary(observation), "title" if good else "failure"),)]


def _function_lines(runs: VersionRuns, width: int) -> Iterator[Line]:
    sign, style = _SIGNS[runs.verdict]
    yield (Segment(f"  {sign} ", style), Segment(f"{printable(runs.type)} v{runs.version}: "), Segment(_counts(runs)))
    if runs.verdict is FunctionVerdict.TOO_MANY_FAILURES:
        for run in runs.first_failed:
            yield _failed_line(run, width)


def _counts(runs: VersionRuns) -> str:
    if runs.verdict is FunctionVerdict.REPLACED:
        return f"someone else has deployed v{runs.replaced_by}, so it was not judged"
    if runs.verdict is FunctionVerdict.TOO_FEW_RUNS:
        few = f"{counted(runs.runs, 'run')}, {runs.failed} failed"
        return f"{few}; too few to judge, {runs.policy.min_runs} needed"
    earlier = f"{runs.earlier_failed} of {len(runs.earlier)} earlier runs failed"
    return (
        f"{runs.failed} of {counted(runs.runs, 'run')} failed, {runs.allowed} allowed "
        f"({percent(runs.policy.max_failures)}; {earlier})"
    )


def _failed_line(run: Invocation, width: int) -> Line:
    head = f"      {run.created_time.astimezone():%H:%M:%S} [{run.id}] "
    first = next(iter(failure_lines(run)), [("  failed", "failure")])
    text = "".join(printable(segment[0]) for segment in first).strip()
    return (Segment(head, "muted"), Segment(text[: max(width - len(head), 20)], "failure"))


def _summary(observation: Observation) -> str:
    lasted = f"Watched for {duration_text(observation.policy.watch_for_s)}"
    if not observation.functions:
        return "Nothing to watch: the deploy created no new version of an existing function."
    return {
        WatchEnding.KEPT: f"{lasted}: the deploy is kept.",
        WatchEnding.NOT_ENOUGH_RUNS: f"{lasted}: too few runs to judge, so the deploy is kept.",
        WatchEnding.REVERTED: "Too many runs failed: the deploy was reverted.",
        WatchEnding.NOT_REVERTED: "Too many runs failed, but the deploy was not reverted completely.",
        WatchEnding.INTERRUPTED: _interrupted(observation),
        WatchEnding.NOT_WATCHED: "The deploy is complete, but it is not watched.",
    }[observation.ending]


def _interrupted(observation: Observation) -> str:
    if any(runs.breached for runs in observation.functions) or observation.undone is not None:
        return "Interrupted while reverting the deploy."
    return "Interrupted: the deploy stays as it is, and is no longer watched."
