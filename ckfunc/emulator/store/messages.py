"""Messages of channels, with their mentions and reports."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Generator, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store import users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import (
    CursorRequest,
    Sorting,
    containing,
    search_cursor_page,
    select_by_ids,
    select_cursor_page,
    where,
)
from ckfunc.model.chat import (
    Channel,
    ChannelType,
    Emoji,
    Mention,
    MentionType,
    Message,
    MessageType,
    NewMessage,
    ReactionsSummary,
    Thread,
    ThreadType,
    User,
)
from ckfunc.model.page import CursorPage
from ckfunc.wire.messages import mention_tags, read_emoji, read_file, write_file

# Messages and threads share one sequence of ids: a message and the thread of its replies have the same id.
SCHEMA = """
CREATE TABLE messages (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel_id INTEGER NOT NULL REFERENCES channels ON DELETE CASCADE,
  user_id INTEGER REFERENCES users ON DELETE CASCADE,
  parent_id INTEGER REFERENCES messages ON DELETE CASCADE,
  thread_id INTEGER REFERENCES threads ON DELETE CASCADE,
  type TEXT NOT NULL,
  body TEXT,
  file TEXT,
  mentions TEXT,
  group_tag TEXT,
  nested_level INTEGER NOT NULL,
  properties TEXT NOT NULL,
  created_time TEXT NOT NULL,
  last_edited_time TEXT
) STRICT;
CREATE INDEX messages_of_channel ON messages (channel_id, id);
CREATE INDEX messages_of_main_thread ON messages (channel_id, id) WHERE parent_id IS NULL AND thread_id IS NULL;
CREATE INDEX messages_of_parent ON messages (parent_id, id) WHERE parent_id IS NOT NULL;
CREATE INDEX messages_of_thread ON messages (thread_id, id) WHERE thread_id IS NOT NULL;
CREATE INDEX messages_of_user ON messages (user_id, id);
CREATE TABLE message_reports (
  message_id INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  created_time TEXT NOT NULL,
  reason TEXT,
  properties TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (message_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_reports_of_user ON message_reports (user_id)
"""

REASONS_ADDED = """
ALTER TABLE message_reports ADD COLUMN reason TEXT;
ALTER TABLE message_reports ADD COLUMN properties TEXT NOT NULL DEFAULT '{}'
"""

SORTING = Sorting.of("messages", "id", "type", "created_time", default="messages.id DESC")

NEXT_ID = "(SELECT max(seq) + 1 FROM sqlite_sequence WHERE name IN ('messages', 'threads'))"
"""SQL for an id that no message or thread has ever had; NULL, and so 1, for the first one."""

_MOST_MENTIONS = 100
"""How many mentions in a text are stored, at most. The platform documents no limit; this one is ours."""

_COLUMNS = (
    "messages.*"
    ", (SELECT count(*) FROM messages AS replies WHERE replies.parent_id = messages.id) AS replies_count"
    ", (SELECT count(*) FROM message_reports WHERE message_id = messages.id) AS report_count"
    ", EXISTS (SELECT 1 FROM reactions WHERE message_id = messages.id) AS has_reactions"
)


def create(
    database: Database,
    channel_id: int,
    new: NewMessage,
    user: User | None,
    thread: Thread | None = None,
    *,
    message_id: int | None = None,
) -> Message:
    """Store a message that `user` (None: the system) sends to a channel, or to a thread of it.

    Its id is `message_id`, which must be free, or the next one.
    """
    parent_id = thread.id if thread is not None and thread.type is ThreadType.MESSAGE else None
    thread_id = thread.id if thread is not None and thread.type is ThreadType.STANDALONE else None
    level = 0
    if parent_id is not None:
        level = database.value("SELECT nested_level FROM messages WHERE id = ?", parent_id) + 1
    now = timestamp(database.now())
    mentions = _mentions_in(database, new.body)
    row_id = database.insert(
        "INSERT INTO messages"  # noqa: S608 - SQL of our own modules
        " (id, channel_id, user_id, parent_id, thread_id, type, body, file, mentions, group_tag,"
        f" nested_level, properties, created_time) VALUES (coalesce(?, {NEXT_ID}), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        message_id,
        channel_id,
        None if user is None else user.id,
        parent_id,
        thread_id,
        new.type.value,
        new.body,
        None if new.file is None else json.dumps(write_file(new.file)),
        mentions,
        new.group_tag,
        level,
        json.dumps(dict(new.properties)),
        now,
    )
    return Message(
        id=row_id,
        type=new.type,
        channel_id=channel_id,
        created_time=parse_timestamp(now),
        user=user,
        body=new.body,
        file=new.file,
        group_tag=new.group_tag,
        nested_level=level,
        properties=dict(new.properties),
        mentions=() if mentions is None else _resolved(database, {row_id: mentions})[row_id],
        parent_id=parent_id,
        thread_id=thread_id,
    )


def get(database: Database, message_id: int | None) -> Message | None:
    """Return a message, or None."""
    return next(iter(by_ids(database, [message_id]).values()), None)


def by_ids(database: Database, ids: Iterable[int | None]) -> dict[int, Message]:
    """Return the existing messages among `ids`, by id; None is skipped."""
    rows = select_by_ids(database, _COLUMNS, "messages", ids)
    return {message.id: message for message in _read(database, rows)} if rows else {}


def channels_of(database: Database, ids: Sequence[int]) -> dict[int, int]:
    """Return the channel of each of these messages, newest first."""
    sql = "SELECT id, channel_id FROM messages WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id DESC"
    return {row[0]: row[1] for row in database.all(sql, json.dumps(ids))}


def latest_ids(database: Database, channel_ids: Iterable[int]) -> dict[int, int]:
    """Return the id of the newest message of each channel that has one."""
    rows = database.all(
        "SELECT value, (SELECT max(id) FROM messages WHERE channel_id = value) FROM json_each(?)",
        json.dumps(sorted(set(channel_ids))),
    )
    return {channel_id: message_id for channel_id, message_id in rows if message_id is not None}


def count_in_channel(database: Database, channel_id: int) -> int:
    """Return the number of messages in a channel."""
    return database.count("SELECT count(*) FROM messages WHERE channel_id = ?", channel_id)


def page(
    database: Database,
    request: CursorRequest,
    *,
    channel_id: int | None = None,
    thread: Thread | None = None,
    username: str | None = None,
    query: str | None = None,
    most_steps: int | None = None,
) -> Generator[None, None, CursorPage[Message]]:
    """Return a page of messages, newest first: of a channel, a thread, a sender, containing a text (case-insensitive).

    Texts are searched in small steps, on one page in at most `most_steps`.
    """
    in_its_thread = () if thread is None else (in_thread(thread),)
    sender = "user_id = (SELECT users.id FROM users WHERE users.name = ?)"
    condition, parameters = where(("channel_id = ?", channel_id), *in_its_thread, (sender, username))
    source = f"messages WHERE {condition}"
    if query is None:
        return select_messages(database, source, parameters, request)
    searching = search_cursor_page(
        database,
        _COLUMNS,
        source,
        parameters,
        condition="body LIKE ? ESCAPE '!'",
        value=containing(query),
        request=request,
        read=partial(_read, database),
        most_steps=most_steps,
    )
    return (yield from searching)


def select_messages(
    database: Database, source: str, parameters: tuple[Any, ...], request: CursorRequest
) -> CursorPage[Message]:
    """Return a page of `SELECT … FROM source`, newest first (see `select_cursor_page`)."""
    return select_cursor_page(database, _COLUMNS, source, parameters, request=request, read=partial(_read, database))


def update(database: Database, message: Message) -> Message:
    """Store the fields of a message that a patch can change, and return the message with its new mentions."""
    edited = None if message.last_edited_time is None else timestamp(message.last_edited_time)
    mentions = _mentions_in(database, message.body)
    database.execute(
        "UPDATE messages SET body = ?, mentions = ?, properties = ?, last_edited_time = ? WHERE id = ?",
        (message.body, mentions, json.dumps(dict(message.properties)), edited, message.id),
    )
    return by_ids(database, [message.id])[message.id]


def in_thread(thread: Thread) -> tuple[str, int]:
    """Return SQL, with its parameter, that is true for a row of `messages` in a thread."""
    if thread.type is ThreadType.MESSAGE:
        return "parent_id = ?", thread.id
    if thread.type is ThreadType.STANDALONE:
        return "thread_id = ?", thread.id
    return "parent_id IS NULL AND thread_id IS NULL AND channel_id = ?", thread.channel_id


def _read(database: Database, rows: Sequence[sqlite3.Row]) -> tuple[Message, ...]:
    senders = users.by_ids(database, (row["user_id"] for row in rows))
    reacted = _reactions(database, [row["id"] for row in rows if row["has_reactions"]])
    mentioned = _resolved(database, {row["id"]: row["mentions"] for row in rows if row["mentions"]})
    return tuple(
        Message(
            id=row["id"],
            type=MessageType(row["type"]),
            channel_id=row["channel_id"],
            created_time=parse_timestamp(row["created_time"]),
            user=senders.get(row["user_id"]),
            body=row["body"],
            file=None if row["file"] is None else read_file(json.loads(row["file"])),
            group_tag=row["group_tag"],
            last_edited_time=None if row["last_edited_time"] is None else parse_timestamp(row["last_edited_time"]),
            nested_level=row["nested_level"],
            properties=json.loads(row["properties"]),
            replies_count=row["replies_count"] or None,
            report_count=row["report_count"] or None,
            mentions=mentioned.get(row["id"], ()),
            reactions=reacted.get(row["id"], ()),
            parent_id=row["parent_id"],
            thread_id=row["thread_id"],
        )
        for row in rows
    )


def _reactions(database: Database, message_ids: Sequence[int]) -> dict[int, tuple[ReactionsSummary, ...]]:
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


def _mentions_in(database: Database, text: str | None) -> str | None:
    """Return the users and channels that a text mentions, in the stored format; None if there are none.

    Unknown names are plain text. If a public and a private channel have the same name, the public one is mentioned.
    """
    mentions = []
    for kind, name, tag, start, end in mention_tags(text or "")[: 10 * _MOST_MENTIONS]:
        row = database.one(_MENTIONED[kind], name)
        if row is not None:
            mentions.append([kind.value, tag, start, end, row["id"]])
        if len(mentions) == _MOST_MENTIONS:
            break
    return json.dumps(mentions) if mentions else None


_MENTIONED = {
    MentionType.USER: "SELECT id FROM users WHERE name = ?",
    MentionType.CHANNEL: "SELECT id FROM channels WHERE type IN ('PUBLIC', 'PRIVATE') AND name = ? ORDER BY type DESC",
}


def _resolved(database: Database, stored: Mapping[int, str]) -> dict[int, tuple[Mention, ...]]:
    """Return the mentions in several texts, by the same keys, without users and channels deleted since."""
    if not stored:
        return {}
    stored_mentions = {key: json.loads(text) for key, text in stored.items()}
    ids = {kind: set[int]() for kind in MentionType}
    for mentions in stored_mentions.values():
        for kind, *_, mentioned_id in mentions:
            ids[MentionType(kind)].add(mentioned_id)
    users_by_id = users.by_ids(database, ids[MentionType.USER])
    channels_by_id = _mentioned_channels(database, ids[MentionType.CHANNEL])

    def resolved(kind: str, tag: str, start: int, end: int, mentioned_id: int) -> Mention:
        user = users_by_id.get(mentioned_id) if kind == MentionType.USER else None
        channel = channels_by_id.get(mentioned_id) if kind == MentionType.CHANNEL else None
        return Mention(MentionType(kind), tag, start, end, user, channel)

    return {
        key: tuple(
            mention
            for mention in itertools.starmap(resolved, mentions)
            if mention.user is not None or mention.channel is not None
        )
        for key, mentions in stored_mentions.items()
    }


def _mentioned_channels(database: Database, ids: set[int]) -> dict[int, Channel]:
    """Return channels without their messages, which would mention channels in turn."""
    rows = select_by_ids(database, "*", "channels", ids)
    creators = users.by_ids(database, (row["creator_id"] for row in rows))
    return {row["id"]: read_channel(row, creators.get(row["creator_id"])) for row in rows}


def read_channel(
    row: sqlite3.Row, creator: User | None, last: Message | None = None, members: tuple[User, ...] = ()
) -> Channel:
    """Return a row of the table `channels` as a channel."""
    return Channel(
        id=row["id"],
        type=ChannelType(row["type"]),
        created_time=parse_timestamp(row["created_time"]),
        name=row["name"],
        display_name=row["display_name"],
        creator=creator,
        last_received_message=last,
        members=members,
        properties=json.loads(row["properties"]),
    )
