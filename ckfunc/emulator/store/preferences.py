"""Preferences of members in channels: muted, hidden, cleared, deleted messages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import listed

# `cleared_id` is the newest message that is no longer shown to the user.
SCHEMA = """
CREATE TABLE channel_preferences (
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  muted INTEGER NOT NULL DEFAULT 0,
  hidden INTEGER NOT NULL DEFAULT 0,
  cleared_id INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (channel_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_preferences_of_user ON channel_preferences (user_id);
CREATE TABLE hidden_messages (
  message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  PRIMARY KEY (message_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX hidden_messages_of_user ON hidden_messages (user_id)
"""

VISIBLE = (
    "messages.id > coalesce((SELECT cleared_id FROM channel_preferences AS own"
    " WHERE own.channel_id = messages.channel_id AND own.user_id = {user}), 0)"
    " AND NOT EXISTS (SELECT 1 FROM hidden_messages WHERE message_id = messages.id AND user_id = {user})"
)
"""SQL that is true for a row of `messages` that a user sees; `{user}` is SQL for the user's id."""

NOT_HIDDEN = (
    "NOT EXISTS (SELECT 1 FROM channel_preferences AS own"
    " WHERE own.channel_id = channels.id AND own.user_id = {user} AND own.hidden)"
)
"""SQL that is true for a row of `channels` that a user has not hidden."""


@dataclass(frozen=True, slots=True)
class ChannelPreferences:
    """Preferences of a user in a channel."""

    muted: bool = False
    hidden: bool = False
    cleared_id: int = 0


def get(database: Database, channel_id: int, user_id: int) -> ChannelPreferences:
    """Return the preferences of a user in a channel."""
    row = database.one("SELECT * FROM channel_preferences WHERE channel_id = ? AND user_id = ?", channel_id, user_id)
    return (
        ChannelPreferences()
        if row is None
        else ChannelPreferences(bool(row["muted"]), bool(row["hidden"]), row["cleared_id"])
    )


def mute(database: Database, channel_id: int, user_id: int, *, muted: bool) -> None:
    """Mute or unmute a channel for a user. Notifications of muted channels are created as muted."""
    _put(database, channel_id, user_id, "muted", muted)


def hide(database: Database, channel_id: int, user_id: int) -> None:
    """Hide a channel from a user's list, until its next message."""
    _put(database, channel_id, user_id, "hidden", 1)


def clear(database: Database, channel_id: int, user_id: int) -> None:
    """Clear a channel's history for a user: its messages so far are no longer shown."""
    newest = database.value("SELECT coalesce(max(id), 0) FROM messages WHERE channel_id = ?", channel_id)
    _put(database, channel_id, user_id, "cleared_id", newest)


def unhide(database: Database, channel_id: int) -> tuple[int, ...]:
    """Show a channel again to all users who have hidden it, and return their ids."""
    rows = database.all("SELECT user_id FROM channel_preferences WHERE channel_id = ? AND hidden", channel_id)
    if rows:
        database.execute("UPDATE channel_preferences SET hidden = 0 WHERE channel_id = ?", (channel_id,))
    return tuple(row[0] for row in rows)


def muted_by(database: Database, channel_id: int, user_ids: Iterable[int]) -> frozenset[int]:
    """Return the ids of those users who have muted a channel."""
    rows = database.all(
        "SELECT user_id FROM channel_preferences WHERE channel_id = ? AND muted"
        " AND user_id IN (SELECT value FROM json_each(?))",
        channel_id,
        listed(list(user_ids)),
    )
    return frozenset(row[0] for row in rows)


def hide_message(database: Database, message_id: int, user_id: int) -> None:
    """Hide a message from a user."""
    database.execute("INSERT OR IGNORE INTO hidden_messages VALUES (?, ?)", (message_id, user_id))


def _put(database: Database, channel_id: int, user_id: int, column: str, value: int) -> None:
    database.execute(
        f"INSERT INTO channel_preferences (channel_id, user_id, {column}) VALUES (?, ?, ?)"  # noqa: S608 - from above
        f" ON CONFLICT (channel_id, user_id) DO UPDATE SET {column} = excluded.{column}",
        (channel_id, user_id, value),
    )
