"""Long changes in small steps, between which other requests are answered.

A generator does a part of the work in each step, in a transaction of its own. Other requests run after each step.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from ckfunc.emulator.store.database import Database

ROWS = 250
"""How many rows a step changes, which takes a few milliseconds."""

_PAGES = 200
_SLACK_PAGES = 256

T = TypeVar("T")

Steps = Generator[None, None, None]

Turn = Callable[[], AbstractContextManager[None]]
"""Opens a short transaction. Neither the caller nor others wait for long."""


def run(steps: Generator[None, None, T]) -> T:
    """Run all steps without interruption, and return their result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def delete(database: Database, table: str, condition: str, *parameters: Any, key: str = "rowid") -> Steps:
    """Delete the rows of a table for which the SQL `condition` is true; `key` identifies a row."""
    sql = f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {condition} LIMIT {ROWS})"  # noqa: S608
    while database.execute(sql, parameters).rowcount >= ROWS:
        database.committed()
        yield


def batches(database: Database, sql: str, *parameters: Any) -> Iterator[list[int]]:
    """Yield the ids that `sql` selects, in batches.

    `sql` selects one column in descending order, without a LIMIT. Its first `?` is the exclusive upper bound of the
    ids.
    """
    last = 2**63 - 1
    while batch := database.column(f"{sql} LIMIT {ROWS}", last, *parameters):
        yield batch
        last = batch[-1]


def release_space(database: Database) -> Steps:
    """Release the disk space of deleted rows, except in memory and in databases of older versions."""
    if database.path is None or database.value("PRAGMA auto_vacuum") != 2:
        return
    while database.value("PRAGMA freelist_count") > _SLACK_PAGES:
        database.all(f"PRAGMA incremental_vacuum({_PAGES})")
        database.committed()
        yield


def listed(ids: Sequence[int]) -> str:
    """Return ids as the parameter of `json_each`."""
    return json.dumps(ids)
