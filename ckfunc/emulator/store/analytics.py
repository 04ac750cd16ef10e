"""What exports of analytics hold: one row for each message, or each user. The platform documents no format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ckfunc.emulator.store.database import Database


def messages(database: Database) -> Iterator[dict[str, Any]]:
    """Yield what is known of each message, but for what it says; oldest first."""
    yield from _rows(
        database,
        "SELECT messages.id, messages.type, messages.channel_id AS channelId, channels.name AS channelName,"
        " messages.user_id AS userId, users.name AS username, messages.created_time AS createdTime,"
        " messages.last_edited_time AS lastEditedTime, length(messages.body) AS characters,"
        " (SELECT count(*) FROM read_receipts WHERE message_id = messages.id) AS readReceipts"
        " FROM messages JOIN channels ON channels.id = messages.channel_id"
        " LEFT JOIN users ON users.id = messages.user_id ORDER BY messages.id",
    )


def users(database: Database) -> Iterator[dict[str, Any]]:
    """Yield what is known of what each user does; oldest first."""
    yield from _rows(
        database,
        "SELECT users.id, users.name, users.display_name AS displayName, users.created_time AS createdTime,"
        " (SELECT count(*) FROM channel_members WHERE user_id = users.id) AS channels,"
        " (SELECT count(*) FROM messages WHERE user_id = users.id) AS messages,"
        " (SELECT count(*) FROM user_sessions WHERE user_id = users.id) AS sessions,"
        " (SELECT created_time FROM messages WHERE id ="
        " (SELECT max(id) FROM messages WHERE user_id = users.id)) AS lastMessageTime"
        " FROM users ORDER BY users.id",
    )


def _rows(database: Database, sql: str) -> Iterator[dict[str, Any]]:
    for row in database.execute(sql):
        yield dict(zip(row.keys(), row, strict=True))
