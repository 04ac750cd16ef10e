"""The notifications of all users."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import partial

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import channels, messages
from ckfunc.emulator.store.cursors import CursorRequest, select_cursor_page
from ckfunc.emulator.store.database import Database
from ckfunc.model.channel import Channel
from ckfunc.model.message import Message
from ckfunc.model.notification import Notification, NotificationData, NotificationType
from ckfunc.model.page import CursorPage

SCHEMA = """
CREATE TABLE notifications (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  type TEXT NOT NULL,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  title TEXT NOT NULL,
  body TEXT NOT NULL,
  muted INTEGER NOT NULL,
  read_time TEXT,
  created_time TEXT NOT NULL
) STRICT;
CREATE INDEX notifications_of_user ON notifications (user_id, id);
CREATE INDEX notifications_of_channel ON notifications (channel_id);
CREATE INDEX notifications_of_message ON notifications (message_id)
"""

BODY_CHARACTERS = 1024
"""How much of a message a notification repeats; the whole of it is in its data."""


def create_for_message(
    database: Database, channel: Channel, message: Message, recipients: Iterable[int]
) -> tuple[Notification, ...]:
    """Store a notification of a new message for each of these users."""
    sender = message.user
    kind = NotificationType.SYSTEM_SENT_MESSAGE if sender is None else NotificationType.USER_SENT_MESSAGE
    title = "System message sent" if sender is None else f"{sender.display_name} sent a message"
    body = "File attachment" if message.body is None else message.body[:BODY_CHARACTERS]
    now = datetime.now(UTC)
    made = []
    for recipient in recipients:
        row_id = database.insert(
            "INSERT INTO notifications (user_id, type, channel_id, message_id, title, body, muted, created_time)"
            " VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            recipient,
            kind.value,
            channel.id,
            message.id,
            title,
            body,
            timestamp(now),
        )
        data = NotificationData(kind, message)
        made.append(Notification(row_id, recipient, title, body, data, now, channel))
    return tuple(made)


def page(database: Database, user_id: int, request: CursorRequest) -> CursorPage[Notification]:
    """Return a page of a user's notifications, newest first, with their channels as they are now."""
    source = "notifications WHERE user_id = ?"
    return select_cursor_page(database, "*", source, (user_id,), request=request, read=partial(_read, database))


def _read(database: Database, rows: Sequence[sqlite3.Row]) -> tuple[Notification, ...]:
    where = channels.by_ids(database, (row["channel_id"] for row in rows))
    about = messages.by_ids(database, (row["message_id"] for row in rows))
    return tuple(
        Notification(
            id=row["id"],
            recipient_id=row["user_id"],
            title=row["title"],
            body=row["body"],
            data=NotificationData(NotificationType(row["type"]), about[row["message_id"]]),
            created_time=parse_timestamp(row["created_time"]),
            channel=where[row["channel_id"]],
            muted=bool(row["muted"]),
            read_time=None if row["read_time"] is None else parse_timestamp(row["read_time"]),
        )
        for row in rows
    )
