"""New invocations of one function, and RUNNING ones that have ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.logs.entries import Filter
from ckfunc.logs.listing import InvocationListing
from ckfunc.model.function import Function, Invocation, Status

if TYPE_CHECKING:
    from ckfunc.api import Client

PROBE = 10
"""How many rows are asked for to see whether there is anything new."""
PROBE_RUNNING = 30
PAGE = 100
KEPT = 500
"""How many new rows are kept while older pages are looked through; the others are read a second time."""
DEEPEST = 100_000
"""How many new rows are looked for at once; beyond them there is a gap."""
REMEMBERED = 1000
_RUNNING_KEPT = 1000
_SEARCHES = 3
_RECHECK_S = 0.5
_RECHECK_MOST_S = 30.0


@dataclass(slots=True)
class _Running:
    """A row to be looked at again: where it stood, when next, how long after that."""

    ordinal: int
    due_s: float
    pause_s: float = _RECHECK_S


@dataclass(slots=True)
class Batch:
    """New rows of one function, oldest first: those of `deep` by their ids alone, then `rows`.

    `incomplete` says why rows may be missing before them; `running` holds rows that were given before.
    """

    deep: list[int] = field(default_factory=list)
    rows: list[Invocation] = field(default_factory=list)
    ended: list[Invocation] = field(default_factory=list)
    incomplete: str | None = None

    def __bool__(self) -> bool:
        return bool(self.deep or self.rows or self.ended or self.incomplete)


class Tail:
    """What has been seen of one function. State advances only as rows are handed out, so that errors lose nothing.

    The last ids are remembered singly and not only the highest, since a row may become visible after one with a higher
    id, when its transaction ends later.
    """

    def __init__(self, client: Client, function: Function, *, not_before: datetime | None = None) -> None:
        self.function = function
        self.newest: Invocation | None = None
        self.cut_off = False
        """Whether `start` gave up before it had looked at everything."""
        self.left_off = False
        """Whether `start` had found enough before it had looked at everything."""
        self._listing = InvocationListing(client, function.id)
        self._not_before = not_before
        self._forget()

    def _forget(self) -> None:
        # Ids up to the floor are settled; above it, those in `_seen` are.
        self._floor = -1
        self._seen: set[int] = set()
        self._order: deque[int] = deque()
        self._count = 0
        self._running: dict[int, _Running] = {}

    @property
    def running(self) -> bool:
        """Whether a row that was given is still to end."""
        return bool(self._running)

    # -- the first look ------------------------------------------------------------------------------------------

    def start(self, limit: int | None, wanted: Filter) -> list[Invocation]:
        """Settle everything that exists, and return the newest `limit` rows that are wanted, oldest first."""
        self._forget()
        found: dict[int, Invocation] = {}
        looked_at = 0
        for window in self._listing.windows(self._first_size(limit, wanted)):
            if not looked_at:
                self._settle_all(window)
            for position, row in enumerate(window, looked_at):
                if wanted.could_match(row) and (limit is None or len(found) < limit) and row.id not in found:
                    self._await(row, -1 - position, 0.0)
                    if wanted.matches(row):
                        found[row.id] = row
            looked_at += len(window)
            self.cut_off = looked_at >= DEEPEST
            too_old = wanted.since is not None and window[-1].created_time < wanted.since
            enough = limit is not None and len(found) >= limit
            if too_old or self.cut_off or enough:
                # What is left in the window may be older than `since`.
                left = any(wanted.matches(row) and row.id not in found for row in window)
                self.left_off = enough and (left or not (too_old or looked_at >= self._listing.total))
                break
        return [found[one] for one in sorted(found)]

    @staticmethod
    def _first_size(limit: int | None, wanted: Filter) -> int:
        if limit is None or any(one is not None for one in (wanted.status, wanted.version, wanted.until)):
            return PAGE
        return min(max(limit, PROBE), PAGE)

    def _settle_all(self, window: list[Invocation]) -> None:
        self._floor = window[-1].id
        self._settle(window[0])
        for row in reversed(window):
            self._remember(row.id)

    # -- later looks ---------------------------------------------------------------------------------------------

    def probe(self) -> tuple[Batch, bool]:
        """Return what the newest rows show to be new or ended, and whether that is all there is."""
        size = PROBE_RUNNING if self._running else PROBE
        window = next(self._listing.windows(size), [])
        reset = self._started_over(window)
        batch = Batch(rows=sorted((row for row in window if self._is_new(row)), key=lambda row: row.id))
        batch.ended = self._ended(window)
        batch.incomplete = reset
        whole = self._listing.total <= len(window) or any(not self._is_new(row) for row in window)
        return batch, whole

    def collect(self, upto: int | None = None) -> Batch:
        """Page back to what was seen before and return all that is new, with ids up to `upto`."""
        batch = Batch()
        ids: set[int] = set()
        kept: dict[int, Invocation] = {}
        met = False
        for number, window in enumerate(self._listing.windows(PAGE)):
            batch.incomplete = self._started_over(window) if number == 0 else batch.incomplete
            batch.ended += self._ended(window)
            for row in window:
                if not self._is_new(row):
                    met = True
                elif (upto is None or row.id <= upto) and row.id not in ids:
                    ids.add(row.id)
                    if len(kept) < KEPT:
                        kept[row.id] = row
            if met or len(ids) >= DEEPEST:
                break
        batch.rows = [kept[one] for one in sorted(kept)]
        batch.deep = sorted(ids - kept.keys())
        if not met and self.newest is not None and ids:
            batch.incomplete = batch.incomplete or (
                f"more than {DEEPEST} invocations came at once"
                if len(ids) >= DEEPEST
                else "the invocations seen last are no longer listed, so some after them may be missing"
            )
        return batch

    def rows(self, batch: Batch) -> Iterator[Invocation]:
        """Yield the new rows of a batch, oldest first; `hand_out` settles each. Raises ApiFailure in between."""
        deep = batch.deep
        for _ in range(_SEARCHES):
            if not deep:
                break
            found: set[int] = set()
            for one, row in self._listing.find(deep, len(batch.rows) + len(deep) - 1, PAGE):
                found.add(one)
                if row is None:
                    self._remember(one)
                elif self._is_new(row):
                    yield row
            deep = [one for one in deep if one not in found]
        if deep:
            batch.incomplete = f"{len(deep)} invocations moved about too fast to be read"
        yield from filter(self._is_new, batch.rows)

    def hand_out(self, row: Invocation) -> None:
        """Settle a new row: it is not given again."""
        self._settle(row)
        self._remember(row.id)
        self._count += 1

    def watch(self, row: Invocation, now_s: float) -> None:
        """Look at a row that was just handed out again, until it ends, if it is RUNNING."""
        self._await(row, self._count - 1, now_s + _RECHECK_S)

    def end(self, row: Invocation) -> bool:
        """Tell whether `row` was awaited to end; it is no longer."""
        return self._running.pop(row.id, None) is not None

    def recheck(self, now_s: float) -> list[Invocation]:
        """Look for rows that were RUNNING and are no longer among the newest, each less and less often."""
        due = sorted(one for one, waiting in self._running.items() if waiting.due_s <= now_s)
        ended: list[Invocation] = []
        for cluster in self._clusters(due):
            for one, row in self._listing.find(cluster, self._offset(cluster[0]), PAGE):
                if row is None:
                    del self._running[one]
                elif row.status is not Status.RUNNING:
                    ended.append(row)
        for one in due:
            if waiting := self._running.get(one):
                waiting.pause_s = min(waiting.pause_s * 1.5, _RECHECK_MOST_S)
                waiting.due_s = now_s + waiting.pause_s
        return ended

    def _clusters(self, ids: list[int]) -> Iterator[list[int]]:
        """Split ids where more rows lie between two of them than a page or two."""
        cluster: list[int] = []
        for one in ids:
            if cluster and self._offset(cluster[-1]) - self._offset(one) > 2 * PAGE:
                yield cluster
                cluster = []
            cluster.append(one)
        if cluster:
            yield cluster

    def _offset(self, one: int) -> int:
        """Guess how many rows are newer than a RUNNING one."""
        return max(self._count - 1 - self._running[one].ordinal, 0)

    def _await(self, row: Invocation, ordinal: int, due_s: float) -> None:
        if row.status is not Status.RUNNING:
            return
        if len(self._running) >= _RUNNING_KEPT:
            del self._running[min(self._running)]
        self._running[row.id] = _Running(ordinal, due_s)

    # -- what is settled -----------------------------------------------------------------------------------------

    def _is_new(self, row: Invocation) -> bool:
        return (
            row.id > self._floor
            and row.id not in self._seen
            and (self._not_before is None or row.created_time >= self._not_before)
        )

    def _ended(self, window: list[Invocation]) -> list[Invocation]:
        return [row for row in window if row.id in self._running and row.status is not Status.RUNNING]

    def _settle(self, row: Invocation) -> None:
        if self.newest is None or row.id > self.newest.id:
            self.newest = row

    def _remember(self, one: int) -> None:
        if one in self._seen:
            return
        self._seen.add(one)
        self._order.append(one)
        if len(self._order) > REMEMBERED:
            oldest = self._order.popleft()
            self._seen.discard(oldest)
            self._floor = max(self._floor, oldest)

    def _started_over(self, window: list[Invocation]) -> str | None:
        """Begin anew when the newest row has a lower id than one seen before and yet was made after it."""
        if not window or self.newest is None or window[0].id >= self.newest.id:
            return None
        if window[0].created_time <= self.newest.created_time:
            # A copy of the list that lags behind; it will catch up.
            return None
        self.restart()
        return "the log has started over"

    def restart(self) -> None:
        """Take ids as unseen again, but no row that is older than what was seen."""
        if self.newest is not None:
            self._not_before = self.newest.created_time
        self.newest = None
        self._forget()
