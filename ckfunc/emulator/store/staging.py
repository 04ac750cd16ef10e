"""How rows are gathered before they are written at once: in a table of the connection's own, so that nobody waits.

Only the last step, SQL from there into the real tables, keeps other writers out, and it is one transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.jobs import JobFailed

BATCH_ROWS = 200

# Entries that were imported before, by their idempotency key; `scope` says what they are, and in which channel.
SCHEMA = """
CREATE TABLE import_keys (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID
"""


@contextmanager
def staged(
    database: Database, columns: Sequence[str], rows: Iterable[Sequence[Any]], pause: Callable[[], None]
) -> Iterator[None]:
    """Gather `rows` in the table `staged` (position, key, columns…), without those that repeat an earlier one's key.

    Each row begins with its key (None: no key); positions count from 1. `pause` is called now and then.
    """
    database.execute(f"CREATE TEMP TABLE staged (position INTEGER PRIMARY KEY, key TEXT, {', '.join(columns)})")
    try:
        marks = ", ".join("?" * (len(columns) + 2))
        numbered = ((position, *row) for position, row in enumerate(rows, 1))
        while batch := list(islice(numbered, BATCH_ROWS)):
            database.execute("BEGIN")  # not the immediate one, which would keep other writers out
            try:
                database.executemany(f"INSERT INTO staged VALUES ({marks})", batch)  # noqa: S608 - of our own modules
            finally:
                database.execute("COMMIT")
            pause()
        database.execute(
            "DELETE FROM staged WHERE key IS NOT NULL"
            " AND position NOT IN (SELECT min(position) FROM staged WHERE key IS NOT NULL GROUP BY key)"
        )
        pause()
        yield
    finally:
        database.execute("DROP TABLE staged")


def drop_known(database: Database, scope: str) -> None:
    """Forget the staged rows whose keys were imported before, and remember the keys of the others."""
    database.execute("DELETE FROM staged WHERE key IN (SELECT key FROM import_keys WHERE scope = ?)", (scope,))
    database.execute("INSERT INTO import_keys SELECT ?, key FROM staged WHERE key IS NOT NULL", (scope,))


def refuse(database: Database, sql: str, sentence: str) -> None:
    """Fail with `sentence` when `sql` finds a staged row: its columns are the position and what goes into `{}`.

    Raises JobFailed.
    """
    row = database.one(f"{sql} ORDER BY 1 LIMIT 1")
    if row is not None:
        raise JobFailed(f"entry {row[0]}: " + sentence.format(*(repr(value)[:100] for value in tuple(row)[1:])))
