"""Run recorded invocations on both sides, and repeat those with different results."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, TypeAlias

from ckfunc.base.frozen import frozen
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.base.workers import each_in
from ckfunc.model.application import Invocation
from ckfunc.model.execution import Determinism
from ckfunc.replay.differences import Observed, document_of
from ckfunc.replay.report import Replay, Run, report
from ckfunc.replay.verdict import Runs

VARIATIONS_MS = (61_001, 3_725_250)
"""The clock offsets of the additional runs: together they change every part of a time."""

_MOST_CONFIRMED = 3
"""For how many rows a timeout of the working copy is confirmed by a second run."""


Lane: TypeAlias = Callable[[Mapping[str, Any], Determinism], Observed]
"""Runs a version of a function for an event, each time from the same snapshot, without traces of earlier runs.

The clock and the random numbers are those of the Determinism.
"""


@frozen
class Pair:
    """A lane of each version. `stop` ends their runs, from any thread."""

    deployed: Lane
    working: Lane
    stop: Callable[[], None] = lambda: None


Open = Callable[[], AbstractContextManager[Pair]]


def replay(
    rows: Sequence[Invocation], open_pair: Open, *, jobs: int = 1, on_progress: Callable[[int], None] | None = None
) -> Replay:
    """Run every row on both sides and compare, with `jobs` pairs of lanes at a time.

    Each side runs each row once, with the same clock and random numbers. If the results differ, the row is run again,
    first in the same way, then with other clocks and random numbers. `on_progress` is called with the number of
    finished rows, in the caller's thread. Raises whatever a lane raises, and KeyboardInterrupt.
    """
    on_progress = on_progress or (lambda _done: None)
    pairs: list[Pair] = []
    slow = _Slow()

    @contextmanager
    def lanes() -> Iterator[Callable[[Invocation], Run]]:
        with ThreadPoolExecutor(1, "ckfunc-replay-deployed") as other, open_pair() as pair:
            pairs.append(pair)
            yield lambda row: _run(pair, row, other, slow)

    def interrupted() -> bool:
        require_uninterrupted()
        return False

    def stop() -> None:
        for pair in list(pairs):
            pair.stop()

    runs: dict[int, Run] = {}
    with closing(each_in(rows, lanes, at_once=max(1, jobs), stopped=interrupted, cut_short=stop)) as running:
        for run in running:
            runs[run.row.id] = run
            on_progress(len(runs))
    return report([runs[row.id] for row in rows])


def determinism_of(row: Invocation) -> Determinism:
    """Return the clock and random seed of a row. The clock starts at the time of the recording."""
    digest = hashlib.blake2s(f"replay of {row.id}".encode(), digest_size=6).digest()
    return Determinism(int(row.created_time.timestamp() * 1000), int.from_bytes(digest, "big"))


def variations(determinism: Determinism) -> Iterator[Determinism]:
    """Yield other clocks and random seeds, always the same ones."""
    for number, later_ms in enumerate(VARIATIONS_MS, start=1):
        yield Determinism(determinism.now_ms + later_ms, determinism.seed ^ (0x5DEECE66D * number))


def _run(pair: Pair, row: Invocation, other: ThreadPoolExecutor, slow: _Slow) -> Run:
    """Run a row on both sides concurrently, and again if the results differ."""
    determinism = determinism_of(row)
    again = (determinism, *variations(determinism))

    def both(deployed: Sequence[Determinism], working: Sequence[Determinism]) -> tuple[list[Observed], list[Observed]]:
        deployed_runs = other.submit(_observed, pair.deployed, row, deployed)
        return _observed(pair.working, row, working), deployed_runs.result()

    working, deployed = both([determinism], [determinism])
    runs = _compared(deployed, working)
    if not runs.alike:
        # Both sides run equally often, so that counters in an init script stay equal for the next rows.
        working_again, deployed_again = both(again, slow.repetitions(working[0], again))
        slow.record(working_again)
        runs = _compared(deployed + deployed_again, working + working_again[:1])
    return Run(row, runs, deployed[0], working[0])


def _observed(lane: Lane, row: Invocation, times: Sequence[Determinism]) -> list[Observed]:
    return [lane(row.args, determinism) for determinism in times]


class _Slow:
    """Limits the repetitions of a working copy that always times out."""

    def __init__(self) -> None:
        self._confirmed = 0

    def repetitions(self, first: Observed, again: Sequence[Determinism]) -> Sequence[Determinism]:
        """Return the clocks and seeds for the repeated runs of the working copy after its first run."""
        if not _timed_out(first):
            return again
        return again[:1] if self._confirmed < _MOST_CONFIRMED else ()

    def record(self, again: Sequence[Observed]) -> None:
        """Count a confirmed timeout of the repeated runs."""
        self._confirmed += bool(again) and _timed_out(again[0])


def _timed_out(run: Observed) -> bool:
    error = run.result.get("error")
    return isinstance(error, Mapping) and error.get("name") == "TimeLimitError"


def _compared(deployed: Sequence[Observed], working: Sequence[Observed]) -> Runs:
    return Runs(tuple(map(document_of, deployed)), tuple(map(document_of, working)))
