"""How one page of a list that grows at its head is selected: by id, so that a page costs the same wherever it lies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import listed
from ckfunc.model.page import Cursor, CursorPage, Relation

T = TypeVar("T")

_STEP_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class CursorRequest:
    """Which page of a cursor list, and how many rows at most."""

    cursor: Cursor
    size: int


def select_cursor_page(
    database: Database,
    columns: str,
    source: str,
    parameters: tuple[Any, ...],
    *,
    request: CursorRequest,
    read: Callable[[Sequence[sqlite3.Row]], tuple[T, ...]],
) -> CursorPage[T]:
    """Return a page of `SELECT columns FROM source`, highest `id` first, all of its rows read at once with `read`.

    `source` is everything after FROM, ends in a WHERE condition, and has an index that ends in `id`.
    """
    bound, value, order = window(request.cursor)
    rows = database.all(
        f"SELECT {columns} FROM {source}{bound} ORDER BY id {order} LIMIT ?",  # noqa: S608 - SQL of our own modules
        *parameters,
        *value,
        request.size + 1,
    )
    more = len(rows) > request.size
    rows = rows[: request.size]
    if order == "ASC":
        rows.reverse()
        # What lies before a page was reached from that page: there is something after it.
        more = True
    ids = [row["id"] for row in rows]
    return CursorPage(
        items=read(rows),
        size=request.size,
        start=ids[0] if ids else None,
        next=ids[-1] if ids else None,
        has_next=more and bool(ids),
    )


def search_cursor_page(
    database: Database,
    columns: str,
    source: str,
    parameters: tuple[Any, ...],
    *,
    condition: str,
    value: Any,
    request: CursorRequest,
    read: Callable[[Sequence[sqlite3.Row]], tuple[T, ...]],
) -> Generator[None, None, CursorPage[T]]:
    """Return such a page of the rows for which the SQL `condition`, with the parameter `value`, is true.

    No index helps to find them: they are searched for in small steps.
    """
    bound, at, order = window(request.cursor)
    beyond, until = ("<", ">=") if order == "DESC" else (">", "<=")
    ids: list[int] = []
    while len(ids) <= request.size:
        reach = f"FROM {source}{bound}"
        last = database.one(
            f"SELECT id {reach} ORDER BY id {order} LIMIT 1 OFFSET {_STEP_ROWS}",
            *parameters,
            *at,
        )
        edge = "" if last is None else f" AND id {until} {last[0]}"
        rows = database.all(
            f"SELECT id {reach}{edge} AND {condition} ORDER BY id {order} LIMIT ?",
            *parameters,
            *at,
            value,
            request.size + 1,
        )
        ids += [row[0] for row in rows]
        if last is None:
            break
        bound, at = f" AND id {beyond} ?", (last[0],)
        yield
    found = f"{source} AND id IN (SELECT value FROM json_each(?))"  # noqa: S608 - the same
    return select_cursor_page(database, columns, found, (*parameters, listed(ids)), request=request, read=read)


def window(cursor: Cursor) -> tuple[str, tuple[int, ...], str]:
    """Return which ids a page may hold, as SQL with its parameters, and the order in which to look for them."""
    if cursor.relation is Relation.NEXT and cursor.next is not None:
        return " AND id < ?", (cursor.next,), "DESC"
    if cursor.relation is Relation.PREVIOUS and cursor.start is not None:
        return " AND id > ?", (cursor.start,), "ASC"
    if cursor.start is not None:
        return " AND id <= ?", (cursor.start,), "DESC"
    return "", (), "DESC"
