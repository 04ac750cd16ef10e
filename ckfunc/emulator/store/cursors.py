"""How one page of a list that grows at its head is selected: by id, so that a page costs the same wherever it lies."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ckfunc.emulator.store.database import Database
from ckfunc.model.page import Cursor, CursorPage, Relation

T = TypeVar("T")


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


def window(cursor: Cursor) -> tuple[str, tuple[int, ...], str]:
    """Return which ids a page may hold, as SQL with its parameters, and the order in which to look for them."""
    if cursor.relation is Relation.NEXT and cursor.next is not None:
        return " AND id < ?", (cursor.next,), "DESC"
    if cursor.relation is Relation.PREVIOUS and cursor.start is not None:
        return " AND id > ?", (cursor.start,), "ASC"
    if cursor.start is not None:
        return " AND id <= ?", (cursor.start,), "DESC"
    return "", (), "DESC"
