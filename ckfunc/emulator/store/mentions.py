"""Mentions in texts: found when stored, resolved when read."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from ckfunc.base.clock import parse_timestamp
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Channel, ChannelType, Mention, MentionType
from ckfunc.model.user import User
from ckfunc.wire.messages import mention_tags

MOST = 100
"""How many mentions in a text are stored, at most. The platform documents no limit; this one is ours."""


def found_in(database: Database, text: str | None) -> str | None:
    """Return the users and channels that a text mentions, in the stored format; None if there are none.

    Unknown names are plain text. If a public and a private channel have the same name, the public one is mentioned.
    """
    found = []
    for kind, name, tag, start, end in mention_tags(text or "")[: 10 * MOST]:
        row = database.one(_BY_NAME[kind], name)
        if row is not None:
            found.append([kind.value, tag, start, end, row["id"]])
        if len(found) == MOST:
            break
    return json.dumps(found) if found else None


_BY_NAME = {
    MentionType.USER: "SELECT id FROM users WHERE name = ?",
    MentionType.CHANNEL: "SELECT id FROM channels WHERE type IN ('PUBLIC', 'PRIVATE') AND name = ? ORDER BY type DESC",
}


def resolved(database: Database, stored: Mapping[int, str]) -> dict[int, tuple[Mention, ...]]:
    """Return the mentions in several texts, by the same keys, without users and channels deleted since."""
    if not stored:
        return {}
    found = {key: json.loads(text) for key, text in stored.items()}
    all_mentions = [mention for mentions in found.values() for mention in mentions]
    who = users.by_ids(database, (mention[4] for mention in all_mentions if mention[0] == MentionType.USER))
    where = _channels(database, {mention[4] for mention in all_mentions if mention[0] == MentionType.CHANNEL})
    return {
        key: tuple(
            resolved_mention for mention in mentions if (resolved_mention := _mention(mention, who, where)) is not None
        )
        for key, mentions in found.items()
    }


def _mention(stored: list[Any], who: Mapping[int, User], where: Mapping[int, Channel]) -> Mention | None:
    kind, tag, start, end, found = MentionType(stored[0]), *stored[1:]
    if kind is MentionType.USER:
        return Mention(kind, tag, start, end, user=who[found]) if found in who else None
    return Mention(kind, tag, start, end, channel=where[found]) if found in where else None


def _channels(database: Database, ids: set[int]) -> dict[int, Channel]:
    """Return channels without their messages, which would mention channels in turn."""
    if not ids:
        return {}
    rows = database.all("SELECT * FROM channels WHERE id IN (SELECT value FROM json_each(?))", json.dumps(sorted(ids)))
    creators = users.by_ids(database, (row["creator_id"] for row in rows))
    return {row["id"]: _channel(row, creators.get(row["creator_id"])) for row in rows}


def _channel(row: sqlite3.Row, creator: User | None) -> Channel:
    return Channel(
        id=row["id"],
        type=ChannelType(row["type"]),
        created_time=parse_timestamp(row["created_time"]),
        name=row["name"],
        display_name=row["display_name"],
        creator=creator,
        properties=json.loads(row["properties"]),
    )
