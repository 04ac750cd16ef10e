"""Read receipts and unread messages.

A message of a channel is unread for a member if somebody else, or the system, sent it and the member has no receipt
for it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import channels, messages, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import CursorRequest, PageRequest, select_page, window
from ckfunc.model.chat import Message, ReadReceipt, UnreadSummary, User
from ckfunc.model.page import CursorPage, Page

SCHEMA = """
CREATE TABLE read_receipts (
  message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  created_time TEXT NOT NULL,
  PRIMARY KEY (message_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX read_receipts_of_user ON read_receipts (user_id, message_id)
"""

SORTABLE = {"id": "read_receipts.user_id", "createdTime": "read_receipts.created_time"}
DEFAULT_ORDER = "read_receipts.created_time ASC"
# A membership has no id: its channel and user make one.
SUMMARIES_SORTABLE = {
    "id": "(members.user_id*4294967296+members.channel_id)",
    "userId": "members.user_id",
    "channelId": "members.channel_id",
}
SUMMARIES_ORDER = "members.user_id ASC, members.channel_id ASC"

IS_UNREAD = (
    "(messages.user_id IS NULL OR messages.user_id <> members.user_id) AND NOT EXISTS ("
    "SELECT 1 FROM read_receipts AS own WHERE own.message_id = messages.id AND own.user_id = members.user_id)"
)
"""SQL that is true for a row of `messages` that the user of a row `members` (of `channel_members`) has not read."""

HAS_UNREAD = (
    "EXISTS (SELECT 1 FROM channel_members AS members"  # noqa: S608 - a constant of ours
    " JOIN messages ON messages.channel_id = members.channel_id"
    f" WHERE members.user_id = users.id AND {IS_UNREAD})"
)
"""SQL that is true for a row of `users` with unread messages."""


def add(database: Database, message_id: int, user_id: int) -> ReadReceipt | None:
    """Store that a user has read a message, and return the receipt, or None if it already exists."""
    now = timestamp(database.now())
    sql = "INSERT OR IGNORE INTO read_receipts VALUES (?, ?, ?)"
    if database.execute(sql, (message_id, user_id, now)).rowcount == 0:
        return None
    return ReadReceipt(message_id, users.by_ids(database, [user_id])[user_id], parse_timestamp(now))


def get(database: Database, message_id: int, user_id: int) -> ReadReceipt | None:
    """Return a user's receipt of a message, or None."""
    columns, source = _COLUMNS, f"{_SOURCE} AND read_receipts.user_id = ?"
    row = database.one(f"SELECT {columns} FROM {source}", message_id, user_id)  # noqa: S608 - from below
    return None if row is None else _receipt(row)


def readers(database: Database, message_ids: Sequence[int]) -> dict[int, tuple[User, ...]]:
    """Return the users who have read these messages, by message, in the order in which they read it."""
    rows = database.all(
        "SELECT message_id, user_id FROM read_receipts WHERE message_id IN (SELECT value FROM json_each(?))"
        " ORDER BY created_time, user_id",
        json.dumps(list(message_ids)),
    )
    users_by_id = users.by_ids(database, (row["user_id"] for row in rows))
    found: dict[int, tuple[User, ...]] = {}
    for row in rows:
        found[row["message_id"]] = (*found.get(row["message_id"], ()), users_by_id[row["user_id"]])
    return found


def remove(database: Database, message_id: int, user_id: int) -> bool:
    """Make a message unread for a user, and return whether it was read."""
    sql = "DELETE FROM read_receipts WHERE message_id = ? AND user_id = ?"
    return database.execute(sql, (message_id, user_id)).rowcount > 0


def page(database: Database, message_id: int, request: PageRequest) -> Page[ReadReceipt]:
    """Return a page of a message's receipts."""
    return select_page(database, _COLUMNS, _SOURCE, (message_id,), request=request, read=_receipt)


_COLUMNS = "users.*, read_receipts.message_id, read_receipts.created_time AS read_time"
_SOURCE = "read_receipts JOIN users ON users.id = read_receipts.user_id WHERE read_receipts.message_id = ?"


def summaries_page(database: Database, request: PageRequest) -> Page[UnreadSummary]:
    """Return a page of all memberships with their numbers of unread messages."""
    columns = "members.channel_id, members.user_id"
    found = select_page(database, columns, "channel_members AS members", (), request=request, read=tuple)
    channels_by_id = channels.by_ids(database, (channel_id for channel_id, _ in found.items))
    users_by_id = users.by_ids(database, (user_id for _, user_id in found.items))
    items = tuple(
        UnreadSummary(users_by_id[user_id], channels_by_id[channel_id], unread_in(database, channel_id, user_id))
        for channel_id, user_id in found.items
    )
    return Page(items, found.number, found.size, found.total_elements, found.total_pages)


def unread_in(database: Database, channel_id: int, user_id: int) -> int:
    """Return the number of messages of a channel that a user has not read."""
    count: int = database.value(
        "SELECT count(*) FROM (SELECT ? AS user_id) AS members, messages"  # noqa: S608 - SQL of our own modules
        f" WHERE messages.channel_id = ? AND {IS_UNREAD}",
        user_id,
        channel_id,
    )
    return count


def recent_unread(database: Database, channel_id: int, user_id: int, most: int) -> int:
    """Return how many of a channel's newest `most` messages a user has not read."""
    count: int = database.value(
        "SELECT count(*) FROM (SELECT ? AS user_id) AS members,"  # noqa: S608 - SQL of our own modules
        " (SELECT id, user_id FROM messages WHERE channel_id = ? ORDER BY id DESC LIMIT ?) AS messages"
        f" WHERE {IS_UNREAD}",
        user_id,
        channel_id,
        most,
    )
    return count


def _receipt(row: sqlite3.Row) -> ReadReceipt:
    return ReadReceipt(row["message_id"], users.read(row), parse_timestamp(row["read_time"]))


def has_unread(database: Database, channel_id: int, user_id: int) -> bool:
    """Return whether a channel has messages that a user, member or not, has not read."""
    sql = (
        "SELECT 1 FROM (SELECT ? AS user_id) AS members, messages"  # noqa: S608 - a constant of ours
        f" WHERE messages.channel_id = ? AND {IS_UNREAD} LIMIT 1"
    )
    return database.one(sql, user_id, channel_id) is not None


def unread_count(database: Database, user_id: int) -> int:
    """Return the number of unread messages in all of a user's channels, without the user's own."""
    found: int = database.value(_UNREAD_COUNT, user_id, user_id, user_id)
    return found


# Counting in indexes is much faster than checking each message for a receipt.
_UNREAD_COUNT = """
WITH own (id) AS (SELECT channel_id FROM channel_members WHERE user_id = ?)
SELECT (SELECT count(*) FROM messages WHERE channel_id IN (SELECT id FROM own))
  - (SELECT count(*) FROM messages WHERE user_id = ? AND channel_id IN (SELECT id FROM own))
  - (SELECT count(*) FROM read_receipts AS receipt JOIN messages ON messages.id = receipt.message_id
     WHERE receipt.user_id = ? AND messages.user_id IS NOT receipt.user_id
     AND messages.channel_id IN (SELECT id FROM own))
"""


def unread_page(database: Database, user_id: int, request: CursorRequest) -> CursorPage[Message]:
    """Return a page of the unread messages in all of a user's channels, newest first.

    The index of each channel provides as many messages as the page could need.
    """
    bound, value, order = window(request.cursor)
    sql = (
        "SELECT id FROM (SELECT ? AS user_id) AS members, messages"  # noqa: S608 - constants of ours
        f" WHERE channel_id = ? AND {IS_UNREAD}{bound} ORDER BY id {order} LIMIT ?"
    )
    rows = database.all("SELECT channel_id FROM channel_members WHERE user_id = ?", user_id)
    found = [message["id"] for row in rows for message in database.all(sql, user_id, row[0], *value, request.size + 1)]
    source = "messages WHERE id IN (SELECT value FROM json_each(?))"
    return messages.select_messages(database, source, (json.dumps(found),), request)
