"""Users blocked by other users, and users blocked from channels."""

from __future__ import annotations

import sqlite3
from functools import partial

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, select_page
from ckfunc.model.chat import BlockRecord
from ckfunc.model.page import Page

SCHEMA = """
CREATE TABLE user_blocks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  blocked_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  created_time TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX user_blocks_of_user ON user_blocks (user_id, blocked_id);
CREATE INDEX user_blocks_of_blocked ON user_blocks (blocked_id);
CREATE TABLE channel_blocks (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  blocked_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  created_time TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX channel_blocks_of_channel ON channel_blocks (channel_id, blocked_id);
CREATE INDEX channel_blocks_of_blocked ON channel_blocks (blocked_id)
"""

_OWNERS = {"user_blocks": "user_id", "channel_blocks": "channel_id"}
USERS, CHANNELS = _OWNERS

SORTABLE = {"id": "blocks.id", "createdTime": "blocks.created_time", "displayName": "users.display_name"}
DEFAULT_ORDER = "blocks.id ASC"


def add(database: Database, table: str, owner_id: int, blocked_id: int) -> BlockRecord:
    """Store that a user or a channel blocks a user, and return the new or existing record."""
    owner = _OWNERS[table]
    now = timestamp(database.now())
    database.execute(
        f"INSERT OR IGNORE INTO {table} ({owner}, blocked_id, created_time) VALUES (?, ?, ?)",  # noqa: S608 - from above
        (owner_id, blocked_id, now),
    )
    row = database.one(_select(table, f"blocks.{owner} = ? AND blocks.blocked_id = ?"), owner_id, blocked_id)
    assert row is not None  # noqa: S101 - it was inserted above, unless it existed
    return _read(owner, row)


def get(database: Database, table: str, record_id: int) -> BlockRecord | None:
    """Return a record, or None."""
    row = database.one(_select(table, "blocks.id = ?"), record_id)
    return None if row is None else _read(_OWNERS[table], row)


def remove(database: Database, table: str, record_id: int) -> None:
    """Delete a record."""
    database.execute(f"DELETE FROM {table} WHERE id = ?", (record_id,))  # noqa: S608 - from above


def page(database: Database, table: str, owner_id: int, request: PageRequest) -> Page[BlockRecord]:
    """Return a page of the users that a user, or a channel, blocks."""
    owner = _OWNERS[table]
    source = f"{table} AS blocks JOIN users ON users.id = blocks.blocked_id WHERE blocks.{owner} = ?"
    return select_page(database, _COLUMNS, source, (owner_id,), request=request, read=partial(_read, owner))


def is_blocked(database: Database, table: str, owner_id: int, blocked_id: int) -> bool:
    """Return whether a user, or a channel, blocks a user."""
    sql = f"SELECT 1 FROM {table} WHERE {_OWNERS[table]} = ? AND blocked_id = ?"  # noqa: S608 - from above
    return database.one(sql, owner_id, blocked_id) is not None


def blockers_of(database: Database, user_id: int) -> frozenset[int]:
    """Return the ids of the users who block a user."""
    return frozenset(row[0] for row in database.all("SELECT user_id FROM user_blocks WHERE blocked_id = ?", user_id))


_COLUMNS = "users.*, blocks.*, blocks.id AS block_id, blocks.created_time AS block_time"


def _select(table: str, condition: str) -> str:
    return f"SELECT {_COLUMNS} FROM {table} AS blocks JOIN users ON users.id = blocks.blocked_id WHERE {condition}"  # noqa: S608


def _read(owner: str, row: sqlite3.Row) -> BlockRecord:
    return BlockRecord(row["block_id"], row[owner], users.read(row), parse_timestamp(row["block_time"]))
