"""Which messages a user has not read: those of others, and of the system, in the user's channels, without a receipt."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import partial

from ckfunc.emulator.store import messages
from ckfunc.emulator.store.cursors import CursorRequest, select_cursor_page, window
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.receipts import IS_UNREAD
from ckfunc.model.chat import Message
from ckfunc.model.page import CursorPage

HAS_UNREAD = (
    "EXISTS (SELECT 1 FROM channel_members AS members"  # noqa: S608 - a constant of ours
    " JOIN messages ON messages.channel_id = members.channel_id"
    f" WHERE members.user_id = users.id AND {IS_UNREAD})"
)
"""SQL that is true for a row of `users` who have anything unread."""


def in_channel(database: Database, channel_id: int, user_id: int) -> bool:
    """Tell whether a channel holds anything that a user, a member of it or not, has not read."""
    sql = (
        "SELECT 1 FROM (SELECT ? AS user_id) AS members, messages"  # noqa: S608 - a constant of ours
        f" WHERE messages.channel_id = ? AND {IS_UNREAD} LIMIT 1"
    )
    return database.one(sql, user_id, channel_id) is not None


def count_in_channel(database: Database, channel_id: int) -> int:
    """Return how many messages a channel holds."""
    found: int = database.value("SELECT count(*) FROM messages WHERE channel_id = ?", channel_id)
    return found


def count(database: Database, user_id: int) -> int:
    """Return how many messages of all of a user's channels are unread: all of them, but the user's own and the read."""
    found: int = database.value(_COUNT, user_id, user_id, user_id)
    return found


# Counting in indexes is much faster than looking at each message for a receipt.
_COUNT = """
WITH own (id) AS (SELECT channel_id FROM channel_members WHERE user_id = ?)
SELECT (SELECT count(*) FROM messages WHERE channel_id IN (SELECT id FROM own))
  - (SELECT count(*) FROM messages WHERE user_id = ? AND channel_id IN (SELECT id FROM own))
  - (SELECT count(*) FROM read_receipts AS receipt JOIN messages ON messages.id = receipt.message_id
     WHERE receipt.user_id = ? AND messages.user_id IS NOT receipt.user_id
     AND messages.channel_id IN (SELECT id FROM own))
"""


def page(database: Database, user_id: int, request: CursorRequest) -> CursorPage[Message]:
    """Return a page of a user's unread messages of all channels, newest first.

    Each channel gives what the page could need from its own index: how much lies below it costs nothing.
    """
    bound, value, order = window(request.cursor)
    sql = (
        "SELECT id FROM (SELECT ? AS user_id) AS members, messages"  # noqa: S608 - constants of ours
        f" WHERE channel_id = ? AND {IS_UNREAD}{bound} ORDER BY id {order} LIMIT ?"
    )
    rows = database.all("SELECT channel_id FROM channel_members WHERE user_id = ?", user_id)
    found = [one["id"] for row in rows for one in database.all(sql, user_id, row[0], *value, request.size + 1)]
    source = "messages WHERE id IN (SELECT value FROM json_each(?))"
    return select_cursor_page(
        database, "id", source, (json.dumps(found),), request=request, read=partial(_messages, database)
    )


def _messages(database: Database, rows: Sequence[sqlite3.Row]) -> tuple[Message, ...]:
    by_id = messages.by_ids(database, (row["id"] for row in rows))
    return tuple(by_id[row["id"]] for row in rows)
