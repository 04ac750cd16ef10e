"""How one page of a list is selected."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from ckfunc.emulator.store.database import Database
from ckfunc.model.page import Page

T = TypeVar("T")


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
