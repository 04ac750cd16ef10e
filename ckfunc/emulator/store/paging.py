"""Pages of lists, selected by offset or by cursor.

Cursor lists are paged by id, so that all pages cost the same.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, TypeVar

from ckfunc.base.frozen import frozen
from ckfunc.emulator.store.database import MATCH_FUNCTION, Condition, Database, write_conditions
from ckfunc.emulator.store.steps import listed
from ckfunc.model.page import Cursor, CursorPage, Page, Relation
from ckfunc.wire.dialects import camel

T = TypeVar("T")

_STEP_ROWS = 500
_SEARCH_STEP_ROWS = 10_000


@frozen
class PageRequest:
    """A requested page. `number` counts from 0; `order_by` is SQL of known columns, never from a request."""

    number: int
    size: int
    order_by: str


@frozen
class Sorting:
    """The columns by which a list can be sorted, as SQL by their names in camelCase, and its default order."""

    columns: Mapping[str, str]
    default: str = ""
    """Without one, the list is sorted by id."""

    @classmethod
    def of(cls, table: str, *columns: str, default: str = "") -> Self:
        """Return the orders by columns of a table."""
        return cls({camel(column): f"{table}.{column}" for column in columns}, default)

    def order_by(self, terms: Sequence[str] = ()) -> str:
        """Return the order by `terms`, or the default order, completed with the id, so that pages never overlap."""
        tail = self.columns["id"]
        order = list(terms) or [self.default or f"{tail} ASC"]
        if not any(term.split(" ")[0] == tail for term in order):
            order.append(f"{tail} {order[-1].rsplit(' ', 1)[1]}")
        return ", ".join(order)


def select_page(
    database: Database,
    columns: str,
    source: str,
    parameters: tuple[Any, ...],
    *,
    request: PageRequest,
    read: Callable[[sqlite3.Row], T],
    total: int | None = None,
) -> Page[T]:
    """Return a page of `SELECT columns FROM source`, with each row converted by `read`.

    `source` is everything after FROM. `total` is the number of rows, for tables that are too long to be counted.
    """
    if total is None:
        total = database.value(f"SELECT count(*) FROM {source}", *parameters)  # noqa: S608 - SQL of our own modules
    rows = database.all(
        f"SELECT {columns} FROM {source} ORDER BY {request.order_by} LIMIT ? OFFSET ?",  # noqa: S608 - the same
        *parameters,
        request.size,
        request.number * request.size,
    )
    return Page(tuple(read(row) for row in rows), request.number, request.size, total, -(-total // request.size))


def select_page_by_id(
    database: Database,
    table: str,
    source: str,
    parameters: tuple[Any, ...],
    *,
    request: PageRequest,
    read: Callable[[Sequence[int]], Mapping[int, T]],
    total: int | None = None,
) -> Page[T]:
    """Return a page as `select_page` does, of the rows of `table` in `source`; `read` returns rows by their ids.

    SQLite then sorts only ids, and does not read whole rows before the page.
    """
    ids = select_page(
        database, f"{table}.id", source, parameters, request=request, read=lambda row: int(row[0]), total=total
    )
    by_id = read(ids.items)
    items = tuple(by_id[row_id] for row_id in ids.items)
    return Page(items, ids.number, ids.size, ids.total_elements, ids.total_pages)


def matching_ids(
    database: Database, table: str, source: str, parameters: Sequence[Any], conditions: Sequence[Condition]
) -> Generator[None, None, list[int]]:
    """Return the ids of the rows of `table` in `source` for which all conditions match, in small steps.

    `source` is SQL after FROM, with a WHERE.
    """
    sql = (
        f"SELECT {table}.id, {MATCH_FUNCTION}({table}.properties, ?) FROM {source} AND {table}.id > ?"  # noqa: S608 - ours
        f" ORDER BY {table}.id LIMIT {_STEP_ROWS}"
    )
    written, ids, last = write_conditions(conditions), list[int](), 0
    while rows := database.all(sql, written, *parameters, last):
        ids += [row[0] for row in rows if row[1]]
        last = rows[-1][0]
        yield
    return ids


@frozen
class CursorRequest:
    """A requested page of a cursor list, and its maximum number of rows."""

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
    """Return a page of `SELECT columns FROM source`, highest `id` first, with all rows converted by `read`.

    `source` is everything after FROM, ends in a WHERE condition, and must have an index that ends in `id`.
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
        # A previous page was reached from a later one, so there is a next page.
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
    most_steps: int | None = None,
) -> Generator[None, None, CursorPage[T]]:
    """Return such a page of the rows for which the SQL `condition`, with the parameter `value`, is true.

    There is no index for the condition, so the rows are searched in small steps. After `most_steps` of them, the page
    has what was found so far, and the search goes on with the next page.
    """
    bound, at, order = window(request.cursor)
    beyond, until = ("<", ">=") if order == "DESC" else (">", "<=")
    ids: list[int] = []
    steps = 0
    while len(ids) <= request.size and steps != most_steps:
        reach = f"FROM {source}{bound}"
        last = database.one(
            f"SELECT id {reach} ORDER BY id {order} LIMIT 1 OFFSET {_SEARCH_STEP_ROWS}", *parameters, *at
        )
        edge = "" if last is None else f" AND id {until} {last[0]}"
        ids += database.column(
            f"SELECT id {reach}{edge} AND {condition} ORDER BY id {order} LIMIT ?",
            *parameters,
            *at,
            value,
            request.size + 1,
        )
        if last is None:
            break
        bound, at = f" AND id {beyond} ?", (last[0],)
        steps += 1
        yield
    matching = f"{source} AND id IN (SELECT value FROM json_each(?))"  # noqa: S608 - the same
    page = select_cursor_page(database, columns, matching, (*parameters, listed(ids)), request=request, read=read)
    if last is None or len(ids) > request.size:
        return page
    return replace(page, next=last[0], has_next=True)


def select_by_ids(database: Database, columns: str, table: str, ids: Iterable[int | None]) -> list[sqlite3.Row]:
    """Return the rows of `table` with these ids, as far as they exist; None is skipped."""
    row_ids = sorted({row_id for row_id in ids if row_id is not None})
    if not row_ids:
        return []
    sql = f"SELECT {columns} FROM {table} WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - names of ours
    return database.all(sql, json.dumps(row_ids))


def where(*conditions: tuple[str, Any]) -> tuple[str, tuple[Any, ...]]:
    """Return SQL with those conditions whose parameter is not None, and the parameters."""
    applied = [(sql, value) for sql, value in conditions if value is not None]
    return " AND ".join(sql for sql, _ in applied) or "TRUE", tuple(value for _, value in applied)


def containing(text: str) -> str:
    """Return the pattern for `LIKE ? ESCAPE '!'` of texts that contain a text."""
    return f"%{text.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"


def window(cursor: Cursor) -> tuple[str, tuple[int, ...], str]:
    """Return SQL that limits the ids of a page, its parameters, and the order in which to search."""
    if cursor.relation is Relation.NEXT and cursor.next is not None:
        return " AND id < ?", (cursor.next,), "DESC"
    if cursor.relation is Relation.PREVIOUS and cursor.start is not None:
        return " AND id > ?", (cursor.start,), "ASC"
    if cursor.start is not None:
        return " AND id <= ?", (cursor.start,), "DESC"
    return "", (), "DESC"
