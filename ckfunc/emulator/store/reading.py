"""Read receipts, unread messages, reactions and reports.

A message of a channel is unread for a member if somebody else, or the system, sent it and the member has no receipt
for it.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import partial

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import channels, messages, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import CursorRequest, PageRequest, Sorting, select_page, select_page_by_id, window
from ckfunc.model.chat import Emoji, Message, MessageReport, Reaction, ReadReceipt, UnreadSummary, User
from ckfunc.model.page import CursorPage, Page
from ckfunc.wire.messages import read_emoji, write_emoji

RECEIPTS_SCHEMA = """
CREATE TABLE read_receipts (
  message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  created_time TEXT NOT NULL,
  PRIMARY KEY (message_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX read_receipts_of_user ON read_receipts (user_id, message_id)
"""

REACTIONS_SCHEMA = """
CREATE TABLE reactions (
  message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  character TEXT NOT NULL,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  emoji TEXT NOT NULL,
  created_time TEXT NOT NULL,
  PRIMARY KEY (message_id, character, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX reactions_of_user ON reactions (user_id)
"""

RECEIPTS_SORTING = Sorting(
    {"id": "read_receipts.user_id", "createdTime": "read_receipts.created_time"}, "read_receipts.created_time ASC"
)
REACTIONS_SORTING = Sorting(
    {"id": "reactions.user_id", "createdTime": "reactions.created_time"}, "reactions.created_time ASC"
)
REPORTS_SORTING = Sorting({"id": "reports.user_id", "createdTime": "reports.created_time"}, "reports.created_time ASC")

# A membership has no id: its channel and user make one.
SUMMARIES_SORTING = Sorting(
    {
        "id": "(members.user_id*4294967296+members.channel_id)",
        "userId": "members.user_id",
        "channelId": "members.channel_id",
    },
    "members.user_id ASC, members.channel_id ASC",
)

IS_UNREAD = (
    "(messages.user_id IS NULL OR messages.user_id <> members.user_id) AND NOT EXISTS ("
    "SELECT 1 FROM read_receipts AS own WHERE own.message_id = messages.id AND own.user_id = members.user_id)"
)
"""SQL that is true for a row of `messages` that the user of a row `members` (of `channel_members`) has not read."""

READER = "(SELECT ? AS user_id) AS members"
"""SQL of a user, member or not, as a row `members`."""

HAS_UNREAD = (
    "EXISTS (SELECT 1 FROM channel_members AS members"  # noqa: S608 - a constant of ours
    " JOIN messages ON messages.channel_id = members.channel_id"
    f" WHERE members.user_id = users.id AND {IS_UNREAD})"
)
"""SQL that is true for a row of `users` with unread messages."""

_RECEIPT_COLUMNS = "users.*, read_receipts.message_id, read_receipts.created_time AS read_time"
_RECEIPTS = "read_receipts JOIN users ON users.id = read_receipts.user_id WHERE read_receipts.message_id = ?"
_REACTION_COLUMNS = "users.*, message_id, emoji, reactions.created_time AS reaction_time"
_REACTIONS = "reactions JOIN users ON users.id = reactions.user_id WHERE message_id = ?"

# Counting in indexes is much faster than checking each message for a receipt.
_UNREAD_COUNT = """
WITH own (id) AS (SELECT channel_id FROM channel_members WHERE user_id = ?)
SELECT (SELECT count(*) FROM messages WHERE channel_id IN (SELECT id FROM own))
  - (SELECT count(*) FROM messages WHERE user_id = ? AND channel_id IN (SELECT id FROM own))
  - (SELECT count(*) FROM read_receipts AS receipt JOIN messages ON messages.id = receipt.message_id
     WHERE receipt.user_id = ? AND messages.user_id IS NOT receipt.user_id
     AND messages.channel_id IN (SELECT id FROM own))
"""


def add_receipt(database: Database, message_id: int, user_id: int) -> ReadReceipt | None:
    """Store that a user has read a message, and return the receipt, or None if it already exists."""
    now = timestamp(database.now())
    sql = "INSERT OR IGNORE INTO read_receipts VALUES (?, ?, ?)"
    if database.execute(sql, (message_id, user_id, now)).rowcount == 0:
        return None
    return ReadReceipt(message_id, users.by_ids(database, [user_id])[user_id], parse_timestamp(now))


def get_receipt(database: Database, message_id: int, user_id: int) -> ReadReceipt | None:
    """Return a user's receipt of a message, or None."""
    columns, source = _RECEIPT_COLUMNS, f"{_RECEIPTS} AND read_receipts.user_id = ?"
    return database.read_one(_receipt, f"SELECT {columns} FROM {source}", message_id, user_id)  # noqa: S608 - from above


def readers(database: Database, message_ids: Sequence[int]) -> dict[int, list[User]]:
    """Return the users who have read these messages, by message, in the order in which they read it."""
    rows = database.all(
        "SELECT message_id, user_id FROM read_receipts WHERE message_id IN (SELECT value FROM json_each(?))"
        " ORDER BY created_time, user_id",
        json.dumps(list(message_ids)),
    )
    users_by_id = users.by_ids(database, (row["user_id"] for row in rows))
    readers_by_message: dict[int, list[User]] = {}
    for row in rows:
        readers_by_message.setdefault(row["message_id"], []).append(users_by_id[row["user_id"]])
    return readers_by_message


def remove_receipt(database: Database, message_id: int, user_id: int) -> bool:
    """Make a message unread for a user, and return whether it was read."""
    sql = "DELETE FROM read_receipts WHERE message_id = ? AND user_id = ?"
    return database.execute(sql, (message_id, user_id)).rowcount > 0


def receipts_page(database: Database, message_id: int, request: PageRequest) -> Page[ReadReceipt]:
    """Return a page of a message's receipts."""
    return select_page(database, _RECEIPT_COLUMNS, _RECEIPTS, (message_id,), request=request, read=_receipt)


def summaries_page(database: Database, request: PageRequest) -> Page[UnreadSummary]:
    """Return a page of all memberships with their numbers of unread messages."""
    columns = "members.channel_id, members.user_id"
    rows = select_page(database, columns, "channel_members AS members", (), request=request, read=tuple)
    channels_by_id = channels.by_ids(database, (channel_id for channel_id, _ in rows.items))
    users_by_id = users.by_ids(database, (user_id for _, user_id in rows.items))
    items = tuple(
        UnreadSummary(users_by_id[user_id], channels_by_id[channel_id], unread_in(database, channel_id, user_id))
        for channel_id, user_id in rows.items
    )
    return Page(items, rows.number, rows.size, rows.total_elements, rows.total_pages)


def unread_in(database: Database, channel_id: int, user_id: int) -> int:
    """Return the number of messages of a channel that a user has not read."""
    sql = f"SELECT count(*) FROM {READER}, messages WHERE messages.channel_id = ? AND {IS_UNREAD}"  # noqa: S608 - above
    return database.count(sql, user_id, channel_id)


def recent_unread(database: Database, channel_id: int, user_id: int, most: int) -> int:
    """Return how many of a channel's newest `most` messages a user has not read."""
    newest = "(SELECT id, user_id FROM messages WHERE channel_id = ? ORDER BY id DESC LIMIT ?) AS messages"
    sql = f"SELECT count(*) FROM {READER}, {newest} WHERE {IS_UNREAD}"  # noqa: S608 - from above
    return database.count(sql, user_id, channel_id, most)


def has_unread(database: Database, channel_id: int, user_id: int) -> bool:
    """Return whether a channel has messages that a user, member or not, has not read."""
    sql = f"SELECT 1 FROM {READER}, messages WHERE messages.channel_id = ? AND {IS_UNREAD} LIMIT 1"  # noqa: S608 - above
    return database.one(sql, user_id, channel_id) is not None


def unread_count(database: Database, user_id: int) -> int:
    """Return the number of unread messages in all of a user's channels, without the user's own."""
    return database.count(_UNREAD_COUNT, user_id, user_id, user_id)


def unread_page(database: Database, user_id: int, request: CursorRequest) -> CursorPage[Message]:
    """Return a page of the unread messages in all of a user's channels, newest first.

    The index of each channel provides as many messages as the page could need.
    """
    bound, value, order = window(request.cursor)
    unread = f"{READER}, messages WHERE channel_id = ? AND {IS_UNREAD}{bound}"
    sql = f"SELECT id FROM {unread} ORDER BY id {order} LIMIT ?"  # noqa: S608 - constants of ours
    message_ids = [
        message_id
        for channel_id in users.channel_ids(database, user_id)
        for message_id in database.column(sql, user_id, channel_id, *value, request.size + 1)
    ]
    source = "messages WHERE id IN (SELECT value FROM json_each(?))"
    return messages.select_messages(database, source, (json.dumps(message_ids),), request)


def add_reaction(database: Database, message_id: int, user_id: int, emoji: Emoji) -> Reaction | None:
    """Store a reaction, and return it, or None if it already exists."""
    now = timestamp(database.now())
    added = database.execute(
        "INSERT OR IGNORE INTO reactions VALUES (?, ?, ?, ?, ?)",
        (message_id, emoji.character, user_id, json.dumps(write_emoji(emoji)), now),
    )
    return get_reaction(database, message_id, user_id, emoji.character) if added.rowcount else None


def get_reaction(database: Database, message_id: int, user_id: int, character: str) -> Reaction | None:
    """Return a user's reaction to a message with an emoji, or None."""
    sql = f"SELECT {_REACTION_COLUMNS} FROM {_REACTIONS} AND reactions.user_id = ? AND character = ?"  # noqa: S608 - above
    return database.read_one(_reaction, sql, message_id, user_id, character)


def remove_reaction(database: Database, message_id: int, user_id: int, character: str) -> Reaction | None:
    """Delete a reaction, and return it, or None if it did not exist."""
    reaction = get_reaction(database, message_id, user_id, character)
    sql = "DELETE FROM reactions WHERE message_id = ? AND user_id = ? AND character = ?"
    database.execute(sql, (message_id, user_id, character))
    return reaction


def reactions_page(database: Database, message_id: int, request: PageRequest) -> Page[Reaction]:
    """Return a page of the reactions to a message."""
    return select_page(database, _REACTION_COLUMNS, _REACTIONS, (message_id,), request=request, read=_reaction)


def reported_page(database: Database, channel_id: int, request: PageRequest) -> Page[Message]:
    """Return a page of a channel's reported messages."""
    source = "messages WHERE channel_id = ? AND id IN (SELECT message_id FROM message_reports)"
    read = partial(messages.by_ids, database)
    return select_page_by_id(database, "messages", source, (channel_id,), request=request, read=read)


def report(database: Database, report: MessageReport) -> None:
    """Store that a user reported a message. Repeated reports count once."""
    database.execute(
        "INSERT OR IGNORE INTO message_reports (message_id, user_id, created_time, reason, properties)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            report.message_id,
            report.user.id,
            timestamp(report.created_time),
            report.reason,
            json.dumps(dict(report.properties)),
        ),
    )


def reports_page(database: Database, message_id: int, request: PageRequest) -> Page[MessageReport]:
    """Return a page of the reports of a message."""
    columns = "users.*, message_id, reason, reports.properties AS details, reports.created_time AS report_time"
    source = "message_reports AS reports JOIN users ON users.id = reports.user_id WHERE message_id = ?"
    return select_page(database, columns, source, (message_id,), request=request, read=_report)


def unreport(database: Database, message_id: int, user_id: int) -> bool:
    """Delete a user's report of a message, and return whether it existed."""
    sql = "DELETE FROM message_reports WHERE message_id = ? AND user_id = ?"
    return database.execute(sql, (message_id, user_id)).rowcount > 0


def _receipt(row: sqlite3.Row) -> ReadReceipt:
    return ReadReceipt(row["message_id"], users.read(row), parse_timestamp(row["read_time"]))


def _reaction(row: sqlite3.Row) -> Reaction:
    emoji = read_emoji(json.loads(row["emoji"]))
    return Reaction(row["message_id"], emoji, users.read(row), parse_timestamp(row["reaction_time"]))


def _report(row: sqlite3.Row) -> MessageReport:
    return MessageReport(
        message_id=row["message_id"],
        user=users.read(row),
        created_time=parse_timestamp(row["report_time"]),
        reason=row["reason"],
        properties=json.loads(row["details"]),
    )
