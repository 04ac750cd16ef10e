"""Periods in which users were typing, for recordings of conversations."""

from __future__ import annotations

from ckfunc.base.clock import timestamp
from ckfunc.emulator.store.database import Database

SCHEMA = """
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


def begin(database: Database, user_id: int, channel_id: int) -> None:
    """Store that a user has started typing in a channel."""
    now = timestamp(database.now())
    database.execute(
        "INSERT INTO typing (user_id, channel_id, start_time) VALUES (?, ?, ?)", (user_id, channel_id, now)
    )


def end(database: Database, user_id: int, channel_id: int) -> None:
    """Store that a user has stopped typing in a channel."""
    database.execute(
        "UPDATE typing SET end_time = ? WHERE user_id = ? AND channel_id = ? AND end_time IS NULL",
        (timestamp(database.now()), user_id, channel_id),
    )
