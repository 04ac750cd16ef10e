"""Recorded invocations, run on both sides, and again where the sides disagree."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.base.workers import each_in
from ckfunc.model.execution import Determinism
from ckfunc.model.function import Invocation
from ckfunc.replay.documents import Observed, document_of
from ckfunc.replay.report import Replay, Run, report
from ckfunc.replay.verdict import Runs

VARIATIONS_MS = (61_001, 3_725_250)
"""How much later each further run of the deployed version takes place: enough to change every part of a time."""

_MOST_CONFIRMED = 3
"""The most rows for which a time limit of the working copy is confirmed by a second run."""


class Lane(Protocol):
    """Runs one version of a function, each time from the same snapshot and without traces of the run before."""

    def run(self, event: Mapping[str, Any], determinism: Determinism) -> Observed:
        """Run the handler for an event, at the time and with the chances that `determinism` says."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A lane of each version; `stop`, from any thread, ends what runs in them."""

    deployed: Lane
    working: Lane
    stop: Callable[[], None] = lambda: None


Open = Callable[[], AbstractContextManager[Pair]]


def replay(
    rows: Sequence[Invocation], open_pair: Open, *, jobs: int = 1, on_progress: Callable[[int], None] | None = None
) -> Replay:
    """Run every row on both sides and compare, with `jobs` pairs of lanes at a time.

    First each side runs each row once, at the same time and with the same random numbers. A row on which they disagree
    is run again, first in the same way, then with other times and random numbers.
    `on_progress` gets how many rows are done, in the caller's thread. Raises what a lane raises, and KeyboardInterrupt.
    """
    on_progress = on_progress or (lambda _done: None)
    pairs: list[Pair] = []
    slow = _Slow()

    @contextmanager
    def lanes() -> Iterator[Callable[[tuple[int, Invocation]], tuple[int, Run]]]:
        with ThreadPoolExecutor(1, "ckfunc-replay-deployed") as other, open_pair() as pair:
            pairs.append(pair)
            yield lambda numbered: (numbered[0], _run(pair, numbered[1], other, slow))

    def interrupted() -> bool:
        require_uninterrupted()
        return False

    def stop() -> None:
        for pair in list(pairs):
            pair.stop()

    found: dict[int, Run] = {}
    with closing(each_in(enumerate(rows), lanes, at_once=max(1, jobs), stopped=interrupted, cut_short=stop)) as running:
        for index, run in running:
            found[index] = run
            on_progress(len(found))
    return report([found[index] for index in range(len(rows))])


def determinism_of(row: Invocation) -> Determinism:
    """Return the clock and the chances with which a row is run: the time is that at which it was recorded."""
    digest = hashlib.blake2s(f"replay of {row.id}".encode(), digest_size=6).digest()
    return Determinism(int(row.created_time.timestamp() * 1000), int.from_bytes(digest, "big"))


def variations(determinism: Determinism) -> Iterator[Determinism]:
    """Yield other times and random seeds, the same ones each time."""
    for number, later_ms in enumerate(VARIATIONS_MS, start=1):
        yield Determinism(determinism.now_ms + later_ms, determinism.seed ^ (0x5DEECE66D * number))


def _run(pair: Pair, row: Invocation, other: ThreadPoolExecutor, slow: _Slow) -> Run:
    """Run a row on both sides at once, and again when they disagree."""
    determinism = determinism_of(row)
    again = (determinism, *variations(determinism))

    def both(deployed: Sequence[Determinism], working: Sequence[Determinism]) -> tuple[list[Observed], list[Observed]]:
        was = other.submit(_observed, pair.deployed, row, deployed)
        return _observed(pair.working, row, working), was.result()

    now, was = both([determinism], [determinism])
    runs = _compared(was, now)
    if not runs.alike:
        # As often on both sides: what an init script counts stays in step for the rows to come.
        now_again, was_again = both(again, slow.times(now[0], again))
        slow.note(now_again)
        runs = _compared(was + was_again, now + now_again[:1])
    return Run(row, runs, was[0], now[0])


def _observed(lane: Lane, row: Invocation, times: Sequence[Determinism]) -> list[Observed]:
    return [lane.run(row.args, one) for one in times]


class _Slow:
    """Keeps a working copy that reaches its time limit every time from doing so several times for each row."""

    def __init__(self) -> None:
        self._confirmed = 0

    def times(self, first: Observed, again: Sequence[Determinism]) -> Sequence[Determinism]:
        """Return how to run the working copy again after its first run."""
        if not _timed_out(first):
            return again
        return again[:1] if self._confirmed < _MOST_CONFIRMED else ()

    def note(self, again: Sequence[Observed]) -> None:
        """Take note of the further runs."""
        self._confirmed += bool(again) and _timed_out(again[0])


def _timed_out(run: Observed) -> bool:
    error = run.result.get("error")
    return isinstance(error, Mapping) and error.get("name") == "TimeLimitError"


def _compared(deployed: Sequence[Observed], working: Sequence[Observed]) -> Runs:
    return Runs(tuple(map(document_of, deployed)), tuple(map(document_of, working)))
