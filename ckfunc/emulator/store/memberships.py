"""Memberships, moderators, invites and blocks."""

from __future__ import annotations

import sqlite3
from functools import partial

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, select_page
from ckfunc.model.chat import BlockRecord, Invite, Membership, User
from ckfunc.model.page import Page

# A moderator is a member; a moderator who leaves the channel no longer moderates it.
SCHEMA = """
CREATE TABLE channel_moderators (
  channel_id INTEGER NOT NULL,
  user_id INTEGER NOT NULL,
  created_time TEXT NOT NULL,
  PRIMARY KEY (channel_id, user_id),
  FOREIGN KEY (channel_id, user_id) REFERENCES channel_members (channel_id, user_id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE TABLE channel_invites (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  created_time TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX channel_invites_of_user ON channel_invites (user_id, channel_id);
CREATE INDEX channel_invites_of_channel ON channel_invites (channel_id, id)
"""

BLOCKS_SCHEMA = """
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

MEMBERSHIPS_SORTABLE = {"id": "channel_members.user_id", "createdTime": "channel_members.created_time"}
MEMBERSHIPS_ORDER = "channel_members.user_id ASC"
INVITES_SORTABLE = {"id": "channel_invites.id", "createdTime": "channel_invites.created_time"}
INVITES_ORDER = "channel_invites.id ASC"
BLOCKS_SORTABLE = {"id": "blocks.id", "createdTime": "blocks.created_time", "displayName": "users.display_name"}
BLOCKS_ORDER = "blocks.id ASC"


def memberships_page(database: Database, channel_id: int, request: PageRequest) -> Page[Membership]:
    """Return a page of a channel's memberships."""
    source = "channel_members WHERE channel_members.channel_id = ?"
    return select_page(database, "*", source, (channel_id,), request=request, read=_membership)


def moderators_page(database: Database, channel_id: int, request: PageRequest) -> Page[User]:
    """Return a page of a channel's moderators."""
    source = "channel_moderators AS own JOIN users ON users.id = own.user_id WHERE own.channel_id = ?"
    return select_page(database, "users.*", source, (channel_id,), request=request, read=users.read)


def add_moderator(database: Database, channel_id: int, user_id: int) -> None:
    """Make a member of a channel a moderator. An existing moderator is not changed."""
    now = timestamp(database.now())
    database.execute("INSERT OR IGNORE INTO channel_moderators VALUES (?, ?, ?)", (channel_id, user_id, now))


def is_moderator(database: Database, channel_id: int, user_id: int) -> bool:
    """Return whether a user is a moderator of a channel."""
    sql = "SELECT 1 FROM channel_moderators WHERE channel_id = ? AND user_id = ?"
    return database.one(sql, channel_id, user_id) is not None


def remove_moderator(database: Database, channel_id: int, user_id: int) -> bool:
    """Make a moderator an ordinary member, and return whether the user was a moderator."""
    sql = "DELETE FROM channel_moderators WHERE channel_id = ? AND user_id = ?"
    return database.execute(sql, (channel_id, user_id)).rowcount > 0


def invites_page(database: Database, channel_id: int, request: PageRequest) -> Page[Invite]:
    """Return a page of the invites to a channel."""
    source = "channel_invites WHERE channel_invites.channel_id = ?"
    return select_page(database, "*", source, (channel_id,), request=request, read=_invite)


def invite(database: Database, channel_id: int, user_id: int) -> Invite:
    """Store an invite of a user to a channel, in place of a previous one."""
    now = timestamp(database.now())
    with database.transaction():
        database.execute("DELETE FROM channel_invites WHERE channel_id = ? AND user_id = ?", (channel_id, user_id))
        database.execute(
            "INSERT INTO channel_invites (channel_id, user_id, created_time) VALUES (?, ?, ?)",
            (channel_id, user_id, now),
        )
    return Invite(channel_id, user_id, parse_timestamp(now))


_BLOCKERS = {"user_blocks": "user_id", "channel_blocks": "channel_id"}
USER_BLOCKS, CHANNEL_BLOCKS = _BLOCKERS


def add_block(database: Database, table: str, owner_id: int, blocked_id: int) -> BlockRecord:
    """Store that a user or a channel blocks a user, and return the new or existing record."""
    owner = _BLOCKERS[table]
    now = timestamp(database.now())
    database.execute(
        f"INSERT OR IGNORE INTO {table} ({owner}, blocked_id, created_time) VALUES (?, ?, ?)",  # noqa: S608 - from above
        (owner_id, blocked_id, now),
    )
    row = database.one(_select_block(table, f"blocks.{owner} = ? AND blocks.blocked_id = ?"), owner_id, blocked_id)
    assert row is not None  # noqa: S101 - it was inserted above, unless it existed
    return _block(owner, row)


def get_block(database: Database, table: str, record_id: int) -> BlockRecord | None:
    """Return a record, or None."""
    row = database.one(_select_block(table, "blocks.id = ?"), record_id)
    return None if row is None else _block(_BLOCKERS[table], row)


def remove_block(database: Database, table: str, record_id: int) -> None:
    """Delete a record."""
    database.execute(f"DELETE FROM {table} WHERE id = ?", (record_id,))  # noqa: S608 - from above


def blocks_page(database: Database, table: str, owner_id: int, request: PageRequest) -> Page[BlockRecord]:
    """Return a page of the users that a user, or a channel, blocks."""
    owner = _BLOCKERS[table]
    source = f"{table} AS blocks JOIN users ON users.id = blocks.blocked_id WHERE blocks.{owner} = ?"
    return select_page(database, _BLOCK_COLUMNS, source, (owner_id,), request=request, read=partial(_block, owner))


def is_blocked(database: Database, table: str, owner_id: int, blocked_id: int) -> bool:
    """Return whether a user, or a channel, blocks a user."""
    sql = f"SELECT 1 FROM {table} WHERE {_BLOCKERS[table]} = ? AND blocked_id = ?"  # noqa: S608 - from above
    return database.one(sql, owner_id, blocked_id) is not None


def blockers_of(database: Database, user_id: int) -> frozenset[int]:
    """Return the ids of the users who block a user."""
    return frozenset(row[0] for row in database.all("SELECT user_id FROM user_blocks WHERE blocked_id = ?", user_id))


_BLOCK_COLUMNS = "users.*, blocks.*, blocks.id AS block_id, blocks.created_time AS block_time"


def _membership(row: sqlite3.Row) -> Membership:
    return Membership(row["channel_id"], row["user_id"], parse_timestamp(row["created_time"]))


def _invite(row: sqlite3.Row) -> Invite:
    return Invite(row["channel_id"], row["user_id"], parse_timestamp(row["created_time"]))


def _select_block(table: str, condition: str) -> str:
    return (
        f"SELECT {_BLOCK_COLUMNS} FROM {table} AS blocks JOIN users ON users.id = blocks.blocked_id WHERE {condition}"  # noqa: S608
    )


def _block(owner: str, row: sqlite3.Row) -> BlockRecord:
    return BlockRecord(row["block_id"], row[owner], users.read(row), parse_timestamp(row["block_time"]))
