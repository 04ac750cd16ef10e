"""Reactions of users to messages."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, select_page
from ckfunc.model.chat import Emoji, Reaction, ReactionsSummary
from ckfunc.model.page import Page
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


SORTABLE = {"id": "reactions.user_id", "createdTime": "reactions.created_time"}
DEFAULT_ORDER = "reactions.created_time ASC"


def add(database: Database, message_id: int, user_id: int, emoji: Emoji) -> Reaction | None:
    """Store a reaction, and return it, or None if it already exists."""
    now = timestamp(database.now())
    added = database.execute(
        "INSERT OR IGNORE INTO reactions VALUES (?, ?, ?, ?, ?)",
        (message_id, emoji.character, user_id, json.dumps(write_emoji(emoji)), now),
    )
    return get(database, message_id, user_id, emoji.character) if added.rowcount else None


def get(database: Database, message_id: int, user_id: int, character: str) -> Reaction | None:
    """Return a user's reaction to a message with an emoji, or None."""
    row = database.one(
        f"SELECT {_COLUMNS} FROM {_SOURCE} AND reactions.user_id = ? AND character = ?",  # noqa: S608 - from below
        message_id,
        user_id,
        character,
    )
    return None if row is None else _read(row)


def remove(database: Database, message_id: int, user_id: int, character: str) -> Reaction | None:
    """Delete a reaction, and return it, or None if it did not exist."""
    found = get(database, message_id, user_id, character)
    sql = "DELETE FROM reactions WHERE message_id = ? AND user_id = ? AND character = ?"
    database.execute(sql, (message_id, user_id, character))
    return found


def page(database: Database, message_id: int, request: PageRequest) -> Page[Reaction]:
    """Return a page of the reactions to a message."""
    return select_page(database, _COLUMNS, _SOURCE, (message_id,), request=request, read=_read)


_COLUMNS = "users.*, message_id, emoji, reactions.created_time AS reaction_time"
_SOURCE = "reactions JOIN users ON users.id = reactions.user_id WHERE message_id = ?"


def _read(row: sqlite3.Row) -> Reaction:
    emoji = read_emoji(json.loads(row["emoji"]))
    return Reaction(row["message_id"], emoji, users.read(row), parse_timestamp(row["reaction_time"]))


def summaries(database: Database, message_ids: Sequence[int]) -> dict[int, tuple[ReactionsSummary, ...]]:
    """Return the reactions to these messages, by message: one summary per emoji, in order of first use."""
    if not message_ids:
        return {}
    rows = database.all(
        "SELECT message_id, character, user_id, emoji FROM reactions"
        " WHERE message_id IN (SELECT value FROM json_each(?)) ORDER BY created_time, user_id",
        json.dumps(list(message_ids)),
    )
    users_by_id = users.by_ids(database, (row["user_id"] for row in rows))
    emojis: dict[tuple[int, str], Emoji] = {}
    reacted: dict[int, dict[str, list[int]]] = {}
    for row in rows:
        key = row["message_id"], row["character"]
        emojis.setdefault(key, read_emoji(json.loads(row["emoji"])))
        reacted.setdefault(row["message_id"], {}).setdefault(row["character"], []).append(row["user_id"])
    return {
        message_id: tuple(
            ReactionsSummary(emojis[message_id, character], tuple(users_by_id[user_id] for user_id in ids))
            for character, ids in by_character.items()
        )
        for message_id, by_character in reacted.items()
    }
