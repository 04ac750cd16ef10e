"""Who has read which message, and how much is unread.

Unread for a member of a channel is each of its messages that somebody else, or the system, sent and that the member
has no receipt of.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import channels, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, select_page
from ckfunc.model.chat import ReadReceipt, UnreadSummary
from ckfunc.model.page import Page

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
# A membership has no id: its two sides make one.
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


def add(database: Database, message_id: int, user_id: int) -> ReadReceipt | None:
    """Store that a user has read a message; return the receipt, or None when there is one already."""
    now = timestamp(datetime.now(UTC))
    sql = "INSERT OR IGNORE INTO read_receipts VALUES (?, ?, ?)"
    if database.execute(sql, (message_id, user_id, now)).rowcount == 0:
        return None
    return ReadReceipt(message_id, users.by_ids(database, [user_id])[user_id], parse_timestamp(now))


def remove(database: Database, message_id: int, user_id: int) -> bool:
    """Make a message unread again for a user; tell whether it was read."""
    sql = "DELETE FROM read_receipts WHERE message_id = ? AND user_id = ?"
    return database.execute(sql, (message_id, user_id)).rowcount > 0


def page(database: Database, message_id: int, request: PageRequest) -> Page[ReadReceipt]:
    """Return a page of a message's receipts."""
    columns = "users.*, read_receipts.message_id, read_receipts.created_time AS read_time"
    source = "read_receipts JOIN users ON users.id = read_receipts.user_id WHERE read_receipts.message_id = ?"
    return select_page(database, columns, source, (message_id,), request=request, read=_receipt)


def summaries_page(database: Database, request: PageRequest) -> Page[UnreadSummary]:
    """Return a page of all memberships with how much is unread: of every user in every channel."""
    columns = "members.channel_id, members.user_id"
    found = select_page(database, columns, "channel_members AS members", (), request=request, read=tuple)
    where = channels.by_ids(database, (channel_id for channel_id, _ in found.items))
    who = users.by_ids(database, (user_id for _, user_id in found.items))
    items = tuple(
        UnreadSummary(who[user_id], where[channel_id], _unread_in(database, channel_id, user_id))
        for channel_id, user_id in found.items
    )
    return Page(items, found.number, found.size, found.total_elements, found.total_pages)


def _unread_in(database: Database, channel_id: int, user_id: int) -> int:
    count: int = database.value(
        "SELECT count(*) FROM (SELECT ? AS user_id) AS members, messages"  # noqa: S608 - SQL of our own modules
        f" WHERE messages.channel_id = ? AND {IS_UNREAD}",
        user_id,
        channel_id,
    )
    return count


def _receipt(row: sqlite3.Row) -> ReadReceipt:
    return ReadReceipt(row["message_id"], users.read(row), parse_timestamp(row["read_time"]))
