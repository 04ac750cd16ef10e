"""Memberships, moderators, invites and blocks."""

from __future__ import annotations

import sqlite3

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.frozen import frozen
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, Sorting, select_page
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

MEMBERSHIPS_SORTING = Sorting({"id": "channel_members.user_id", "createdTime": "channel_members.created_time"})
INVITES_SORTING = Sorting.of("channel_invites", "id", "created_time")
BLOCKS_SORTING = Sorting({"id": "blocks.id", "createdTime": "blocks.created_time", "displayName": "users.display_name"})


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


_BLOCK_COLUMNS = "users.*, blocks.*, blocks.id AS block_id, blocks.created_time AS block_time"


@frozen
class BlockTable:
    """The table of users who are blocked by users, or by channels, and its column of the user or channel."""

    name: str
    owner: str

    def add(self, database: Database, owner_id: int, blocked_id: int) -> BlockRecord:
        """Store that a user or a channel blocks a user, and return the new or existing record."""
        now = timestamp(database.now())
        database.execute(
            f"INSERT OR IGNORE INTO {self.name} ({self.owner}, blocked_id, created_time) VALUES (?, ?, ?)",  # noqa: S608 - from below
            (owner_id, blocked_id, now),
        )
        row = database.one(f"{self._select} blocks.{self.owner} = ? AND blocks.blocked_id = ?", owner_id, blocked_id)
        assert row is not None  # noqa: S101 - it was inserted above, unless it existed
        return self._read(row)

    def get(self, database: Database, record_id: int | None) -> BlockRecord | None:
        """Return a record, or None."""
        return database.read_one(self._read, f"{self._select} blocks.id = ?", record_id)

    def remove(self, database: Database, record_id: int) -> None:
        """Delete a record."""
        database.execute(f"DELETE FROM {self.name} WHERE id = ?", (record_id,))  # noqa: S608 - from below

    def page(self, database: Database, owner_id: int, request: PageRequest) -> Page[BlockRecord]:
        """Return a page of the users that a user, or a channel, blocks."""
        source = f"{self._source} WHERE blocks.{self.owner} = ?"
        return select_page(database, _BLOCK_COLUMNS, source, (owner_id,), request=request, read=self._read)

    def has(self, database: Database, owner_id: int, blocked_id: int) -> bool:
        """Return whether a user, or a channel, blocks a user."""
        sql = f"SELECT 1 FROM {self.name} WHERE {self.owner} = ? AND blocked_id = ?"  # noqa: S608 - from below
        return database.one(sql, owner_id, blocked_id) is not None

    @property
    def _source(self) -> str:
        return f"{self.name} AS blocks JOIN users ON users.id = blocks.blocked_id"

    @property
    def _select(self) -> str:
        return f"SELECT {_BLOCK_COLUMNS} FROM {self._source} WHERE"  # noqa: S608 - from below

    def _read(self, row: sqlite3.Row) -> BlockRecord:
        return BlockRecord(row["block_id"], row[self.owner], users.read(row), parse_timestamp(row["block_time"]))


USER_BLOCKS = BlockTable("user_blocks", "user_id")
CHANNEL_BLOCKS = BlockTable("channel_blocks", "channel_id")


def blockers_of(database: Database, user_id: int) -> frozenset[int]:
    """Return the ids of the users who block a user."""
    return frozenset(database.column("SELECT user_id FROM user_blocks WHERE blocked_id = ?", user_id))


def _membership(row: sqlite3.Row) -> Membership:
    return Membership(row["channel_id"], row["user_id"], parse_timestamp(row["created_time"]))


def _invite(row: sqlite3.Row) -> Invite:
    return Invite(row["channel_id"], row["user_id"], parse_timestamp(row["created_time"]))
