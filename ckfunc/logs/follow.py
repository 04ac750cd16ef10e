"""Follow new invocations, in a generator or on a thread. None are skipped or repeated."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ckfunc.base.clock import Clock, SystemClock
from ckfunc.base.errors import ApiFailure, CkfuncError, NotFound
from ckfunc.base.frozen import frozen
from ckfunc.base.streams import ReaderGone
from ckfunc.base.workers import in_order
from ckfunc.logs.entries import EVERY, Filter, Gap, Item, LogEntry, Recovered, Trouble
from ckfunc.logs.finding import DETAILED_AT_ONCE, TypedRow, cut_off, detailed, newest, started
from ckfunc.logs.tail import Batch, Tail
from ckfunc.model.application import Invocation

if TYPE_CHECKING:
    from ckfunc.api import Client

# How long a RUNNING invocation keeps the polling interval short.
_LIVELY_S = 15.0
_ANOTHER_DATABASE = "the emulator now uses a different database"
T = TypeVar("T")
_SLOWING = 1.3
_FIRST_BACKOFF_S = 1.0
_LONGEST_BACKOFF_S = 30.0


def follow(
    client: Client,
    function_types: Collection[str] = (),
    *,
    clock: Clock | None = None,
    limit: int | None = 0,
    row_filter: Filter = EVERY,
    since: Mapping[str, datetime] | None = None,
    pace: Pace | None = None,
) -> Iterator[Item]:
    """Yield the newest `limit` invocations that are wanted (None: all), then all new ones, by ascending id.

    Empty `function_types` means all functions; functions that are created later are included. `since` replaces
    `wanted.since` for some functions, by type. A RUNNING invocation is yielded again when it has ended. Failed
    requests yield Trouble, and later Recovered; only the first requests raise ApiFailure. The generator never ends by
    itself.
    """
    from ckfunc.api.connection import is_loopback_address

    clock = clock or SystemClock()
    pace = pace or (LOOPBACK if is_loopback_address(client.connection.api_url) else REMOTE)
    follower = _Follower(client, frozenset(function_types), clock, pace, replace(row_filter, since=None))
    yield from follower.start(limit, row_filter, since)
    failed = 0
    wait_s = pace.quick_s
    while True:
        clock.sleep(wait_s)
        active = False
        try:
            for item in follower.round():
                active = True
                yield item
            failure = follower.failure
        except ApiFailure as error:
            failure = error
        if failure is not None:
            failed += 1
            wait_s = backoff_s(failed)
            yield Trouble(failure.message, wait_s)
            continue
        if failed:
            yield Recovered(failed)
            failed, active = 0, True
        wait_s = pace.next_s(wait_s, active=active or follower.lively, functions=follower.size)


class _Follower:
    """The state between two rounds: a tail for each function, and rows that were found but not yet yielded."""

    def __init__(self, client: Client, types: frozenset[str], clock: Clock, pace: Pace, row_filter: Filter) -> None:
        self.failure: ApiFailure | None = None
        self._client = client
        self._types = types
        self._clock = clock
        self._pace = pace
        self._filter = row_filter
        self._tails: dict[int, Tail] = {}
        self._pending: list[TypedRow] = []
        self._functions_due_s = 0.0
        self._lively_until_s = 0.0
        self._emulator_id: str | None = None
        self._not_before: datetime | None = None

    @property
    def size(self) -> int:
        """The number of followed functions."""
        return len(self._tails)

    @property
    def lively(self) -> bool:
        """Whether an invocation is expected to end soon."""
        return self._clock.monotonic_s() < self._lively_until_s and any(tail.running for tail in self._tails.values())

    def start(self, limit: int | None, row_filter: Filter, since: Mapping[str, datetime] | None) -> Iterator[Item]:
        """Mark all existing invocations as seen, and yield those that match."""
        list(self._refresh())
        tails = list(self._tails.values())
        self._pending = newest(started(tails, limit, row_filter, since), limit)
        yield from cut_off(tails)
        yield from self._yield_pending()

    def round(self) -> Iterator[Item]:
        """Request and yield everything new. A failure for a single function is stored in `failure`."""
        self.failure = None
        yield from self._yield_pending()
        if self._clock.monotonic_s() >= self._functions_due_s:
            yield from self._refresh()
        probes = self._run_for_tails({tail: tail.probe for tail in self._tails.values()})
        if self._database_replaced():
            self.failure, self._functions_due_s = None, 0.0
            yield Gap(None, _ANOTHER_DATABASE)
            return
        batches = {tail: batch for tail, (batch, _) in probes.items()}
        ids = [row.id for batch in batches.values() for row in batch.rows]
        complete = len(self._tails) == 1 and all(complete for _, complete in probes.values())
        if ids and not complete:
            # All functions are read again up to the same id, so that rows of different functions stay in order.
            again = self._run_for_tails({tail: partial(tail.collect, max(ids)) for tail in probes})
            for tail, batch in again.items():
                batch.incomplete = batch.incomplete or batches[tail].incomplete
            batches = again
        now_s = self._clock.monotonic_s()
        rechecked = self._run_for_tails({tail: partial(tail.recheck, now_s) for tail in batches if tail.running})
        for tail, rows in rechecked.items():
            batches[tail].ended += rows
        for tail, batch in batches.items():
            if batch.incomplete:
                yield Gap(tail.function.type, batch.incomplete)
                batch.incomplete = None
        yield from self._yield_batches(batches)

    def _yield_batches(self, batches: dict[Tail, Batch]) -> Iterator[Item]:
        """Mark the rows as seen, in order, and yield them."""
        merged = heapq.merge(*(_rows(tail, batch) for tail, batch in batches.items() if batch), key=lambda row: row[0])
        while sum(islice(self._settle_rows(merged), DETAILED_AT_ONCE)):
            yield from self._yield_pending()
        for tail, batch in batches.items():
            if batch.incomplete:
                yield Gap(tail.function.type, batch.incomplete)

    def _settle_rows(self, merged: Iterator[tuple[int, Tail, Invocation, bool]]) -> Iterator[int]:
        for _, tail, row, again in merged:
            if again:
                if tail.end(row) and self._filter.matches(row):
                    self._pending.append((tail.function.type, row))
            else:
                tail.hand_out(row)
                if self._filter.could_match(row):
                    tail.watch(row, self._clock.monotonic_s())
                if self._filter.matches(row):
                    self._pending.append((tail.function.type, row))
            yield 1

    def _yield_pending(self) -> Iterator[LogEntry]:
        """Yield the pending rows. After an error, the remaining rows stay pending."""
        while self._pending:
            entries = detailed(self._client, self._pending[:DETAILED_AT_ONCE])
            self._lively_until_s = self._clock.monotonic_s() + _LIVELY_S
            for entry in entries:
                del self._pending[0]
                yield entry

    def _run_for_tails(self, jobs: dict[Tail, Callable[[], T]]) -> dict[Tail, T]:
        """Run a job for each tail concurrently. Failed ones are left out of the result; the first failure is stored."""
        results: dict[Tail, T] = {}
        for tail, outcome in zip(jobs, in_order(list(jobs.values()), _outcome), strict=True):
            if isinstance(outcome, ApiFailure):
                if isinstance(outcome, NotFound):
                    self._functions_due_s = 0.0
                self.failure = self.failure or outcome
            else:
                results[tail] = outcome
        return results

    def _refresh(self) -> Iterator[Item]:
        """Read the list of functions. All invocations of a new function count as new."""
        functions = {
            function.id: function
            for function in self._client.functions()
            if not self._types or function.type in self._types
        }
        self._functions_due_s = self._clock.monotonic_s() + self._pace.functions_s
        if self._database_replaced():
            yield Gap(None, _ANOTHER_DATABASE)
        for removed in self._tails.keys() - functions.keys():
            yield Gap(self._tails.pop(removed).function.type, "the function no longer exists")
        for number, function in functions.items():
            if number not in self._tails:
                self._tails[number] = Tail(self._client, function, not_before=self._not_before)

    def _database_replaced(self) -> bool:
        """Forget all functions if the emulator's database was replaced by another, because its ids are unrelated."""
        before, self._emulator_id = self._emulator_id, self._client.emulator_id
        if before is None or before == self._emulator_id:
            return False
        seen = [tail.newest.created_time for tail in self._tails.values() if tail.newest is not None]
        # Older rows of the new database are not new.
        self._not_before = max(seen, default=self._not_before)
        self._tails.clear()
        return True


def _rows(tail: Tail, batch: Batch) -> Iterator[tuple[int, Tail, Invocation, bool]]:
    for row in sorted(batch.ended, key=lambda row: row.id):
        yield row.id, tail, row, True
    for row in tail.rows(batch):
        yield row.id, tail, row, False


def _outcome(job: Callable[[], T]) -> T | ApiFailure:
    try:
        return job()
    except ApiFailure as error:
        return error


@frozen
class Pace:
    """Polling intervals in seconds: during activity, when idle, and for the list of functions.

    `per_function_s` lengthens the intervals of applications with many functions, to limit the rate of requests.
    """

    quick_s: float
    idle_s: float
    functions_s: float
    per_function_s: float

    def next_s(self, last_s: float, *, active: bool, functions: int) -> float:
        """Return how long to wait after a round, in seconds. `last_s` is the wait before that round."""
        least_s = max(self.quick_s, self.per_function_s * functions)
        return least_s if active else max(min(last_s * _SLOWING, self.idle_s), least_s)


LOOPBACK = Pace(quick_s=0.1, idle_s=0.4, functions_s=2.0, per_function_s=0.005)
REMOTE = Pace(quick_s=1.0, idle_s=3.0, functions_s=15.0, per_function_s=0.05)


def backoff_s(failed: int) -> float:
    """Return how long to wait after `failed` consecutive failed rounds (at least 1), in seconds."""
    return min(_FIRST_BACKOFF_S * 2.0 ** min(failed - 1, 10), _LONGEST_BACKOFF_S)


class CheckedClock:
    """A clock that calls `check` after each wait, which may raise an exception to end a generator that never ends."""

    def __init__(self, clock: Clock, check: Callable[[], object]) -> None:
        self._clock = clock
        self._check = check

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return self._clock.now()

    def monotonic_s(self) -> float:
        """Return seconds that never go backwards."""
        return self._clock.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Wait and check."""
        self._clock.sleep(seconds)
        self._check()


class _Stopped(Exception):
    """Following has been stopped."""


class StoppableClock(CheckedClock):
    """A checked clock whose wait ends as soon as `stop` is set."""

    def __init__(self, clock: Clock, check: Callable[[], object], stop: threading.Event) -> None:
        super().__init__(clock, check)
        self.stop = stop

    def sleep(self, seconds: float) -> None:
        """Wait and check; raises an exception if `stop` is set."""
        if self.stop.wait(seconds):
            raise _Stopped
        self._check()


def stream_logs(
    client: Client,
    types: Callable[[], Collection[str]] | None,
    clock: StoppableClock,
    show: Callable[[Item], object],
    failed: Callable[[CkfuncError], object],
) -> threading.Thread:
    """Call `show` on a thread of its own with new invocations of `types` (None: all), and with notices between.

    It ends when the clock's `stop` is set; it sets `stop` itself after a ReaderGone of `show` or of the clock's check.
    `failed` is called with an error that ends it earlier.
    """

    def stream() -> None:
        try:
            for item in follow(client, clock=clock):
                if not isinstance(item, LogEntry) or types is None or item.type in types():
                    show(item)
        except _Stopped:
            pass
        except CkfuncError as problem:
            if not clock.stop.is_set():
                failed(problem)
        except ReaderGone:
            clock.stop.set()

    thread = threading.Thread(target=stream, name="ckfunc-logs", daemon=True)
    thread.start()
    return thread
