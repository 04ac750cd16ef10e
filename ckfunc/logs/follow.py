"""Follow new invocations: an endless generator that skips none and repeats none."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterator
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from ckfunc.base.clock import Clock, SystemClock
from ckfunc.base.errors import ApiFailure, NotFound
from ckfunc.base.workers import in_order
from ckfunc.logs.entries import Filter, Gap, Item, LogEntry, Recovered, Trouble
from ckfunc.logs.pace import LOOPBACK, REMOTE, Pace, backoff_s
from ckfunc.logs.recent import DETAILED_AT_ONCE, Found, cut_off, detailed, newest, started
from ckfunc.logs.tail import Batch, Tail
from ckfunc.model.function import Invocation, Status

if TYPE_CHECKING:
    from ckfunc.api import Client

# For how long an invocation that is RUNNING keeps the pace quick.
_LIVELY_S = 15.0
_ANOTHER_DATABASE = "the emulator now serves another database"

T = TypeVar("T")


def follow(
    client: Client,
    function_types: Collection[str] = (),
    *,
    clock: Clock | None = None,
    limit: int | None = 0,
    since: datetime | None = None,
    status: Status | None = None,
    version: int | None = None,
    pace: Pace | None = None,
) -> Iterator[Item]:
    """Yield the newest `limit` invocations (None: all `since` then), then every new one as it comes, by ascending id.

    `function_types` empty means every function; functions that appear later are picked up. One that is RUNNING comes
    again when it has ended. Trouble with the platform is an item, and is followed by Recovered; only the first look
    raises ApiFailure. Never ends by itself.
    """
    from ckfunc.api.connection import is_loopback_address

    clock = clock or SystemClock()
    pace = pace or (LOOPBACK if is_loopback_address(client.connection.api_url) else REMOTE)
    follower = _Follower(client, frozenset(function_types), clock, pace, Filter(status, version))
    yield from follower.start(limit, Filter(status, version, since))
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
    """The state between two rounds: a tail per function, and what was found but not yet given."""

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
        """How many functions are followed."""
        return len(self._tails)

    @property
    def lively(self) -> bool:
        """Whether an invocation is expected to end soon."""
        return self._clock.monotonic_s() < self._lively_until_s and any(tail.running for tail in self._tails.values())

    def start(self, limit: int | None, wanted: Filter) -> Iterator[Item]:
        """Settle what exists and yield what is wanted of it."""
        list(self._refresh())
        tails = list(self._tails.values())
        self._pending = newest(started(tails, limit, wanted), limit)
        yield from cut_off(tails)
        yield from self._give()

    def round(self) -> Iterator[Item]:
        """Ask once for everything that is new; failures of single functions are left in `failure`."""
        self.failure = None
        yield from self._give()
        if self._clock.monotonic_s() >= self._functions_due_s:
            yield from self._refresh()
        probes = self._ask({tail: tail.probe for tail in self._tails.values()})
        if self._another_database():
            self.failure, self._functions_due_s = None, 0.0
            yield Gap(None, _ANOTHER_DATABASE)
            return
        batches = {tail: batch for tail, (batch, _) in probes.items()}
        ids = [row.id for batch in batches.values() for row in batch.rows]
        whole = len(self._tails) == 1 and all(whole for _, whole in probes.values())
        if ids and not whole:
            # Every function is asked again, so that none of its rows can come after a later one of another function.
            again = self._ask({tail: partial(tail.collect, max(ids)) for tail in probes})
            for tail, batch in again.items():
                batch.incomplete = batch.incomplete or batches[tail].incomplete
            batches = again
        now_s = self._clock.monotonic_s()
        rechecked = self._ask({tail: partial(tail.recheck, now_s) for tail in batches if tail.running})
        for tail, rows in rechecked.items():
            batches[tail].ended += rows
        for tail, batch in batches.items():
            if batch.incomplete:
                yield Gap(tail.function.type, batch.incomplete)
                batch.incomplete = None
        yield from self._hand_out(batches)

    def _hand_out(self, batches: dict[Tail, Batch]) -> Iterator[Item]:
        """Settle what was found, in order, and give it."""
        merged = heapq.merge(*(_rows(tail, batch) for tail, batch in batches.items() if batch), key=lambda one: one[0])
        while sum(islice(self._settled(merged), DETAILED_AT_ONCE)):
            yield from self._give()
        for tail, batch in batches.items():
            if batch.incomplete:
                yield Gap(tail.function.type, batch.incomplete)

    def _settled(self, merged: Iterator[tuple[int, Tail, Invocation, bool]]) -> Iterator[int]:
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

    def _give(self) -> Iterator[LogEntry]:
        """Yield what is pending; what an error keeps from being given stays pending."""
        while self._pending:
            made = detailed(self._client, self._pending[:DETAILED_AT_ONCE])
            self._lively_until_s = self._clock.monotonic_s() + _LIVELY_S
            for entry in made:
                del self._pending[0]
                yield entry

    def _ask(self, jobs: dict[Tail, Callable[[], T]]) -> dict[Tail, T]:
        """Do a job for each tail side by side; leave out those that fail and note the failure."""
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
        """See which functions there are; what a new one did, it did since we began."""
        functions = {one.id: one for one in self._client.functions() if not self._types or one.type in self._types}
        self._functions_due_s = self._clock.monotonic_s() + self._pace.functions_s
        if self._another_database():
            yield Gap(None, _ANOTHER_DATABASE)
        for gone in self._tails.keys() - functions.keys():
            yield Gap(self._tails.pop(gone).function.type, "the function no longer exists")
        for number, function in functions.items():
            if number not in self._tails:
                self._tails[number] = Tail(self._client, function, not_before=self._not_before)

    def _another_database(self) -> bool:
        """Forget every function when an emulator was replaced by another: ids mean something else now."""
        before, self._emulator_id = self._emulator_id, self._client.emulator_id
        if before == self._emulator_id or not self._tails:
            return False
        seen = [tail.newest.created_time for tail in self._tails.values() if tail.newest is not None]
        # What the new database had before we left the old one is not news.
        self._not_before = max(seen, default=self._not_before)
        self._tails.clear()
        return True


def _rows(tail: Tail, batch: Batch) -> Iterator[tuple[int, Tail, Invocation, bool]]:
    for row in sorted(batch.ended, key=lambda one: one.id):
        yield row.id, tail, row, True
    for row in tail.rows(batch):
        yield row.id, tail, row, False


def _outcome(job: Callable[[], T]) -> T | ApiFailure:
    try:
        return job()
    except ApiFailure as error:
        return error
