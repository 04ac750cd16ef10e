"""Reactions of users to messages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from ckfunc.base.clock import timestamp
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Emoji, ReactionsSummary
from ckfunc.wire.messages import read_emoji, write_emoji

SCHEMA = """
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


def add(database: Database, message_id: int, user_id: int, emoji: Emoji) -> bool:
    """Store a reaction; return whether it is new."""
    added = database.execute(
        "INSERT OR IGNORE INTO reactions VALUES (?, ?, ?, ?, ?)",
        (message_id, emoji.character, user_id, json.dumps(write_emoji(emoji)), timestamp(datetime.now(UTC))),
    )
    return added.rowcount > 0


def remove(database: Database, message_id: int, user_id: int, character: str) -> bool:
    """Delete a reaction; return whether it existed."""
    sql = "DELETE FROM reactions WHERE message_id = ? AND user_id = ? AND character = ?"
    return database.execute(sql, (message_id, user_id, character)).rowcount > 0


def summaries(database: Database, message_ids: Sequence[int]) -> dict[int, tuple[ReactionsSummary, ...]]:
    """Return the reactions to these messages, by message: one summary per emoji, in order of first use."""
    if not message_ids:
        return {}
    rows = database.all(
        "SELECT message_id, character, user_id, emoji FROM reactions"
        " WHERE message_id IN (SELECT value FROM json_each(?)) ORDER BY created_time, user_id",
        json.dumps(list(message_ids)),
    )
    who = users.by_ids(database, (row["user_id"] for row in rows))
    emojis: dict[tuple[int, str], Emoji] = {}
    reacted: dict[int, dict[str, list[int]]] = {}
    for row in rows:
        key = row["message_id"], row["character"]
        emojis.setdefault(key, read_emoji(json.loads(row["emoji"])))
        reacted.setdefault(row["message_id"], {}).setdefault(row["character"], []).append(row["user_id"])
    return {
        message_id: tuple(
            ReactionsSummary(emojis[message_id, character], tuple(who[one] for one in ids))
            for character, ids in by_character.items()
        )
        for message_id, by_character in reacted.items()
    }
