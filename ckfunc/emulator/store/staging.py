"""Import rows in small steps that can be undone.

Rows are staged and checked in a temporary table, so that other requests do not wait. They are written to the real
tables a few at a time, each batch in a transaction that also notes what it has created. Until the last batch is
written, an import can be undone with these notes: after a failure, or at the next start after the end of the emulator.
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

# Rows written by the import or seed in progress, otherwise empty: `ids` are those of the new rows, for members of
# the users.
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
"""A short transaction that neither waits nor makes others wait for long."""

Batch = tuple[int, int]
"""The first and the last position of some staged rows."""

USERS = "users"
CHANNELS = "channels"
MESSAGES = "messages"
_MEMBERS = "members of "


def members_of(channel_id: int) -> str:
    """Return the scope of a channel's members."""
    return f"{_MEMBERS}{channel_id}"


@contextmanager
def staging(database: Database, *columns: str, index: str = "") -> Iterator[None]:
    """Create the table `staged` (position, key, columns…); `index` names the columns by which equal rows are found."""
    database.execute(f"CREATE TEMP TABLE staged (position INTEGER PRIMARY KEY, key TEXT, {', '.join(columns)})")
    try:
        database.execute("CREATE INDEX temp.staged_by_key ON staged (key) WHERE key IS NOT NULL")
        if index:
            database.execute(f"CREATE INDEX temp.staged_by_value ON staged ({index})")
        yield
    finally:
        database.execute("DROP TABLE staged")


def staged(database: Database, scope: str, rows: Iterable[Sequence[Any]]) -> Iterator[Batch]:
    """Stage `rows` and yield each batch, without rows whose key was imported before or is earlier in the file.

    Each row begins with its key (None: no key); positions count from 1.
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
    """Yield rows in batches, as many as one step may write."""
    batch: list[Sequence[Any]] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += sum(len(one) for one in row if isinstance(one, str))
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
    """Write the staged rows, each batch with `insert`, which returns the ids of the new rows; then finish the job."""
    for batch in batches:
        with turn():
            made = insert(batch)
            found = database.all("SELECT key FROM staged WHERE position BETWEEN ? AND ? AND key IS NOT NULL", *batch)
            keys = json.dumps([row[0] for row in found])
            database.execute("INSERT INTO import_keys SELECT ?, value FROM json_each(?)", (scope, keys))
            note(database, scope, made, keys)
        yield
    with turn():
        discard_notes(database)
        jobs.finish(database, job_id)


def note(database: Database, scope: str, ids: Sequence[int], keys: str = "[]") -> None:
    """Note the rows that a step has created; call it in the step's transaction."""
    database.execute("INSERT INTO import_steps (scope, ids, keys) VALUES (?, ?, ?)", (scope, listed(ids), keys))


def discard_notes(database: Database) -> None:
    """Delete the notes, because everything was written."""
    database.execute("DELETE FROM import_steps")


def undo_unfinished(database: Database, turn: Turn) -> Steps:
    """Undo an unfinished import or seed, the last rows first, with everything that depends on them by now."""
    while (row := database.one("SELECT * FROM import_steps ORDER BY id DESC LIMIT 1")) is not None:
        with turn():
            for one in reversed(json.loads(row["ids"])):
                _remove(database, row["scope"], one)
            database.execute(
                "DELETE FROM import_keys WHERE scope = ? AND key IN (SELECT value FROM json_each(?))",
                (row["scope"], row["keys"]),
            )
            database.execute("DELETE FROM import_steps WHERE id = ?", (row["id"],))
        yield


def _remove(database: Database, scope: str, one: int) -> None:
    if scope == USERS:
        user = users.get(database, one)
        if user is not None:
            run(deletion.delete_user(database, user))
    elif scope == CHANNELS:
        run(deletion.delete_channel(database, one))
    elif scope == MESSAGES:
        run(deletion.delete_message(database, one))
    else:
        channels.remove_member(database, int(scope.removeprefix(_MEMBERS)), one)


def refuse(database: Database, sql: str, batch: Batch, sentence: str) -> None:
    """Fail with `sentence` if `sql` finds a row of the batch.

    The first two `?` of `sql` are the batch; its columns are the position and the values for `{}`. Raises JobFailed.
    """
    row = database.one(f"{sql} ORDER BY 1 LIMIT 1", *batch)
    if row is not None:
        raise JobFailed(f"entry {row[0]}: " + sentence.format(*(repr(value)[:100] for value in tuple(row)[1:])))
