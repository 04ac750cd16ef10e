"""How what was read from an import's file gets into the database: all of it, or nothing.

Each function takes the entries in the file's order, calls `pause` now and then, and `finish` within the transaction
that makes them real. An entry with the idempotency key of one that was imported before, or earlier in the file, is
passed over. Imports are of the past: they notify nobody and fire no events (no source says so). All raise JobFailed.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from ckfunc.base.clock import timestamp
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.jobs import JobFailed
from ckfunc.emulator.store.staging import drop_known, refuse, staged
from ckfunc.model.channel import ChannelType
from ckfunc.model.job import ChannelImport, MemberImport, MessageImport, UserImport
from ckfunc.model.user import Presence, UserType

Step = Callable[[], None]


def add_users(database: Database, entries: Iterable[UserImport], pause: Step, finish: Step) -> None:
    """Create users. A name that is taken fails the import: nobody's data is written over."""
    columns = ("name TEXT", "display_name TEXT", "is_guest INTEGER", "picture TEXT", "properties TEXT")
    rows = (
        (one.key, one.name, one.display_name, one.is_guest, one.picture_url, json.dumps(dict(one.properties)))
        for one in entries
    )
    with staged(database, columns, rows, pause):
        refuse(database, _REPEATED_NAME, "the name {} is there twice")
        pause()
        with database.transaction():
            drop_known(database, "users")
            taken = "SELECT position, staged.name FROM staged JOIN users ON users.name = staged.name"
            refuse(database, taken, "there is a user {} already")
            database.execute(
                "INSERT INTO users (type, name, display_name, display_picture_url, is_guest, presence_status,"
                " properties, created_time)"
                " SELECT ?, name, display_name, picture, is_guest, ?, properties, ? FROM staged ORDER BY position",
                (UserType.PERSON.value, Presence().status, _now()),
            )
            finish()


def add_channels(database: Database, entries: Iterable[ChannelImport], pause: Step, finish: Step) -> None:
    """Create channels with their members. An equivalent one that exists, or is earlier in the file, stays as it is."""
    columns = (
        "type TEXT",
        "name TEXT",
        "display_name TEXT",
        "creator TEXT",
        "members TEXT",
        "properties TEXT",
        "member_ids TEXT",
    )
    with staged(database, columns, (_channel_row(one) for one in entries), pause):
        database.execute("CREATE TEMP TABLE staged_members (position INTEGER, user_id INTEGER)")
        try:
            _add_staged_channels(database, pause, finish)
        finally:
            database.execute("DROP TABLE staged_members")


def _channel_row(one: ChannelImport) -> tuple[str | None, ...]:
    direct = one.type is ChannelType.DIRECT
    name = None if direct else one.name or str(uuid.uuid4())
    shown = None if direct else one.display_name or name
    properties = json.dumps(dict(one.properties))
    return one.key, one.type.value, name, shown, one.creator, json.dumps(one.members), properties, None


def _add_staged_channels(database: Database, pause: Step, finish: Step) -> None:
    _gather_members(database, pause)
    with database.transaction():
        drop_known(database, "channels")
        gone = "SELECT position FROM staged_members WHERE user_id NOT IN (SELECT id FROM users)"
        refuse(database, gone, "a member is no user any more")
        database.execute(
            "DELETE FROM staged WHERE member_ids IN (SELECT member_ids FROM channels)"
            " OR EXISTS (SELECT 1 FROM channels WHERE channels.type = staged.type AND channels.name = staged.name)"
        )
        base = database.value("SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'channels'")
        now = _now()
        database.execute(
            "INSERT INTO channels (id, type, name, display_name, member_ids, creator_id, properties, created_time)"
            " SELECT ? + position, staged.type, staged.name, staged.display_name, member_ids, users.id,"
            " staged.properties, ? FROM staged LEFT JOIN users ON users.name = creator ORDER BY position",
            (base, now),
        )
        database.execute(
            "INSERT INTO channel_members (channel_id, user_id, created_time) SELECT ? + position, user_id, ?"
            " FROM staged_members WHERE position IN (SELECT position FROM staged)",
            (base, now),
        )
        finish()


def _gather_members(database: Database, pause: Step) -> None:
    """Find out whom the usernames mean and which direct channels are which; nobody waits for this."""
    named = "FROM staged, json_each(staged.members) AS named"
    unknown = f"SELECT position, named.value {named} WHERE named.value NOT IN (SELECT name FROM users)"  # noqa: S608
    refuse(database, unknown, "there is no user {}")
    pause()
    database.execute(
        f"INSERT INTO staged_members SELECT position, users.id {named}"
        " JOIN users ON users.name = named.value ORDER BY position, users.id"
    )
    pause()
    database.execute(
        "UPDATE staged SET member_ids = ids FROM (SELECT position AS at, group_concat(user_id, ',') AS ids"
        " FROM (SELECT * FROM staged_members ORDER BY position, user_id) GROUP BY position)"
        " WHERE position = at AND type = 'DIRECT'"
    )
    pause()
    first = "SELECT min(position) FROM staged GROUP BY type, name, member_ids"
    database.execute(f"DELETE FROM staged WHERE position NOT IN ({first})")  # noqa: S608 - above
    pause()


def add_members(
    database: Database, channel_id: int, entries: Iterable[MemberImport], pause: Step, finish: Step
) -> None:
    """Make users members of a channel; those who are stay it."""
    rows = ((one.key, one.username) for one in entries)
    with staged(database, ("username TEXT",), rows, pause), database.transaction():
        drop_known(database, f"members of {channel_id}")
        refuse(database, _UNKNOWN_USER, "there is no user {}")
        if database.one("SELECT 1 FROM channels WHERE id = ?", channel_id) is None:
            raise JobFailed(f"there is no channel {channel_id} any more")
        database.execute(
            "INSERT OR IGNORE INTO channel_members (channel_id, user_id, created_time)"
            " SELECT ?, users.id, ? FROM staged JOIN users ON users.name = username",
            (channel_id, _now()),
        )
        finish()


def add_messages(database: Database, entries: Iterable[MessageImport], pause: Step, finish: Step) -> None:
    """Create messages, in the file's order."""
    columns = ("channel_id INTEGER", "username TEXT", "body TEXT", "group_tag TEXT", "properties TEXT")
    rows = (
        (one.key, one.channel_id, one.username, one.body, one.group_tag, json.dumps(dict(one.properties)))
        for one in entries
    )
    with staged(database, columns, rows, pause), database.transaction():
        drop_known(database, "messages")
        refuse(database, _UNKNOWN_USER, "there is no user {}")
        unknown = "SELECT position, channel_id FROM staged WHERE channel_id NOT IN (SELECT id FROM channels)"
        refuse(database, unknown, "there is no channel {}")
        # Messages share their ids with threads.
        base = database.value("SELECT max(seq) FROM sqlite_sequence WHERE name IN ('messages', 'threads')")
        database.execute(
            "INSERT INTO messages"
            " (id, channel_id, user_id, type, body, group_tag, nested_level, properties, created_time)"
            " SELECT ? + position, channel_id, users.id,"
            " CASE WHEN username IS NULL THEN 'SYSTEM_TEXT' ELSE 'TEXT' END, body, group_tag, 0,"
            " staged.properties, ? FROM staged LEFT JOIN users ON users.name = username ORDER BY position",
            (base or 0, _now()),
        )
        finish()


_REPEATED_NAME = (
    "SELECT position, name FROM staged WHERE position NOT IN (SELECT min(position) FROM staged GROUP BY name)"
)
_UNKNOWN_USER = (
    "SELECT position, username FROM staged WHERE username IS NOT NULL AND username NOT IN (SELECT name FROM users)"
)


def _now() -> str:
    return timestamp(datetime.now(UTC))
