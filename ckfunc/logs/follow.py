"""Follow new invocations: an endless generator that skips none and repeats none."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ckfunc.base.clock import Clock, SystemClock
from ckfunc.base.errors import ApiFailure, NotFound
from ckfunc.base.workers import in_order
from ckfunc.logs.entries import EVERY, Filter, Gap, Item, LogEntry, Recovered, Trouble
from ckfunc.logs.pace import LOOPBACK, REMOTE, Pace, backoff_s
from ckfunc.logs.recent import DETAILED_AT_ONCE, Found, cut_off, detailed, newest, started
from ckfunc.logs.tail import Batch, Tail
from ckfunc.model.function import Invocation

if TYPE_CHECKING:
    from ckfunc.api import Client

# How long a RUNNING invocation keeps the polling interval short.
_LIVELY_S = 15.0
_ANOTHER_DATABASE = "the emulator now uses a different database"

T = TypeVar("T")


def follow(
    client: Client,
    function_types: Collection[str] = (),
    *,
    clock: Clock | None = None,
    limit: int | None = 0,
    wanted: Filter = EVERY,
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
    follower = _Follower(client, frozenset(function_types), clock, pace, replace(wanted, since=None))
    yield from follower.start(limit, wanted, since)
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

    def __init__(self, client: Client, types: frozenset[str], clock: Clock, pace: Pace, wanted: Filter) -> None:
        self.failure: ApiFailure | None = None
        self._client = client
        self._types = types
        self._clock = clock
        self._pace = pace
        self._wanted = wanted
        self._tails: dict[int, Tail] = {}
        self._pending: list[Found] = []
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

    def start(self, limit: int | None, wanted: Filter, since: Mapping[str, datetime] | None) -> Iterator[Item]:
        """Mark all existing invocations as seen, and yield those that match."""
        list(self._refresh())
        tails = list(self._tails.values())
        self._pending = newest(started(tails, limit, wanted, since), limit)
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
        whole = len(self._tails) == 1 and all(whole for _, whole in probes.values())
        if ids and not whole:
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
                if tail.end(row) and self._wanted.matches(row):
                    self._pending.append((tail.function.type, row, True))
            else:
                tail.hand_out(row)
                if self._wanted.could_match(row):
                    tail.watch(row, self._clock.monotonic_s())
                if self._wanted.matches(row):
                    self._pending.append((tail.function.type, row, False))
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
