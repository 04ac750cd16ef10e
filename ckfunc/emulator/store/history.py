"""Actions of users since a moment, for recordings of conversations.

Sessions, memberships, reactions and receipts have tables of their own; periods of typing are stored here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store.database import Database

TYPING_SCHEMA = """
CREATE TABLE typing (
  id INTEGER PRIMARY KEY,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  start_time TEXT NOT NULL,
  end_time TEXT
) STRICT;
CREATE INDEX typing_of_user ON typing (user_id);
CREATE INDEX typing_of_channel ON typing (channel_id)
"""


def begin_typing(database: Database, user_id: int, channel_id: int) -> None:
    """Store that a user has started typing in a channel."""
    now = timestamp(database.now())
    database.execute(
        "INSERT INTO typing (user_id, channel_id, start_time) VALUES (?, ?, ?)", (user_id, channel_id, now)
    )


def end_typing(database: Database, user_id: int, channel_id: int) -> None:
    """Store that a user has stopped typing in a channel."""
    database.execute(
        "UPDATE typing SET end_time = ? WHERE user_id = ? AND channel_id = ? AND end_time IS NULL",
        (timestamp(database.now()), user_id, channel_id),
    )


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Something that a user did: `kind` is that of an act, such as connects or starts_typing."""

    time: datetime
    kind: str
    user: str
    channel_id: int | None = None
    message_id: int | None = None
    text: str = ""


def occurrences(database: Database, since: datetime) -> list[Occurrence]:
    """Return what users have done since a moment, in the order of time."""
    rows = database.all(_SINCE, timestamp(since))
    return [Occurrence(parse_timestamp(row[0]), row[1], row[2], row[3], row[4], row[5] or "") for row in rows]


def open_at(database: Database, moment: datetime) -> list[Occurrence]:
    """Return the user sessions and chat sessions that were open at a moment, as connects and opens."""
    rows = database.all(_OPEN, timestamp(moment))
    return [Occurrence(moment, row[0], row[1], row[2]) for row in rows]


_SINCE = """
SELECT time, kind, users.name, channel_id, message_id, text FROM (
  SELECT created_time AS time, 'connects' AS kind, user_id, NULL AS channel_id, NULL AS message_id, NULL AS text
    FROM user_sessions WHERE created_time >= ?1
  UNION ALL SELECT end_time, 'disconnects', user_id, NULL, NULL, NULL FROM user_sessions WHERE end_time >= ?1
  UNION ALL SELECT created_time, 'opens', user_id, channel_id, NULL, NULL FROM chat_sessions WHERE created_time >= ?1
  UNION ALL SELECT end_time, 'closes', user_id, channel_id, NULL, NULL FROM chat_sessions WHERE end_time >= ?1
  UNION ALL SELECT created_time, 'joins', user_id, channel_id, NULL, NULL
    FROM channel_members WHERE created_time >= ?1
  UNION ALL SELECT reactions.created_time, 'reacts', reactions.user_id, messages.channel_id, messages.id, character
    FROM reactions JOIN messages ON messages.id = message_id WHERE reactions.created_time >= ?1
  UNION ALL SELECT start_time, 'starts_typing', user_id, channel_id, NULL, NULL FROM typing WHERE start_time >= ?1
  UNION ALL SELECT end_time, 'stops_typing', user_id, channel_id, NULL, NULL FROM typing WHERE end_time >= ?1
  UNION ALL SELECT read_receipts.created_time, 'reads', read_receipts.user_id, messages.channel_id, messages.id, NULL
    FROM read_receipts JOIN messages ON messages.id = message_id WHERE read_receipts.created_time >= ?1
) AS happened JOIN users ON users.id = happened.user_id ORDER BY time, kind = 'closes' DESC, message_id, users.id
"""

_OPEN = """
SELECT kind, users.name, channel_id FROM (
  SELECT 'connects' AS kind, user_id, NULL AS channel_id FROM user_sessions
    WHERE created_time < ?1 AND (end_time IS NULL OR end_time >= ?1)
  UNION SELECT 'opens', user_id, channel_id FROM chat_sessions
    WHERE created_time < ?1 AND (end_time IS NULL OR end_time >= ?1)
) AS open JOIN users ON users.id = open.user_id ORDER BY kind, users.id, channel_id
"""
