"""Import rows in small steps that can be undone.

Rows are staged and checked in a temporary table, so that other requests do not wait. They are written to the real
tables in batches, each in a transaction that also notes the created rows. Until the last batch is written, the notes
allow to undo an import: after a failure, or when the emulator starts again after it ended.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ckfunc.emulator.store import channels, deletion, jobs, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.jobs import JobFailed
from ckfunc.emulator.store.steps import ROWS, Steps, listed, run

_BATCH_CHARACTERS = 128 * 1024

# Entries imported earlier, by their idempotency key; `scope` is their kind, and the channel of members.
SCHEMA = """
CREATE TABLE import_keys (
  scope TEXT NOT NULL,
  key TEXT NOT NULL,
  PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID
"""

# Rows written by the import or seed in progress, otherwise empty. `ids` are those of the new rows, or of the users for
# memberships.
STEPS_ADDED = """
CREATE TABLE IF NOT EXISTS import_steps (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  ids TEXT NOT NULL,
  keys TEXT NOT NULL
) STRICT
"""
"""Migrates a database from version 2 to 3."""

Turn = Callable[[], AbstractContextManager[None]]
"""Opens a short transaction. Neither the caller nor others wait for long."""

Batch = tuple[int, int]
"""The first and the last position of a batch of staged rows."""

USERS = "users"
CHANNELS = "channels"
MESSAGES = "messages"
_MEMBERS = "members of "


def members_of(channel_id: int) -> str:
    """Return the scope of a channel's members."""
    return f"{_MEMBERS}{channel_id}"


@contextmanager
def staging(database: Database, *columns: str, index: str = "") -> Iterator[None]:
    """Create the table `staged` (position, key, columns…). `index` are the columns by which equal rows are found."""
    database.execute(f"CREATE TEMP TABLE staged (position INTEGER PRIMARY KEY, key TEXT, {', '.join(columns)})")
    try:
        database.execute("CREATE INDEX temp.staged_by_key ON staged (key) WHERE key IS NOT NULL")
        if index:
            database.execute(f"CREATE INDEX temp.staged_by_value ON staged ({index})")
        yield
    finally:
        database.execute("DROP TABLE staged")


def staged(database: Database, scope: str, rows: Iterable[Sequence[Any]]) -> Iterator[Batch]:
    """Stage `rows`, and yield each batch, without rows whose key was imported before or is earlier in the file.

    The first value of a row is its key (None: no key). Positions count from 1.
    """
    last = 0
    for batch in _batches(rows):
        first, last = last + 1, last + len(batch)
        marks = ", ".join("?" * (len(batch[0]) + 1))
        database.execute("BEGIN")  # not IMMEDIATE, which would keep other writers out
        try:
            numbered = [(position, *row) for position, row in enumerate(batch, first)]
            database.executemany(f"INSERT INTO staged VALUES ({marks})", numbered)  # noqa: S608 - of our own modules
        finally:
            database.execute("COMMIT")
        database.execute(
            "DELETE FROM staged WHERE position BETWEEN ? AND ? AND key IS NOT NULL"
            " AND (key IN (SELECT key FROM import_keys WHERE scope = ?) OR EXISTS"
            " (SELECT 1 FROM staged AS earlier WHERE earlier.key = staged.key AND earlier.position < staged.position))",
            (first, last, scope),
        )
        yield first, last


def _batches(rows: Iterable[Sequence[Any]]) -> Iterator[list[Sequence[Any]]]:
    """Yield rows in batches of at most as many as a step may write."""
    batch: list[Sequence[Any]] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += sum(len(value) for value in row if isinstance(value, str))
        if len(batch) == ROWS or characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def write(
    database: Database,
    job_id: int,
    scope: str,
    batches: Iterable[Batch],
    turn: Turn,
    insert: Callable[[Batch], Sequence[int]],
) -> Steps:
    """Write the staged rows, and then finish the job. `insert` writes a batch, and returns the ids of new rows."""
    for batch in batches:
        with turn():
            new_ids = insert(batch)
            found = database.all("SELECT key FROM staged WHERE position BETWEEN ? AND ? AND key IS NOT NULL", *batch)
            keys = json.dumps([row[0] for row in found])
            database.execute("INSERT INTO import_keys SELECT ?, value FROM json_each(?)", (scope, keys))
            note(database, scope, new_ids, keys)
        yield
    with turn():
        discard_notes(database)
        jobs.finish(database, job_id)


def note(database: Database, scope: str, ids: Sequence[int], keys: str = "[]") -> None:
    """Note the rows that a step has created. Must be called in the transaction of the step."""
    database.execute("INSERT INTO import_steps (scope, ids, keys) VALUES (?, ?, ?)", (scope, listed(ids), keys))


def discard_notes(database: Database) -> None:
    """Delete the notes after everything was written."""
    database.execute("DELETE FROM import_steps")


def undo_unfinished(database: Database, turn: Turn) -> Steps:
    """Undo an unfinished import or seed, last rows first, with everything that depends on them."""
    while (row := database.one("SELECT * FROM import_steps ORDER BY id DESC LIMIT 1")) is not None:
        with turn():
            for row_id in reversed(json.loads(row["ids"])):
                _remove(database, row["scope"], row_id)
            database.execute(
                "DELETE FROM import_keys WHERE scope = ? AND key IN (SELECT value FROM json_each(?))",
                (row["scope"], row["keys"]),
            )
            database.execute("DELETE FROM import_steps WHERE id = ?", (row["id"],))
        yield


def _remove(database: Database, scope: str, row_id: int) -> None:
    if scope == USERS:
        user = users.get(database, row_id)
        if user is not None:
            run(deletion.delete_user(database, user))
    elif scope == CHANNELS:
        run(deletion.delete_channel(database, row_id))
    elif scope == MESSAGES:
        run(deletion.delete_message(database, row_id))
    else:
        channels.remove_member(database, int(scope.removeprefix(_MEMBERS)), row_id)


def refuse(database: Database, sql: str, batch: Batch, sentence: str) -> None:
    """Fail with `sentence` if `sql` finds a row of the batch.

    The first two `?` in `sql` are the batch. Its columns are the position and the values for `{}`. Raises JobFailed.
    """
    row = database.one(f"{sql} ORDER BY 1 LIMIT 1", *batch)
    if row is not None:
        raise JobFailed(f"entry {row[0]}: " + sentence.format(*(repr(value)[:100] for value in tuple(row)[1:])))
