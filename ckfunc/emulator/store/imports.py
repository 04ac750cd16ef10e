"""Import the entries of a file in small steps: all of them, or none.

Each function takes the entries in the order of the file. First, all entries are staged and checked. Then they are
written, a batch in each `turn`; the last turn also finishes the job `job_id`. If a step raises, or the emulator ends,
`staging.undo_unfinished` undoes the changes. An entry is skipped if its idempotency key was imported before, or is
earlier in the file. Imports create no notifications and fire no events, which is our choice, as no source documents it.
All functions raise JobFailed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager

from ckfunc.base.clock import timestamp
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.jobs import JobFailed
from ckfunc.emulator.store.staging import (
    CHANNELS,
    MESSAGES,
    USERS,
    Batch,
    Turn,
    members_of,
    refuse,
    staged,
    staging,
    write,
)
from ckfunc.emulator.store.steps import Steps, listed
from ckfunc.model.chat import ChannelType
from ckfunc.model.job import ChannelImport, MemberImport, MessageImport, UserImport
from ckfunc.model.user import Presence, UserType


def add_users(database: Database, entries: Iterable[UserImport], job_id: int, turn: Turn) -> Steps:
    """Create users. An existing name makes the import fail, so that no user is overwritten."""

    def check(batch: Batch) -> None:
        refuse(database, _REPEATED_NAME, batch, "the name {} appears twice")
        refuse(database, _TAKEN_NAME, batch, "user {} already exists")

    def insert(batch: Batch) -> list[int]:
        refuse(database, _TAKEN_NAME, batch, "user {} already exists")
        base = _last_id(database, "users")
        database.execute(
            "INSERT INTO users (type, name, display_name, display_picture_url, is_guest, presence_status,"
            " properties, created_time)"
            " SELECT ?, name, display_name, picture, is_guest, ?, properties, ? FROM staged"
            " WHERE position BETWEEN ? AND ? ORDER BY position",
            (UserType.PERSON.value, Presence().status, timestamp(database.now()), *batch),
        )
        return _ids(database, "SELECT id FROM users WHERE id > ?", base)

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
    with staging(database, *columns, index="name"):
        batches = yield from _checked(staged(database, USERS, rows), check)
        yield from write(database, job_id, USERS, batches, turn, insert)


def add_channels(database: Database, entries: Iterable[ChannelImport], job_id: int, turn: Turn) -> Steps:
    """Create channels with their members. An equivalent channel, stored or earlier in the file, is not changed."""
    columns = (
        "type TEXT",
        "name TEXT",
        "display_name TEXT",
        "creator TEXT",
        "members TEXT",
        "properties TEXT",
        "member_ids TEXT",
    )
    with staging(database, *columns), _staged_members(database):
        found = staged(database, CHANNELS, (_channel_row(entry) for entry in entries))
        batches = yield from _checked(found, lambda batch: _gather_members(database, batch))
        yield from write(database, job_id, CHANNELS, batches, turn, lambda batch: _insert_channels(database, batch))


@contextmanager
def _staged_members(database: Database) -> Iterator[None]:
    database.execute(
        "CREATE TEMP TABLE staged_members"
        " (position INTEGER, user_id INTEGER, PRIMARY KEY (position, user_id)) WITHOUT ROWID"
    )
    try:
        yield
    finally:
        database.execute("DROP TABLE staged_members")


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
    refuse(database, unknown, batch, "there is no user {}")
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
    refuse(database, gone, batch, "a member no longer exists")
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
    new_ids = _ids(database, "SELECT id FROM channels WHERE id > ?", base)
    database.execute(
        "INSERT INTO channel_members (channel_id, user_id, created_time)"
        " SELECT value, user_id, ? FROM json_each(?) JOIN staged_members ON position = value - ?",
        (now, listed(new_ids), base + 1 - batch[0]),
    )
    return new_ids


def add_members(database: Database, channel_id: int, entries: Iterable[MemberImport], job_id: int, turn: Turn) -> Steps:
    """Make users members of a channel. Existing memberships are not changed."""

    def insert(batch: Batch) -> list[int]:
        refuse(database, _UNKNOWN_USER, batch, "there is no user {}")
        if database.one("SELECT 1 FROM channels WHERE id = ?", channel_id) is None:
            raise JobFailed(f"channel {channel_id} no longer exists")
        new_ids = _ids(
            database,
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
    with staging(database, "username TEXT"):
        found = staged(database, scope, ((entry.key, entry.username) for entry in entries))
        batches = yield from _checked(
            found, lambda batch: refuse(database, _UNKNOWN_USER, batch, "there is no user {}")
        )
        yield from write(database, job_id, scope, batches, turn, insert)


def add_messages(database: Database, entries: Iterable[MessageImport], job_id: int, turn: Turn) -> Steps:
    """Create messages, in the file's order."""

    def check(batch: Batch) -> None:
        refuse(database, _UNKNOWN_USER, batch, "there is no user {}")
        refuse(database, _UNKNOWN_CHANNEL, batch, "there is no channel {}")

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
        return _ids(database, "SELECT id FROM messages WHERE id > ?", base)

    rows = (
        (entry.key, entry.channel_id, entry.username, entry.body, entry.group_tag, json.dumps(dict(entry.properties)))
        for entry in entries
    )
    columns = ("channel_id INTEGER", "username TEXT", "body TEXT", "group_tag TEXT", "properties TEXT")
    with staging(database, *columns):
        batches = yield from _checked(staged(database, MESSAGES, rows), check)
        yield from write(database, job_id, MESSAGES, batches, turn, insert)


def _checked(found: Iterable[Batch], check: Callable[[Batch], None]) -> Generator[None, None, list[Batch]]:
    """Call `check` with each staged batch, one per step, and return all batches."""
    batches = []
    for batch in found:
        check(batch)
        batches.append(batch)
        yield
    return batches


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
    found: int = database.value(sql, json.dumps(tables))
    return found


def _ids(database: Database, sql: str, *parameters: object) -> list[int]:
    return [row[0] for row in database.all(sql, *parameters)]
