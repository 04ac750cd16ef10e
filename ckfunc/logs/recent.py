"""The newest invocations of several functions, in one order."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.workers import in_order
from ckfunc.logs.entries import EVERY, Filter, Gap, LogEntry
from ckfunc.logs.tail import DEEPEST, Tail
from ckfunc.model.function import Function, Invocation, Status

if TYPE_CHECKING:
    from ckfunc.api import Client

DETAILED_AT_ONCE = 100
"""How many invocations' details are requested from an emulator at a time."""

Found = tuple[str, Invocation, bool]
"""A function's type, an invocation of it, and whether that was already yielded while RUNNING."""


def recent(
    client: Client,
    functions: Iterable[Function],
    limit: int | None = None,
    wanted: Filter = EVERY,
    left_out: Callable[[], object] = lambda: None,
) -> Iterator[LogEntry | Gap]:
    """Yield the newest `limit` (None: all) matching invocations of all `functions`, oldest first. Raises ApiFailure.

    `left_out` is called after the last one if the limit left out older ones.
    """
    tails = [Tail(client, function) for function in functions]
    rows = started(tails, limit, wanted)
    found = newest(rows, limit)
    yield from cut_off(tails)
    for start in range(0, len(found), DETAILED_AT_ONCE):
        yield from detailed(client, found[start : start + DETAILED_AT_ONCE])
    if limit and (len(rows) > len(found) or any(tail.left_off for tail in tails)):
        left_out()


def started(
    tails: Sequence[Tail], limit: int | None, wanted: Filter, since: Mapping[str, datetime] | None = None
) -> list[Found]:
    """Start all tails, and return the newest `limit` rows of each, by ascending id. Raises ApiFailure.

    `since` replaces the filter's `since` for some functions, by type.
    """
    own = {name: replace(wanted, since=moment) for name, moment in (since or {}).items()}
    found = in_order(tails, lambda tail: tail.start(limit, own.get(tail.function.type, wanted)))
    lists = [[(tail.function.type, row, False) for row in rows] for tail, rows in zip(tails, found, strict=True)]
    return list(heapq.merge(*lists, key=lambda entry: entry[1].id))


def newest(rows: list[Found], limit: int | None) -> list[Found]:
    """Return the last `limit` rows (None: all)."""
    return rows if limit is None else rows[max(len(rows) - limit, 0) :]


def cut_off(tails: Iterable[Tail]) -> Iterator[Gap]:
    """Yield a gap for each tail with more invocations than can be searched."""
    for tail in tails:
        if tail.cut_off:
            yield Gap(tail.function.type, f"only the newest {DEEPEST} invocations were searched")


def detailed(client: Client, found: Sequence[Found]) -> list[LogEntry]:
    """Return entries. From an emulator, those of finished runs have details."""
    from ckfunc.api.emulator import invocation_details

    ended = [row.id for _, row, _ in found if row.status is not Status.RUNNING] if client.emulator_id else []
    details = invocation_details(client, ended) if ended else {}
    return [LogEntry(trigger_type, row, details.get(row.id), again) for trigger_type, row, again in found]
