"""Channels of the application, with their members and threads."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.frozen import frozen
from ckfunc.emulator.store import messages, users
from ckfunc.emulator.store.database import Condition, Database
from ckfunc.emulator.store.messages import NEXT_ID
from ckfunc.emulator.store.paging import PageRequest, Sorting, matching_ids, select_by_ids, select_page_by_id, where
from ckfunc.emulator.store.steps import listed
from ckfunc.model.chat import Channel, ChannelType, Message, NewChannel, Thread, ThreadType, User
from ckfunc.model.page import Page

# A direct channel is identified by its members: `member_ids` holds their sorted ids, and is NULL for other channels.
SCHEMA = """
CREATE TABLE channels (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  name TEXT,
  display_name TEXT,
  member_ids TEXT,
  creator_id INTEGER REFERENCES users ON DELETE SET NULL,
  properties TEXT NOT NULL,
  created_time TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX channels_by_name ON channels (type, name) WHERE name IS NOT NULL;
CREATE INDEX channels_by_member_ids ON channels (member_ids) WHERE member_ids IS NOT NULL;
CREATE INDEX channels_by_creator ON channels (creator_id);
CREATE TABLE channel_members (
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  created_time TEXT NOT NULL,
  PRIMARY KEY (channel_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX channels_of_member ON channel_members (user_id, channel_id)
"""

# Threads of messages have no rows. The main thread of a channel gets its row on first use.
THREADS_SCHEMA = """
CREATE TABLE threads (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  type TEXT NOT NULL,
  name TEXT,
  properties TEXT NOT NULL,
  created_time TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX threads_main ON threads (channel_id) WHERE type = 'MAIN';
CREATE INDEX threads_of_channel ON threads (channel_id, id)
"""

SORTING = Sorting.of("channels", "id", "type", "name", "display_name", "created_time")

DEEPEST_REPLY = 100
"""The maximum levels of replies. The platform has no limit; with ours, SQLite can delete all levels at once."""

_CHANNELS_OF = "SELECT channel_id FROM channel_members WHERE user_id ="
_ID_OF = "(SELECT users.id FROM users WHERE users.name = ?)"


def create(
    database: Database, new: NewChannel, creator: User | None, members: Sequence[User], *, channel_id: int | None = None
) -> Channel:
    """Store a channel with these members, or return an equivalent existing channel, unchanged.

    Direct channels are equivalent if they have the same members, others if they have the same type and name. A new
    channel gets `channel_id`, which must be free, or the next id.
    """
    ids = sorted({member.id for member in members})
    direct = new.type is ChannelType.DIRECT
    name = None if direct else new.name or str(uuid.uuid4())
    key = ",".join(map(str, ids)) if direct else None
    existing = database.one("SELECT id FROM channels WHERE member_ids = ? ORDER BY id", key) if direct else None
    existing = existing or database.one("SELECT id FROM channels WHERE type = ? AND name = ?", new.type.value, name)
    if existing is not None:
        return _existing(database, existing["id"])
    now = timestamp(database.now())
    with database.transaction():
        new_id = database.insert(
            "INSERT INTO channels (id, type, name, display_name, member_ids, creator_id, properties, created_time)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            channel_id,
            new.type.value,
            name,
            None if direct else new.display_name or name,
            key,
            None if creator is None else creator.id,
            json.dumps(dict(new.properties)),
            now,
        )
        for user_id in ids:
            database.execute("INSERT INTO channel_members VALUES (?, ?, ?)", (new_id, user_id, now))
    return _existing(database, new_id)


def get(database: Database, channel_id: int | None) -> Channel | None:
    """Return a channel, or None."""
    return next(iter(by_ids(database, [channel_id]).values()), None)


def by_ids(database: Database, ids: Iterable[int | None]) -> dict[int, Channel]:
    """Return the existing channels among `ids`, by id; None is skipped."""
    rows = select_by_ids(database, "*", "channels", ids)
    return {channel.id: channel for channel in _read(database, rows)} if rows else {}


def page(
    database: Database,
    request: PageRequest,
    *,
    type: ChannelType | None = None,  # noqa: A002 - the parameter's name on the wire
    members: Sequence[str] = (),
    created_from: datetime | None = None,
    created_until: datetime | None = None,
    member_id: int | None = None,
    properties: Sequence[Condition] = (),
) -> Generator[None, None, Page[Channel]]:
    """Return a page of channels: of a type, with all these usernames as members, created within a period.

    All conditions on `properties` must match; they are evaluated in small steps.
    """
    condition, parameters = where(
        ("channels.type = ?", None if type is None else type.value),
        *((f"channels.id IN ({_CHANNELS_OF} {_ID_OF})", name) for name in dict.fromkeys(members)),
        (f"channels.id IN ({_CHANNELS_OF} ?)", member_id),
        ("channels.created_time >= ?", None if created_from is None else timestamp(created_from)),
        ("channels.created_time <= ?", None if created_until is None else timestamp(created_until)),
    )
    source = f"channels WHERE {condition}"
    if properties:
        ids = yield from matching_ids(database, "channels", source, parameters, properties)
        source, parameters = "channels WHERE channels.id IN (SELECT value FROM json_each(?))", (listed(ids),)
    return select_page_by_id(database, "channels", source, parameters, request=request, read=partial(by_ids, database))


def search(database: Database, request: PageRequest, text: str) -> Page[Channel]:
    """Return a page of the channels whose name or display name contains a text, in any case."""
    source, parameters = "channels", tuple[str, ...]()
    if text:
        source += " WHERE instr(lower(channels.name), lower(?1)) OR instr(lower(channels.display_name), lower(?1))"
        parameters = (text,)
    return select_page_by_id(database, "channels", source, parameters, request=request, read=partial(by_ids, database))


def update(database: Database, channel: Channel) -> None:
    """Store the fields of a channel that a patch can change."""
    database.execute(
        "UPDATE channels SET display_name = ?, properties = ? WHERE id = ?",
        (channel.display_name, json.dumps(dict(channel.properties)), channel.id),
    )


def add_member(database: Database, channel_id: int, user_id: int) -> None:
    """Make a user a member of a channel. An existing membership is not changed."""
    now = timestamp(database.now())
    database.execute("INSERT OR IGNORE INTO channel_members VALUES (?, ?, ?)", (channel_id, user_id, now))


def remove_member(database: Database, channel_id: int, user_id: int) -> bool:
    """Remove a user from a channel, and return whether the user was a member."""
    removed = database.execute(
        "DELETE FROM channel_members WHERE channel_id = ? AND user_id = ?", (channel_id, user_id)
    ).rowcount
    return removed > 0


def member_ids(database: Database, channel_id: int) -> tuple[int, ...]:
    """Return the ids of a channel's members."""
    sql = "SELECT user_id FROM channel_members WHERE channel_id = ? ORDER BY user_id"
    return tuple(database.column(sql, channel_id))


def has_absent_member(database: Database, channel_id: int, other_than: int | None) -> bool:
    """Return whether a channel has a member, other than this user, without an open chat session in it."""
    sql = (
        "SELECT 1 FROM channel_members WHERE channel_id = ?1 AND user_id IS NOT ?2 AND user_id NOT IN"
        " (SELECT user_id FROM chat_sessions WHERE channel_id = ?1 AND end_time IS NULL) LIMIT 1"
    )
    return database.one(sql, channel_id, other_than) is not None


@frozen
class ChannelAccess:
    """A user's access to a channel: the type of the channel, and whether the user is a member, or blocked."""

    type: ChannelType
    member: bool
    blocked: bool


def access_of(database: Database, channel_id: int, user_id: int) -> ChannelAccess | None:
    """Return a user's access to a channel, or None if the channel does not exist."""
    row = database.one(
        "SELECT type"
        ", EXISTS (SELECT 1 FROM channel_members WHERE channel_id = channels.id AND user_id = ?2)"
        ", EXISTS (SELECT 1 FROM channel_blocks WHERE channel_id = channels.id AND blocked_id = ?2)"
        " FROM channels WHERE id = ?1",
        channel_id,
        user_id,
    )
    return None if row is None else ChannelAccess(ChannelType(row[0]), bool(row[1]), bool(row[2]))


def is_member(database: Database, channel_id: int, user_id: int) -> bool:
    """Return whether a user is a member of a channel."""
    sql = "SELECT 1 FROM channel_members WHERE channel_id = ? AND user_id = ?"
    return database.one(sql, channel_id, user_id) is not None


def get_thread(database: Database, thread_id: int | None) -> Thread | None:
    """Return a thread, or None. The thread of a message has the message's id and creation time."""
    row = database.one("SELECT * FROM threads WHERE id = ?", thread_id)
    if row is not None:
        return _thread(row)
    row = database.one("SELECT id, channel_id, created_time FROM messages WHERE id = ?", thread_id)
    if row is None:
        return None
    return Thread(row["id"], ThreadType.MESSAGE, row["channel_id"], parse_timestamp(row["created_time"]))


def main_thread(database: Database, channel_id: int) -> Thread:
    """Return a channel's main thread. The channel must exist."""
    row = database.one("SELECT * FROM threads WHERE channel_id = ? AND type = 'MAIN'", channel_id)
    if row is not None:
        return _thread(row)
    created = database.value("SELECT created_time FROM channels WHERE id = ?", channel_id)
    return _insert_thread(database, channel_id, ThreadType.MAIN, None, {}, created)


def thread_of(database: Database, message: Message) -> Thread:
    """Return the thread that contains a message."""
    thread_id = message.parent_id or message.thread_id
    thread = None if thread_id is None else get_thread(database, thread_id)
    return thread or main_thread(database, message.channel_id)


def create_thread(database: Database, channel_id: int, name: str | None, properties: Mapping[str, Any]) -> Thread:
    """Store a standalone thread in a channel."""
    now = timestamp(database.now())
    return _insert_thread(database, channel_id, ThreadType.STANDALONE, name, properties, now)


def _existing(database: Database, channel_id: int) -> Channel:
    return by_ids(database, [channel_id])[channel_id]


def _read(database: Database, rows: Sequence[sqlite3.Row]) -> tuple[Channel, ...]:
    creators = users.by_ids(database, (row["creator_id"] for row in rows))
    newest = messages.latest_ids(database, (row["id"] for row in rows))
    last = messages.by_ids(database, newest.values())
    return tuple(
        messages.read_channel(
            row,
            creators.get(row["creator_id"]),
            last.get(newest.get(row["id"], 0)),
            users.members(database, row["id"]) if row["member_ids"] is not None else (),
        )
        for row in rows
    )


def _insert_thread(
    database: Database, channel_id: int, kind: ThreadType, name: str | None, properties: Mapping[str, Any], now: str
) -> Thread:
    thread_id = database.insert(
        f"INSERT INTO threads (id, channel_id, type, name, properties, created_time) VALUES ({NEXT_ID}, ?, ?, ?, ?, ?)",  # noqa: S608
        channel_id,
        kind.value,
        name,
        json.dumps(dict(properties)),
        now,
    )
    return Thread(thread_id, kind, channel_id, parse_timestamp(now), name, dict(properties))


def _thread(row: sqlite3.Row) -> Thread:
    return Thread(
        id=row["id"],
        type=ThreadType(row["type"]),
        channel_id=row["channel_id"],
        created_time=parse_timestamp(row["created_time"]),
        name=row["name"],
        properties=json.loads(row["properties"]),
    )
