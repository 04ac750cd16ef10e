"""Past invocations: the newest of several functions, or one by its id.

The platform can only list the invocations of a function, so an id is found with a binary search in the list.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import nearest
from ckfunc.base.workers import in_order
from ckfunc.logs.entries import EVERY, Filter, Gap, LogEntry
from ckfunc.logs.tail import DEEPEST, Tail
from ckfunc.model.application import Function, Invocation, Status
from ckfunc.model.triggers import BY_TYPE

if TYPE_CHECKING:
    from ckfunc.api import Client  # brings the HTTP client, which the --help of commands does not need

_SIZE = 100
DETAILED_AT_ONCE = 100
"""How many invocations' details are requested from an emulator at a time."""
TypedRow = tuple[str, Invocation]
"""A function's type, and an invocation of it."""


def recent(
    client: Client,
    functions: Iterable[Function],
    limit: int | None = None,
    row_filter: Filter = EVERY,
    left_out: Callable[[], object] = lambda: None,
) -> Iterator[LogEntry | Gap]:
    """Yield the newest `limit` (None: all) matching invocations of all `functions`, oldest first. Raises ApiFailure.

    `left_out` is called after the last one if the limit left out older ones.
    """
    tails = [Tail(client, function) for function in functions]
    rows = started(tails, limit, row_filter)
    newest_rows = newest(rows, limit)
    yield from cut_off(tails)
    for start in range(0, len(newest_rows), DETAILED_AT_ONCE):
        yield from detailed(client, newest_rows[start : start + DETAILED_AT_ONCE])
    if limit and (len(rows) > len(newest_rows) or any(tail.left_off for tail in tails)):
        left_out()


def started(
    tails: Sequence[Tail], limit: int | None, row_filter: Filter, since: Mapping[str, datetime] | None = None
) -> list[TypedRow]:
    """Start all tails, and return the newest `limit` rows of each, by ascending id. Raises ApiFailure.

    `since` replaces the filter's `since` for some functions, by type.
    """
    own = {name: replace(row_filter, since=moment) for name, moment in (since or {}).items()}
    first_rows = in_order(tails, lambda tail: tail.start(limit, own.get(tail.function.type, row_filter)))
    lists = [[(tail.function.type, row) for row in rows] for tail, rows in zip(tails, first_rows, strict=True)]
    return list(heapq.merge(*lists, key=lambda entry: entry[1].id))


def newest(rows: list[TypedRow], limit: int | None) -> list[TypedRow]:
    """Return the last `limit` rows (None: all)."""
    return rows if limit is None else rows[max(len(rows) - limit, 0) :]


def cut_off(tails: Iterable[Tail]) -> Iterator[Gap]:
    """Yield a gap for each tail with more invocations than can be searched."""
    for tail in tails:
        if tail.cut_off:
            yield Gap(tail.function.type, f"only the newest {DEEPEST} invocations were searched")


def detailed(client: Client, rows: Sequence[TypedRow]) -> list[LogEntry]:
    """Return entries. From an emulator, those of finished runs have details."""
    from ckfunc.api.emulator import invocation_details

    ended = [row.id for _, row in rows if row.status is not Status.RUNNING] if client.emulator_id else []
    details = invocation_details(client, ended) if ended else {}
    return [LogEntry(trigger_type, row, details.get(row.id)) for trigger_type, row in rows]


class UnknownFunction(CkfuncError):
    """The application has no function of a requested type."""


class NoSuchInvocation(CkfuncError):
    """The target has no invocation with this id."""


def deployed_functions(client: Client, types: Collection[str]) -> list[Function]:
    """Return the application's functions of `types` (empty: all), sorted by type."""
    functions = [function for function in client.functions() if not types or function.type in types]
    return sorted(functions, key=lambda function: function.type)


def undeployed(types: Collection[str], functions: Iterable[Function]) -> list[str]:
    """Return the `types` that none of the functions has, sorted."""
    return sorted(set(types) - {function.type for function in functions})


def require_deployed(types: Collection[str], functions: Iterable[Function]) -> None:
    """Raise UnknownFunction if none of the functions has one of the `types`."""
    if missing := undeployed(types, functions):
        raise UnknownFunction(
            f"the application has no function of type {', '.join(map(repr, missing))}",
            hint="`ckfunc diff` shows the deployed functions; -f also waits for new ones",
        )


def read_invocation(client: Client, invocation_id: int, trigger_type: str | None = None, *, target: str) -> LogEntry:
    """Return an invocation, with the emulator's details if available. Only reads.

    `trigger_type` limits the search to one function. NoSuchInvocation names the `target`.
    """
    functions = [function for function in client.functions() if trigger_type in (None, function.type)]
    match = find_invocation(client, functions, invocation_id)
    if match is None:
        of = f" of {trigger_type}" if trigger_type else ""
        none = f": no function of type {trigger_type} is deployed" if trigger_type and not functions else ""
        raise NoSuchInvocation(
            f"target {target!r} has no invocation {invocation_id}{of}{none}",
            hint="`ckfunc logs` shows the ids; --target selects another target",
        )
    function, row = match
    return detailed(client, [(function.type, row)])[0]


def find_invocation(
    client: Client, functions: Iterable[Function], invocation_id: int
) -> tuple[Function, Invocation] | None:
    """Return the function and its invocation, or None. Only reads.

    A recent invocation takes one request, others about log2 of the number of pages.
    """
    for function in functions:
        newest = client.invocations(function.id, size=_SIZE).items
        match = _with_id(newest, invocation_id)
        if match is None and newest and invocation_id < newest[-1].id:
            match = _search(client, function.id, invocation_id)
        if match is not None:
            return function, match
    return None


def first_seen(client: Client, function: Function) -> dict[int, datetime]:
    """Return the time of each version's first invocation, by version number, among the newest invocations."""
    rows = client.invocations(function.id, size=_SIZE).items
    return {row.version_number: row.created_time for row in sorted(rows, key=lambda row: row.id, reverse=True)}


def _search(client: Client, function_id: int, invocation_id: int) -> Invocation | None:
    # Oldest first, so that pages do not move while invocations are added.
    first, last = 0, client.invocations(function_id, size=_SIZE, sort="id,asc").total_pages - 1
    highest = 0
    while first <= last:
        middle = (first + last) // 2
        page = client.invocations(function_id, page=middle, size=_SIZE, sort="id,asc")
        items = page.items
        if not items or invocation_id < items[0].id:
            last = middle - 1
        elif invocation_id > items[-1].id:
            first = middle + 1
            # The platform may not know the number of pages: then only the next one is certain, if pages differ at all.
            if items[-1].id > highest:
                last = max(last, min(first, page.total_pages - 1))
            highest = max(highest, items[-1].id)
        else:
            return _with_id(items, invocation_id)
    return None


def _with_id(items: Iterable[Invocation], invocation_id: int) -> Invocation | None:
    return next((item for item in items if item.id == invocation_id), None)


def reason_nothing_ran(client: Client, trigger_type: str, own_types: Callable[[], Collection[str]]) -> tuple[str, str]:
    """Return the reason why no function handled an event, and a hint. `own_types` reads those of the manifest."""
    if any(function.type == trigger_type and function.current_version_number for function in client.functions()):
        return f"the function of {trigger_type} is disabled", "enable it in the emulator's dashboard"
    meant = None if trigger_type in BY_TYPE else nearest(trigger_type, BY_TYPE)
    if trigger_type in own_types():
        hint = "run `ckfunc deploy`"
    elif meant:
        hint = f"did you mean {meant}?"
    else:
        hint = f"add one with `ckfunc new {trigger_type}`, then run `ckfunc deploy`"
    return f"no function handles {trigger_type}", hint
