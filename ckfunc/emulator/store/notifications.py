"""Notifications of all users."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import channels, conversations, memberships, messages, sessions, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import CursorRequest, select_cursor_page
from ckfunc.model.chat import Channel, ChannelType, Message, Notification, NotificationData, NotificationType, User
from ckfunc.model.page import CursorPage

SCHEMA = """
CREATE TABLE notifications (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  type TEXT NOT NULL,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  mentioned_channel_id INTEGER REFERENCES channels ON DELETE CASCADE,
  title TEXT NOT NULL,
  body TEXT NOT NULL,
  muted INTEGER NOT NULL,
  read_time TEXT,
  created_time TEXT NOT NULL
) STRICT;
CREATE INDEX notifications_of_user ON notifications (user_id, id);
CREATE INDEX notifications_of_channel ON notifications (channel_id);
CREATE INDEX notifications_of_message ON notifications (message_id);
CREATE INDEX notifications_of_mentioned_channel ON notifications (mentioned_channel_id)
  WHERE mentioned_channel_id IS NOT NULL
"""

BODY_CHARACTERS = 1024
"""How many characters of a message are in the body of a notification. Its data has the whole message."""


def concerns_anyone(database: Database, message: Message) -> bool:
    """Return whether a new message may concern anyone who has not opened its channel."""
    if message.mentions or message.parent_id is not None:
        return True
    sender = None if message.user is None else message.user.id
    return channels.has_absent_member(database, message.channel_id, sender)


def create_for_message(database: Database, channel: Channel, message: Message) -> tuple[tuple[User, Notification], ...]:
    """Store a notification for each user whom a new message concerns, and return them with their recipients.

    Each user gets at most one, for the first of these reasons: the message mentions them, replies to them, or mentions
    a channel of theirs, or they are members of its channel. Users with an open chat session in the channel, and those
    who block the sender, get none. Users who have muted the channel get muted ones.
    """
    reasons = _reasons(database, channel, message)
    present = sessions.present(database, channel.id)
    if message.user is not None:
        present |= memberships.blockers_of(database, message.user.id)
    reason_by_user = {user_id: reason for user_id, reason in reasons.items() if user_id not in present}
    if not reason_by_user:
        return ()
    muted = conversations.muted_by(database, channel.id, reason_by_user)
    recipients = users.by_ids(database, reason_by_user)
    body = "File attachment" if message.body is None else message.body[:BODY_CHARACTERS]
    return tuple(
        (recipients[user_id], _create(database, channel, recipients[user_id], data, body, muted=user_id in muted))
        for user_id, data in reason_by_user.items()
    )


def _reasons(database: Database, channel: Channel, message: Message) -> dict[int, NotificationData]:
    """Return the reason to notify each user. More specific reasons replace others."""
    members = channels.member_ids(database, channel.id)
    sender = message.user
    if sender is None:
        return dict.fromkeys(members, NotificationData(NotificationType.SYSTEM_SENT_MESSAGE, message))
    reasons = dict.fromkeys(members, NotificationData(NotificationType.USER_SENT_MESSAGE, message))

    def notify(user_id: int, data: NotificationData) -> None:
        # Users who cannot see the channel are not notified.
        if user_id in reasons or channel.type is ChannelType.PUBLIC:
            reasons[user_id] = data

    named = channels.by_ids(
        database, (mention.channel.id for mention in message.mentions if mention.channel is not None)
    )
    for mentioned in named.values():
        data = NotificationData(NotificationType.USER_MENTIONED_CHANNEL, message, mentioned_channel=mentioned)
        for member in channels.member_ids(database, mentioned.id):
            notify(member, data)
    parent = None if message.parent_id is None else messages.get(database, message.parent_id)
    if parent is not None and parent.user is not None:
        notify(parent.user.id, NotificationData(NotificationType.USER_REPLIED_TO_MESSAGE, message, parent=parent))
    for mention in message.mentions:
        if mention.user is not None:
            data = NotificationData(NotificationType.USER_MENTIONED_USER, message, mentioned_user=mention.user)
            notify(mention.user.id, data)
    reasons.pop(sender.id, None)
    return reasons


def _create(
    database: Database, channel: Channel, recipient: User, data: NotificationData, body: str, *, muted: bool
) -> Notification:
    title, now = _title(data), database.now()
    notification_id = database.insert(
        "INSERT INTO notifications"
        " (user_id, type, channel_id, message_id, mentioned_channel_id, title, body, muted, created_time)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        recipient.id,
        data.type.value,
        channel.id,
        data.message.id,
        None if data.mentioned_channel is None else data.mentioned_channel.id,
        title,
        body,
        muted,
        timestamp(now),
    )
    return Notification(notification_id, recipient.id, title, body, data, now, channel, muted)


def _title(data: NotificationData) -> str:
    sender = data.message.user
    if sender is None:
        return "System message sent"
    if data.type is NotificationType.USER_MENTIONED_USER:
        return f"{sender.display_name} mentioned you"
    if data.mentioned_channel is not None:
        return f"{sender.display_name} mentioned {data.mentioned_channel.display_name}"
    if data.parent is not None:
        return f"{sender.display_name} replied to your message"
    return f"{sender.display_name} sent a message"


def page(database: Database, user_id: int, request: CursorRequest) -> CursorPage[Notification]:
    """Return a page of a user's notifications, newest first, with their channels as they are now."""
    source = "notifications WHERE user_id = ?"
    return select_cursor_page(database, "*", source, (user_id,), request=request, read=partial(_read, database))


def _read(database: Database, rows: Sequence[sqlite3.Row]) -> tuple[Notification, ...]:
    channels_by_id = channels.by_ids(
        database, (row[name] for row in rows for name in ("channel_id", "mentioned_channel_id"))
    )
    about = messages.by_ids(database, (row["message_id"] for row in rows))
    parents = messages.by_ids(database, (concerned.parent_id for concerned in about.values()))
    recipients = users.by_ids(database, (row["user_id"] for row in rows))

    def data(row: sqlite3.Row) -> NotificationData:
        kind, message = NotificationType(row["type"]), about[row["message_id"]]
        return NotificationData(
            type=kind,
            message=message,
            mentioned_channel=channels_by_id.get(row["mentioned_channel_id"]),
            mentioned_user=recipients[row["user_id"]] if kind is NotificationType.USER_MENTIONED_USER else None,
            parent=parents[message.parent_id or 0] if kind is NotificationType.USER_REPLIED_TO_MESSAGE else None,
        )

    return tuple(
        Notification(
            id=row["id"],
            recipient_id=row["user_id"],
            title=row["title"],
            body=row["body"],
            data=data(row),
            created_time=parse_timestamp(row["created_time"]),
            channel=channels_by_id[row["channel_id"]],
            muted=bool(row["muted"]),
            read_time=None if row["read_time"] is None else parse_timestamp(row["read_time"]),
        )
        for row in rows
    )
