"""The messages of all channels."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import users
from ckfunc.emulator.store.cursors import CursorRequest, select_cursor_page
from ckfunc.emulator.store.database import Database
from ckfunc.model.message import Message, MessageType, NewMessage
from ckfunc.model.page import CursorPage
from ckfunc.model.user import User
from ckfunc.wire.messages import read_file, write_file

SCHEMA = """
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id INTEGER REFERENCES users ON DELETE CASCADE,
  type TEXT NOT NULL,
  body TEXT,
  file TEXT,
  group_tag TEXT,
  nested_level INTEGER NOT NULL,
  properties TEXT NOT NULL,
  created_time TEXT NOT NULL,
  last_edited_time TEXT
) STRICT;
CREATE INDEX messages_of_channel ON messages (channel_id, id);
CREATE INDEX messages_of_user ON messages (user_id, id)
"""


def create(database: Database, channel_id: int, new: NewMessage, user: User | None) -> Message:
    """Store a message that `user`, or the system, sends to a channel."""
    made = Message(
        id=0,
        type=new.type,
        channel_id=channel_id,
        created_time=datetime.now(UTC),
        user=user,
        body=new.body,
        file=new.file,
        group_tag=new.group_tag,
        properties=new.properties,
    )
    row_id = database.insert(
        "INSERT INTO messages"
        " (channel_id, user_id, type, body, file, group_tag, nested_level, properties, created_time)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        channel_id,
        None if user is None else user.id,
        made.type.value,
        made.body,
        None if made.file is None else json.dumps(write_file(made.file)),
        made.group_tag,
        made.nested_level,
        json.dumps(dict(made.properties)),
        timestamp(made.created_time),
    )
    stored = get(database, row_id)
    assert stored is not None  # noqa: S101 - it was inserted above
    return stored


def get(database: Database, message_id: int) -> Message | None:
    """Return a message, or None."""
    return by_ids(database, [message_id]).get(message_id)


def by_ids(database: Database, ids: Iterable[int | None]) -> dict[int, Message]:
    """Return those of the messages that exist, by id; None is passed over."""
    wanted = sorted({one for one in ids if one is not None})
    if not wanted:
        return {}
    rows = database.all("SELECT * FROM messages WHERE id IN (SELECT value FROM json_each(?))", json.dumps(wanted))
    return {message.id: message for message in _read(database, rows)}


def latest_ids(database: Database, channel_ids: Iterable[int]) -> dict[int, int]:
    """Return the id of the newest message of each channel that has one."""
    rows = database.all(
        "SELECT value, (SELECT max(id) FROM messages WHERE channel_id = value) FROM json_each(?)",
        json.dumps(sorted(set(channel_ids))),
    )
    return {channel_id: message_id for channel_id, message_id in rows if message_id is not None}


def page(
    database: Database,
    request: CursorRequest,
    *,
    channel_id: int | None = None,
    username: str | None = None,
    query: str | None = None,
) -> CursorPage[Message]:
    """Return a page of the messages, newest first: of one channel, by one sender, holding a text (in any case)."""
    conditions: list[str] = ["TRUE"]
    parameters: list[Any] = []
    if channel_id is not None:
        conditions.append("channel_id = ?")
        parameters.append(channel_id)
    if username is not None:
        conditions.append("user_id = (SELECT users.id FROM users WHERE users.name = ?)")
        parameters.append(username)
    if query is not None:
        conditions.append("body LIKE ? ESCAPE '!'")
        escaped = query.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        parameters.append(f"%{escaped}%")
    source = f"messages WHERE {' AND '.join(conditions)}"
    return select_cursor_page(database, "*", source, tuple(parameters), request=request, read=partial(_read, database))


def update(database: Database, message: Message) -> None:
    """Store what a patch can change of a message."""
    edited = None if message.last_edited_time is None else timestamp(message.last_edited_time)
    database.execute(
        "UPDATE messages SET body = ?, properties = ?, last_edited_time = ? WHERE id = ?",
        (message.body, json.dumps(dict(message.properties)), edited, message.id),
    )


def _read(database: Database, rows: Sequence[sqlite3.Row]) -> tuple[Message, ...]:
    senders = users.by_ids(database, (row["user_id"] for row in rows))
    return tuple(_message(row, senders) for row in rows)


def _message(row: sqlite3.Row, senders: dict[int, User]) -> Message:
    edited = row["last_edited_time"]
    return Message(
        id=row["id"],
        type=MessageType(row["type"]),
        channel_id=row["channel_id"],
        created_time=parse_timestamp(row["created_time"]),
        user=senders.get(row["user_id"]),
        body=row["body"],
        file=None if row["file"] is None else read_file(json.loads(row["file"])),
        group_tag=row["group_tag"],
        last_edited_time=None if edited is None else parse_timestamp(edited),
        nested_level=row["nested_level"],
        properties=json.loads(row["properties"]),
    )
