"""How one page of a list is selected."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from ckfunc.emulator.store import matching
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.matching import Condition
from ckfunc.model.page import Page

T = TypeVar("T")

_STEP_ROWS = 500


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which page: `number` counts from 0; `order_by` is SQL made from a table of known columns, never from a request.

    `query` is the sort as it was asked for, for the page's own links.
    """

    number: int
    size: int
    order_by: str
    query: tuple[tuple[str, str], ...] = ()


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
    """Return a page of `SELECT columns FROM source`, each row with `read`; `source` is everything after FROM.

    `total` is how many rows there are, for a table too long to be counted.
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


def matching_ids(
    database: Database, table: str, source: str, parameters: Sequence[Any], conditions: Sequence[Condition]
) -> Generator[None, None, list[int]]:
    """Return the ids of those rows of `table` in `source` for which all of the conditions hold, found in small steps.

    `source` is SQL after FROM, with a WHERE.
    """
    sql = (
        f"SELECT {table}.id, {matching.FUNCTION}({table}.properties, ?) FROM {source} AND {table}.id > ?"  # noqa: S608 - ours
        f" ORDER BY {table}.id LIMIT {_STEP_ROWS}"
    )
    wanted, found, last = matching.written(conditions), list[int](), 0
    while rows := database.all(sql, wanted, *parameters, last):
        found += [row[0] for row in rows if row[1]]
        last = rows[-1][0]
        yield
    return found
