"""Import the entries of a file in small steps: all of them, or none.

Each function takes the entries in the order of the file. First, all entries are staged in a temporary table and
checked, so that other requests do not wait. Then they are written, a batch in each `turn`, which also notes the created
rows; the last turn also finishes the job `job_id`. If a step raises, or the emulator ends, `undo_unfinished` undoes the
changes. An entry is skipped if its idempotency key was imported before, or is earlier in the file. Imports create no
notifications and fire no events, which is our choice, as no source documents it. All imports raise JobFailed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.emulator.store import channels, deletion, jobs, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.jobs import JobFailed
from ckfunc.emulator.store.steps import ROWS, Steps, Turn, listed, run
from ckfunc.model.chat import ChannelType, Presence, UserType
from ckfunc.model.job import ChannelImport, MemberImport, MessageImport, UserImport

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
STEPS_SCHEMA = """
CREATE TABLE IF NOT EXISTS import_steps (
  id INTEGER PRIMARY KEY,
  scope TEXT NOT NULL,
  ids TEXT NOT NULL,
  keys TEXT NOT NULL
) STRICT
"""
"""Migrates a database from version 2 to 3."""

Batch = tuple[int, int]
"""The first and the last position of a batch of staged rows."""

USERS = "users"
CHANNELS = "channels"
MESSAGES = "messages"
_MEMBERS = "members of "


def add_users(database: Database, entries: Iterable[UserImport], job_id: int, turn: Turn) -> Steps:
    """Create users. An existing name makes the import fail, so that no user is overwritten."""

    def check(batch: Batch) -> None:
        _refuse(database, _REPEATED_NAME, batch, "the name {} appears twice")
        _refuse(database, _TAKEN_NAME, batch, "user {} already exists")

    def insert(batch: Batch) -> list[int]:
        _refuse(database, _TAKEN_NAME, batch, "user {} already exists")
        base = _last_id(database, "users")
        database.execute(
            "INSERT INTO users (type, name, display_name, display_picture_url, is_guest, presence_status,"
            " properties, created_time)"
            " SELECT ?, name, display_name, picture, is_guest, ?, properties, ? FROM staged"
            " WHERE position BETWEEN ? AND ? ORDER BY position",
            (UserType.PERSON.value, Presence().status, timestamp(database.now()), *batch),
        )
        return database.column("SELECT id FROM users WHERE id > ?", base)

    rows = (
        (
            entry.key,
            entry.name,
            entry.display_name,
            entry.is_guest,
            entry.picture_url,
            json.dumps(dict(entry.properties)),
        )
        for entry in entries
    )
    columns = ("name TEXT", "display_name TEXT", "is_guest INTEGER", "picture TEXT", "properties TEXT")
    with _staging(database, *columns, index="name"):
        batches = yield from _checked(_staged(database, USERS, rows), check)
        yield from _write(database, job_id, USERS, batches, turn, insert)


def add_channels(database: Database, entries: Iterable[ChannelImport], job_id: int, turn: Turn) -> Steps:
    """Create channels with their members. An equivalent channel, stored or earlier in the file, is not changed."""
    names = ("type", "name", "display_name", "creator", "members", "properties", "member_ids")
    columns = [f"{name} TEXT" for name in names]
    members = "(position INTEGER, user_id INTEGER, PRIMARY KEY (position, user_id)) WITHOUT ROWID"
    with _staging(database, *columns), _temporary(database, "staged_members", members):
        staged = _staged(database, CHANNELS, (_channel_row(entry) for entry in entries))
        batches = yield from _checked(staged, lambda batch: _gather_members(database, batch))
        yield from _write(database, job_id, CHANNELS, batches, turn, lambda batch: _insert_channels(database, batch))


def add_members(database: Database, channel_id: int, entries: Iterable[MemberImport], job_id: int, turn: Turn) -> Steps:
    """Make users members of a channel. Existing memberships are not changed."""

    def insert(batch: Batch) -> list[int]:
        _refuse(database, _UNKNOWN_USER, batch, "there is no user {}")
        if database.one("SELECT 1 FROM channels WHERE id = ?", channel_id) is None:
            raise JobFailed(f"channel {channel_id} no longer exists")
        new_ids = database.column(
            "SELECT DISTINCT users.id FROM staged JOIN users ON users.name = username"
            " WHERE position BETWEEN ? AND ? AND NOT EXISTS"
            " (SELECT 1 FROM channel_members WHERE channel_id = ? AND user_id = users.id)",
            *batch,
            channel_id,
        )
        database.execute(
            "INSERT INTO channel_members (channel_id, user_id, created_time) SELECT ?, value, ? FROM json_each(?)",
            (channel_id, timestamp(database.now()), listed(new_ids)),
        )
        return new_ids

    scope = members_of(channel_id)
    with _staging(database, "username TEXT"):
        staged = _staged(database, scope, ((entry.key, entry.username) for entry in entries))
        batches = yield from _checked(
            staged, lambda batch: _refuse(database, _UNKNOWN_USER, batch, "there is no user {}")
        )
        yield from _write(database, job_id, scope, batches, turn, insert)


def add_messages(database: Database, entries: Iterable[MessageImport], job_id: int, turn: Turn) -> Steps:
    """Create messages, in the file's order."""

    def check(batch: Batch) -> None:
        _refuse(database, _UNKNOWN_USER, batch, "there is no user {}")
        _refuse(database, _UNKNOWN_CHANNEL, batch, "there is no channel {}")

    def insert(batch: Batch) -> list[int]:
        check(batch)
        base = _last_id(database, "messages", "threads")  # both tables share one sequence of ids
        database.execute(
            "INSERT INTO messages"
            " (id, channel_id, user_id, type, body, group_tag, nested_level, properties, created_time)"
            " SELECT ? + position, channel_id, users.id,"
            " CASE WHEN username IS NULL THEN 'SYSTEM_TEXT' ELSE 'TEXT' END, body, group_tag, 0,"
            " staged.properties, ? FROM staged LEFT JOIN users ON users.name = username"
            " WHERE position BETWEEN ? AND ? ORDER BY position",
            (base + 1 - batch[0], timestamp(database.now()), *batch),
        )
        return database.column("SELECT id FROM messages WHERE id > ?", base)

    rows = (
        (entry.key, entry.channel_id, entry.username, entry.body, entry.group_tag, json.dumps(dict(entry.properties)))
        for entry in entries
    )
    columns = ("channel_id INTEGER", "username TEXT", "body TEXT", "group_tag TEXT", "properties TEXT")
    with _staging(database, *columns):
        batches = yield from _checked(_staged(database, MESSAGES, rows), check)
        yield from _write(database, job_id, MESSAGES, batches, turn, insert)


def members_of(channel_id: int) -> str:
    """Return the scope of a channel's members."""
    return f"{_MEMBERS}{channel_id}"


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


@contextmanager
def _temporary(database: Database, table: str, definition: str) -> Iterator[None]:
    database.execute(f"CREATE TEMP TABLE {table} {definition}")
    try:
        yield
    finally:
        database.execute(f"DROP TABLE {table}")


@contextmanager
def _staging(database: Database, *columns: str, index: str = "") -> Iterator[None]:
    """Create the table `staged` (position, key, columns…). `index` are the columns by which equal rows are found."""
    with _temporary(database, "staged", f"(position INTEGER PRIMARY KEY, key TEXT, {', '.join(columns)})"):
        database.execute("CREATE INDEX temp.staged_by_key ON staged (key) WHERE key IS NOT NULL")
        if index:
            database.execute(f"CREATE INDEX temp.staged_by_value ON staged ({index})")
        yield


def _staged(database: Database, scope: str, rows: Iterable[Sequence[Any]]) -> Iterator[Batch]:
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


def _checked(staged: Iterable[Batch], check: Callable[[Batch], None]) -> Generator[None, None, list[Batch]]:
    """Call `check` with each staged batch, one per step, and return all batches."""
    batches = []
    for batch in staged:
        check(batch)
        batches.append(batch)
        yield
    return batches


def _write(
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
            sql = "SELECT key FROM staged WHERE position BETWEEN ? AND ? AND key IS NOT NULL"
            keys = json.dumps(database.column(sql, *batch))
            database.execute("INSERT INTO import_keys SELECT ?, value FROM json_each(?)", (scope, keys))
            note(database, scope, new_ids, keys)
        yield
    with turn():
        discard_notes(database)
        jobs.finish(database, job_id)


def _refuse(database: Database, sql: str, batch: Batch, sentence: str) -> None:
    """Fail with `sentence` if `sql` finds a row of the batch.

    The first two `?` in `sql` are the batch. Its columns are the position and the values for `{}`. Raises JobFailed.
    """
    row = database.one(f"{sql} ORDER BY 1 LIMIT 1", *batch)
    if row is not None:
        raise JobFailed(f"entry {row[0]}: " + sentence.format(*(repr(value)[:100] for value in tuple(row)[1:])))


def _channel_row(entry: ChannelImport) -> tuple[str | None, ...]:
    direct = entry.type is ChannelType.DIRECT
    name = None if direct else entry.name or str(uuid.uuid4())
    display_name = None if direct else entry.display_name or name
    properties = json.dumps(dict(entry.properties))
    return entry.key, entry.type.value, name, display_name, entry.creator, json.dumps(entry.members), properties, None


def _gather_members(database: Database, batch: Batch) -> None:
    """Look up the users of usernames, and set the keys of direct channels."""
    named = "FROM staged, json_each(staged.members) AS named"
    unknown = (
        f"SELECT position, named.value {named} WHERE position BETWEEN ? AND ?"  # noqa: S608 - above
        " AND NOT EXISTS (SELECT 1 FROM users WHERE users.name = named.value)"
    )
    _refuse(database, unknown, batch, "there is no user {}")
    database.execute(
        f"INSERT INTO staged_members SELECT position, users.id {named}"
        " JOIN users ON users.name = named.value WHERE position BETWEEN ? AND ?",
        batch,
    )
    database.execute(
        "UPDATE staged SET member_ids = (SELECT group_concat(user_id, ',') FROM"
        " (SELECT user_id FROM staged_members WHERE staged_members.position = staged.position ORDER BY user_id))"
        " WHERE position BETWEEN ? AND ? AND type = 'DIRECT'",
        batch,
    )


def _insert_channels(database: Database, batch: Batch) -> list[int]:
    gone = (
        "SELECT position FROM staged_members WHERE position BETWEEN ? AND ?"
        " AND NOT EXISTS (SELECT 1 FROM users WHERE users.id = user_id)"
    )
    _refuse(database, gone, batch, "a member no longer exists")
    base = _last_id(database, "channels")
    now = timestamp(database.now())
    database.execute(
        "INSERT INTO channels (id, type, name, display_name, member_ids, creator_id, properties, created_time)"
        " SELECT ? + position, staged.type, staged.name, staged.display_name, staged.member_ids, users.id,"
        " staged.properties, ? FROM staged LEFT JOIN users ON users.name = creator WHERE position IN"
        " (SELECT min(position) FROM staged WHERE position BETWEEN ? AND ? GROUP BY type, name, member_ids)"
        " AND NOT EXISTS (SELECT 1 FROM channels WHERE channels.member_ids = staged.member_ids)"
        " AND NOT EXISTS (SELECT 1 FROM channels WHERE channels.type = staged.type AND channels.name = staged.name)"
        " ORDER BY position",
        (base + 1 - batch[0], now, *batch),
    )
    new_ids = database.column("SELECT id FROM channels WHERE id > ?", base)
    database.execute(
        "INSERT INTO channel_members (channel_id, user_id, created_time)"
        " SELECT value, user_id, ? FROM json_each(?) JOIN staged_members ON position = value - ?",
        (now, listed(new_ids), base + 1 - batch[0]),
    )
    return new_ids


_IN_BATCH = "position BETWEEN ? AND ?"
_REPEATED_NAME = (
    f"SELECT position, name FROM staged WHERE {_IN_BATCH} AND EXISTS"  # noqa: S608 - above
    " (SELECT 1 FROM staged AS earlier WHERE earlier.name = staged.name AND earlier.position < staged.position)"
)
_TAKEN_NAME = f"SELECT position, staged.name FROM staged JOIN users ON users.name = staged.name WHERE {_IN_BATCH}"  # noqa: S608
_UNKNOWN_USER = (
    f"SELECT position, username FROM staged WHERE {_IN_BATCH} AND username IS NOT NULL"  # noqa: S608 - above
    " AND NOT EXISTS (SELECT 1 FROM users WHERE users.name = username)"
)
_UNKNOWN_CHANNEL = (
    f"SELECT position, channel_id FROM staged WHERE {_IN_BATCH}"  # noqa: S608 - above
    " AND NOT EXISTS (SELECT 1 FROM channels WHERE channels.id = channel_id)"
)


def _last_id(database: Database, *tables: str) -> int:
    """Return the highest id that the tables have ever had."""
    sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name IN (SELECT value FROM json_each(?))"
    return database.count(sql, json.dumps(tables))
