"""Lookup of an invocation by id.

The platform can only list the invocations of a function, so this is a binary search in the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError
from ckfunc.logs.entries import LogEntry
from ckfunc.logs.recent import detailed
from ckfunc.model.function import Function, Invocation

if TYPE_CHECKING:
    from ckfunc.api import Client  # brings the HTTP client, which the --help of commands does not need

_SIZE = 100


class UnknownFunction(CkfuncError):
    """The application has no function of a requested type."""


class NoSuchInvocation(CkfuncError):
    """The target has no invocation with this id."""


def deployed_functions(client: Client, types: Collection[str]) -> list[Function]:
    """Return the application's functions of `types` (empty: all), sorted by type."""
    found = [function for function in client.functions() if not types or function.type in types]
    return sorted(found, key=lambda function: function.type)


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
    found = find_invocation(client, functions, invocation_id)
    if found is None:
        of = f" of {trigger_type}" if trigger_type else ""
        none = f": no function of type {trigger_type} is deployed" if trigger_type and not functions else ""
        raise NoSuchInvocation(
            f"target {target!r} has no invocation {invocation_id}{of}{none}",
            hint="`ckfunc logs` shows the ids; --target selects another target",
        )
    function, row = found
    return detailed(client, [(function.type, row, False)])[0]


def find_invocation(
    client: Client, functions: Iterable[Function], invocation_id: int
) -> tuple[Function, Invocation] | None:
    """Return the function and its invocation, or None. Only reads.

    A recent invocation takes one request, others about log2 of the number of pages.
    """
    for function in functions:
        newest = client.invocations(function.id, size=_SIZE).items
        found = _with_id(newest, invocation_id)
        if found is None and newest and invocation_id < newest[-1].id:
            found = _search(client, function.id, invocation_id)
        if found is not None:
            return function, found
    return None


def first_seen(client: Client, function: Function) -> dict[int, datetime]:
    """Return the time of each version's first invocation, by version number, among the newest invocations."""
    rows = client.invocations(function.id, size=_SIZE).items
    return {row.version_number: row.created_time for row in sorted(rows, key=lambda row: row.id, reverse=True)}


def _search(client: Client, function_id: int, invocation_id: int) -> Invocation | None:
    # Oldest first, so that pages do not move while invocations are added.
    first, last = 0, client.invocations(function_id, size=_SIZE, sort="id,asc").total_pages - 1
    while first <= last:
        middle = (first + last) // 2
        items = client.invocations(function_id, page=middle, size=_SIZE, sort="id,asc").items
        if not items or invocation_id < items[0].id:
            last = middle - 1
        elif invocation_id > items[-1].id:
            first = middle + 1
        else:
            return _with_id(items, invocation_id)
    return None


def _with_id(items: Iterable[Invocation], invocation_id: int) -> Invocation | None:
    return next((item for item in items if item.id == invocation_id), None)
