"""Threads of channels: main, standalone, and of messages.

Threads of messages have no rows. A channel's main thread gets its row on first use.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Message, Thread, ThreadType

SCHEMA = """
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

NEXT_ID = "(SELECT max(seq) + 1 FROM sqlite_sequence WHERE name IN ('messages', 'threads'))"
"""SQL for an id that no message or thread has ever had; NULL, and so 1, for the first one."""

DEEPEST = 100
"""The maximum levels of replies. The platform has no limit; with ours, SQLite can delete all levels at once."""


def get(database: Database, thread_id: int) -> Thread | None:
    """Return a thread, or None. The thread of a message has the message's id and creation time."""
    row = database.one("SELECT * FROM threads WHERE id = ?", thread_id)
    if row is not None:
        return _read(row)
    row = database.one("SELECT id, channel_id, created_time FROM messages WHERE id = ?", thread_id)
    if row is None:
        return None
    return Thread(row["id"], ThreadType.MESSAGE, row["channel_id"], parse_timestamp(row["created_time"]))


def main(database: Database, channel_id: int) -> Thread:
    """Return a channel's main thread. The channel must exist."""
    row = database.one("SELECT * FROM threads WHERE channel_id = ? AND type = 'MAIN'", channel_id)
    if row is not None:
        return _read(row)
    created = database.value("SELECT created_time FROM channels WHERE id = ?", channel_id)
    return _insert(database, channel_id, ThreadType.MAIN, None, {}, created)


def of_message(database: Database, message: Message) -> Thread:
    """Return the thread that contains a message."""
    found = message.parent_id or message.thread_id
    thread = None if found is None else get(database, found)
    return thread or main(database, message.channel_id)


def create(database: Database, channel_id: int, name: str | None, properties: Mapping[str, Any]) -> Thread:
    """Store a standalone thread in a channel."""
    now = timestamp(database.now())
    return _insert(database, channel_id, ThreadType.STANDALONE, name, properties, now)


def _insert(
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


def _read(row: sqlite3.Row) -> Thread:
    return Thread(
        id=row["id"],
        type=ThreadType(row["type"]),
        channel_id=row["channel_id"],
        created_time=parse_timestamp(row["created_time"]),
        name=row["name"],
        properties=json.loads(row["properties"]),
    )
