"""Lookup of an invocation by id.

The platform only lists the invocations of a function, so this is a binary search in its list.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ckfunc.api import Client
from ckfunc.base.errors import CkfuncError
from ckfunc.logs.entries import LogEntry
from ckfunc.logs.recent import detailed
from ckfunc.model.function import Function, Invocation

_SIZE = 100


class NoSuchInvocation(CkfuncError):
    """The target has no invocation of this id."""


def read_invocation(client: Client, invocation_id: int, trigger_type: str | None = None, *, target: str) -> LogEntry:
    """Return an invocation with the emulator's record of it, if there is one. Only reads.

    With a `trigger_type`, only the function of that type is searched. `target` is named in NoSuchInvocation.
    """
    functions = [one for one in client.functions() if trigger_type in (None, one.type)]
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
    """Return the invocation of one of `functions` and that function, or None. Only reads.

    It takes one request for a recent one, and for others about as many as its list can be halved.
    """
    for function in functions:
        newest = client.invocations(function.id, size=_SIZE).items
        found = _among(newest, invocation_id)
        if found is None and newest and invocation_id < newest[-1].id:
            found = _search(client, function.id, invocation_id)
        if found is not None:
            return function, found
    return None


def first_seen(client: Client, function: Function) -> dict[int, datetime]:
    """Return the time of the first invocation of each version, by number, among the newest of the function."""
    rows = client.invocations(function.id, size=_SIZE).items
    return {row.version_number: row.created_time for row in sorted(rows, key=lambda one: one.id, reverse=True)}


def _search(client: Client, function_id: int, invocation_id: int) -> Invocation | None:
    # The oldest first: pages keep their places while new invocations come.
    first, last = 0, client.invocations(function_id, size=_SIZE, sort="id,asc").total_pages - 1
    while first <= last:
        middle = (first + last) // 2
        items = client.invocations(function_id, page=middle, size=_SIZE, sort="id,asc").items
        if not items or invocation_id < items[0].id:
            last = middle - 1
        elif invocation_id > items[-1].id:
            first = middle + 1
        else:
            return _among(items, invocation_id)
    return None


def _among(items: Iterable[Invocation], invocation_id: int) -> Invocation | None:
    return next((one for one in items if one.id == invocation_id), None)
