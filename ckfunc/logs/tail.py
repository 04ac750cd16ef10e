"""Invocations of one function: read newest first, and new ones as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.logs.entries import EVERY, Filter
from ckfunc.model.application import Function, Invocation, Status
from ckfunc.model.page import Page

if TYPE_CHECKING:
    from ckfunc.api import Client

PROBE = 10
"""How many rows are requested to check for new ones."""
PROBE_RUNNING = 30
PAGE = 100
MOST_HELD = 500
"""How many new rows are held in memory while older pages are read; the others are read a second time."""
DEEPEST = 100_000
"""How many new rows are searched at once, at most; more of them cause a gap."""
REMEMBERED = 1000
_MOST_RUNNING = 1000
_SEARCHES = 3
_RECHECK_S = 0.5
_RECHECK_MOST_S = 30.0
# How often the search for a row may change direction before it is postponed.
_TURNS = 4


class InvocationListing:
    """The invocations of a function. Requests ask for the newest first.

    A platform that returns the oldest first anyway is detected by its first page, and read from its last page.
    """

    def __init__(self, client: Client, function_id: int) -> None:
        self._client = client
        self._function_id = function_id
        self._ascending = False
        self.total = 0
        """The number of rows when a page was last read."""

    def windows(self, size: int) -> Iterator[list[Invocation]]:
        """Yield all rows in windows of at most `size`, newest first.

        Rows that are added during the iteration move others to older pages, so a row may be repeated, but none is
        skipped.
        """
        number, page = self._newest(size)
        while page.items:
            yield sorted(page.items, key=lambda row: row.id, reverse=True)
            number += self._older
            if not 0 <= number < page.total_pages:
                return
            page = self._page(number, size)

    def find(self, ids: Sequence[int], offset: int, size: int) -> Iterator[tuple[int, Invocation | None]]:
        """Yield each of `ids` (ascending) with its row, or with None if the list no longer has it.

        `offset` is an estimate of how many rows are newer than the first id. An id that cannot be located, because rows
        keep moving, is not yielded.
        """
        waiting = list(reversed(ids))
        number = max(self.total - 1 - offset, 0) // size if self._ascending else offset // size
        turns, last_step = 0, 0
        while waiting and turns <= _TURNS:
            page = self._page(number, size)
            last = max(page.total_pages - 1, 0)
            rows = {row.id: row for row in page.items}
            if not rows and number <= last:
                yield from ((row_id, None) for row_id in reversed(waiting))
                return
            if not rows:
                number, turns = last, turns + 1
                continue
            low, high = min(rows), max(rows)
            at_oldest = not 0 <= number + self._older <= last
            while waiting and (low <= waiting[-1] <= high or (waiting[-1] < low and at_oldest)):
                match = waiting.pop()
                turns = 0
                yield match, rows.get(match)
            if waiting:
                step = self._older if waiting[-1] < low else -self._older
                turns += step == -last_step
                number, last_step = number + step, step
                if not 0 <= number <= last:
                    return

    @property
    def _older(self) -> int:
        """The step from a page number to that of the next older page."""
        return -1 if self._ascending else 1

    def _newest(self, size: int) -> tuple[int, Page[Invocation]]:
        """Read the page with the newest rows."""
        if not self._ascending:
            page = self._page(0, size)
            ids = [row.id for row in page.items]
            if page.total_pages < 2 or len(ids) < 2 or ids[0] > ids[-1]:
                return 0, page
            self._ascending = True
        number = max(self.total - 1, 0) // size
        page = self._page(number, size)
        # Rows may be added faster than pages are read, so this is limited; the next round reads the rest.
        for _ in range(_TURNS):
            last = max(page.total_pages - 1, 0)
            if number == last:
                break
            number, page = last, self._page(last, size)
        return number, page

    def _page(self, number: int, size: int) -> Page[Invocation]:
        page = self._client.invocations(self._function_id, page=number, size=size, sort="id,desc")
        self.total = page.total_elements
        return page


@dataclass(slots=True)
class _Running:
    """A RUNNING row to check again: its position, the time of the next check, and the interval after that."""

    ordinal: int
    due_s: float
    pause_s: float = _RECHECK_S


@dataclass(slots=True)
class Batch:
    """New rows of a function, oldest first: first those of `deep`, which has only ids, then `rows`.

    `ended` are rows that were already yielded while RUNNING. `incomplete` is why rows may be missing before the others.
    """

    deep: list[int] = field(default_factory=list)
    rows: list[Invocation] = field(default_factory=list)
    ended: list[Invocation] = field(default_factory=list)
    incomplete: str | None = None

    def __bool__(self) -> bool:
        return bool(self.deep or self.rows or self.ended or self.incomplete)


class Tail:
    """The position in the list of a function. It only advances when rows are handed out, so that errors lose nothing.

    All recent ids are remembered, not only the highest, because a row may become visible after one with a higher id, if
    its transaction ends later.
    """

    def __init__(self, client: Client, function: Function, *, not_before: datetime | None = None) -> None:
        self.function = function
        self.newest: Invocation | None = None
        self.cut_off = False
        """Whether `start` stopped at DEEPEST before it had read everything."""
        self.left_off = False
        """Whether `start` had enough rows before it had read everything."""
        self._listing = InvocationListing(client, function.id)
        self._not_before = not_before
        self._forget()

    def _forget(self) -> None:
        # Seen ids are all up to the floor, and above it those in `_seen`.
        self._floor = -1
        self._seen: set[int] = set()
        self._order: deque[int] = deque()
        self._count = 0
        self._running: dict[int, _Running] = {}

    @property
    def running(self) -> bool:
        """Whether a row that was handed out is still RUNNING."""
        return bool(self._running)

    # -- the first read ------------------------------------------------------------------------------------------

    def start(self, limit: int | None, row_filter: Filter) -> list[Invocation]:
        """Mark all existing rows as seen, and return the newest `limit` matching rows, oldest first."""
        self._forget()
        rows: dict[int, Invocation] = {}
        rows_read = 0
        few = limit is not None and replace(row_filter, since=None) == EVERY
        for window in self._listing.windows(min(max(limit or 0, PROBE), PAGE) if few else PAGE):
            if not rows_read:
                self._mark_all_seen(window)
            for position, row in enumerate(window, rows_read):
                if row_filter.could_match(row) and (limit is None or len(rows) < limit) and row.id not in rows:
                    self._watch_running(row, -1 - position, 0.0)
                    if row_filter.matches(row):
                        rows[row.id] = row
            rows_read += len(window)
            self.cut_off = rows_read >= DEEPEST
            too_old = row_filter.since is not None and window[-1].created_time < row_filter.since
            enough = limit is not None and len(rows) >= limit
            if too_old or self.cut_off or enough:
                # The remaining rows of the window may be older than `since`.
                more = any(row_filter.matches(row) and row.id not in rows for row in window)
                self.left_off = enough and (more or not (too_old or rows_read >= self._listing.total))
                break
        return [rows[row_id] for row_id in sorted(rows)]

    def _mark_all_seen(self, window: list[Invocation]) -> None:
        self._floor = window[-1].id
        self._update_newest(window[0])
        for row in reversed(window):
            self._remember(row.id)

    # -- later reads ---------------------------------------------------------------------------------------------

    def probe(self) -> tuple[Batch, bool]:
        """Return new and ended rows among the newest, and whether that is everything new."""
        size = PROBE_RUNNING if self._running else PROBE
        window = next(self._listing.windows(size), [])
        reset = self._started_over(window)
        batch = Batch(rows=sorted((row for row in window if self._is_new(row)), key=lambda row: row.id))
        batch.ended = self._ended(window)
        batch.incomplete = reset
        complete = self._listing.total <= len(window) or any(not self._is_new(row) for row in window)
        return batch, complete

    def collect(self, upto: int | None = None) -> Batch:
        """Page back to the first seen row, and return all new rows with ids up to `upto`."""
        batch = Batch()
        ids: set[int] = set()
        rows_by_id: dict[int, Invocation] = {}
        reached_seen = False
        for number, window in enumerate(self._listing.windows(PAGE)):
            batch.incomplete = self._started_over(window) if number == 0 else batch.incomplete
            batch.ended += self._ended(window)
            for row in window:
                if not self._is_new(row):
                    reached_seen = True
                elif (upto is None or row.id <= upto) and row.id not in ids:
                    ids.add(row.id)
                    if len(rows_by_id) < MOST_HELD:
                        rows_by_id[row.id] = row
            if reached_seen or len(ids) >= DEEPEST:
                break
        batch.rows = [rows_by_id[row_id] for row_id in sorted(rows_by_id)]
        batch.deep = sorted(ids - rows_by_id.keys())
        if not reached_seen and self.newest is not None and ids:
            batch.incomplete = batch.incomplete or (
                f"more than {DEEPEST} invocations came at once"
                if len(ids) >= DEEPEST
                else "the invocations seen last are no longer listed, so some after them may be missing"
            )
        return batch

    def rows(self, batch: Batch) -> Iterator[Invocation]:
        """Yield the new rows of a batch, oldest first; call `hand_out` for each. May raise ApiFailure in between."""
        deep = batch.deep
        for _ in range(_SEARCHES):
            if not deep:
                break
            ids: set[int] = set()
            for row_id, row in self._listing.find(deep, len(batch.rows) + len(deep) - 1, PAGE):
                ids.add(row_id)
                if row is None:
                    self._remember(row_id)
                elif self._is_new(row):
                    yield row
            deep = [row_id for row_id in deep if row_id not in ids]
        if deep:
            batch.incomplete = f"{len(deep)} invocations could not be read, because new ones were added too fast"
        yield from filter(self._is_new, batch.rows)

    def hand_out(self, row: Invocation) -> None:
        """Mark a new row as seen, so that it is not yielded again."""
        self._update_newest(row)
        self._remember(row.id)
        self._count += 1

    def watch(self, row: Invocation, now_s: float) -> None:
        """Check a row that was just handed out until it ends, if it is RUNNING."""
        self._watch_running(row, self._count - 1, now_s + _RECHECK_S)

    def end(self, row: Invocation) -> bool:
        """Stop checking `row`, and return whether it was being checked."""
        return self._running.pop(row.id, None) is not None

    def recheck(self, now_s: float) -> list[Invocation]:
        """Return rows that have ended since they were RUNNING. Each row is checked less and less often."""
        due = sorted(row_id for row_id, waiting in self._running.items() if waiting.due_s <= now_s)
        ended: list[Invocation] = []
        for cluster in self._clusters(due):
            for row_id, row in self._listing.find(cluster, self._offset(cluster[0]), PAGE):
                if row is None:
                    del self._running[row_id]
                elif row.status is not Status.RUNNING:
                    ended.append(row)
        for row_id in due:
            if waiting := self._running.get(row_id):
                waiting.pause_s = min(waiting.pause_s * 1.5, _RECHECK_MOST_S)
                waiting.due_s = now_s + waiting.pause_s
        return ended

    def _clusters(self, ids: list[int]) -> Iterator[list[int]]:
        """Split ids where more than two pages of rows are between neighbours."""
        cluster: list[int] = []
        for row_id in ids:
            if cluster and self._offset(cluster[-1]) - self._offset(row_id) > 2 * PAGE:
                yield cluster
                cluster = []
            cluster.append(row_id)
        if cluster:
            yield cluster

    def _offset(self, row_id: int) -> int:
        """Estimate how many rows are newer than a RUNNING row."""
        return max(self._count - 1 - self._running[row_id].ordinal, 0)

    def _watch_running(self, row: Invocation, ordinal: int, due_s: float) -> None:
        if row.status is not Status.RUNNING:
            return
        if len(self._running) >= _MOST_RUNNING:
            del self._running[min(self._running)]
        self._running[row.id] = _Running(ordinal, due_s)

    # -- seen rows -----------------------------------------------------------------------------------------------

    def _is_new(self, row: Invocation) -> bool:
        return (
            row.id > self._floor
            and row.id not in self._seen
            and (self._not_before is None or row.created_time >= self._not_before)
        )

    def _ended(self, window: list[Invocation]) -> list[Invocation]:
        return [row for row in window if row.id in self._running and row.status is not Status.RUNNING]

    def _update_newest(self, row: Invocation) -> None:
        if self.newest is None or row.id > self.newest.id:
            self.newest = row

    def _remember(self, row_id: int) -> None:
        if row_id in self._seen:
            return
        self._seen.add(row_id)
        self._order.append(row_id)
        if len(self._order) > REMEMBERED:
            oldest = self._order.popleft()
            self._seen.discard(oldest)
            self._floor = max(self._floor, oldest)

    def _started_over(self, window: list[Invocation]) -> str | None:
        """Start over if the newest row has a lower id than a seen one, but a later time. Return the reason."""
        if not window or self.newest is None or window[0].id >= self.newest.id:
            return None
        if window[0].created_time <= self.newest.created_time:
            # The list is a replica that lags behind.
            return None
        self.restart()
        return "the log was reset"

    def restart(self) -> None:
        """Forget all seen ids. Rows older than the newest seen row still do not count as new."""
        if self.newest is not None:
            self._not_before = self.newest.created_time
        self.newest = None
        self._forget()
