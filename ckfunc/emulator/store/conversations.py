"""Channels, messages and users as one user sees them: lists and preferences."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from functools import partial
from typing import Any

from ckfunc.emulator.store import channels, messages, reading, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import CursorRequest, PageRequest, Sorting, select_page, select_page_by_id, where
from ckfunc.emulator.store.steps import listed
from ckfunc.emulator.store.users import UserFilter
from ckfunc.model.chat import Channel, Message, Thread, ThreadType, User
from ckfunc.model.page import CursorPage, Page

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

_VISIBLE = (
    "messages.id > coalesce((SELECT cleared_id FROM channel_preferences AS own"
    " WHERE own.channel_id = messages.channel_id AND own.user_id = {user}), 0)"
    " AND NOT EXISTS (SELECT 1 FROM hidden_messages WHERE message_id = messages.id AND user_id = {user})"
)
"""SQL that is true for a row of `messages` that a user sees; `{user}` is SQL for the user's id."""

_NOT_HIDDEN = (
    "NOT EXISTS (SELECT 1 FROM channel_preferences AS own"
    " WHERE own.channel_id = channels.id AND own.user_id = ?1 AND own.hidden)"
)
"""SQL that is true for a row of `channels` that the user `?1` has not hidden."""

_NEWEST_MESSAGE = "(SELECT max(id) FROM messages WHERE channel_id=channels.id)"
SORTING = Sorting({**channels.SORTING.columns, "lastReceivedMessage.createdTime": _NEWEST_MESSAGE})

_MOST_THREADS = 2000
"""How many threads of a channel are listed, at most."""

_MOST_CONTEXT = 2000
_MEMBER = "channels.id IN (SELECT channel_id FROM channel_members WHERE user_id = ?1)"

_UNREAD = (
    "SELECT members.channel_id FROM channel_members AS members WHERE members.user_id = ?1 AND EXISTS"  # noqa: S608
    f" (SELECT 1 FROM messages WHERE messages.channel_id = members.channel_id AND {reading.IS_UNREAD})"
)


class Listed(Enum):
    """SQL that selects the listed channels of the user `?1`."""

    OWN = f"{_MEMBER} AND {_NOT_HIDDEN}"
    JOINABLE = f"channels.type = 'PUBLIC' AND NOT {_MEMBER}"
    UNREAD = f"channels.id IN ({_UNREAD})"


def channels_page(
    database: Database, user_id: int, listed: Listed, request: PageRequest, *, name: str | None = None
) -> Page[Channel]:
    """Return a page of the channels that `listed` selects for a user, with `name` only those of this name."""
    source, parameters = _channels(user_id, listed, name, None)
    read = partial(channels.by_ids, database)
    return select_page_by_id(database, "channels", source, parameters, request=request, read=read)


def channels_count(database: Database, user_id: int, listed: Listed, *, kind: str | None = None) -> int:
    """Return the number of channels that `listed` selects for a user, with `kind` only those of this type."""
    source, parameters = _channels(user_id, listed, None, kind)
    return database.count(f"SELECT count(*) FROM {source}", *parameters)  # noqa: S608 - SQL of our own modules


def _channels(user_id: int, listed: Listed, name: str | None, kind: str | None) -> tuple[str, tuple[Any, ...]]:
    condition, parameters = where(("channels.name = ?", name), ("channels.type = ?", kind))
    return f"channels WHERE {listed.value} AND {condition}", (user_id, *parameters)


def messages_page(
    database: Database,
    user_id: int,
    request: CursorRequest,
    *,
    channel_id: int | None = None,
    files_only: bool = False,
    main_thread: bool = False,
) -> CursorPage[Message]:
    """Return a page of the messages that a user sees, newest first: of a channel, or of all the user's channels."""
    in_channel = "channel_id IN (SELECT channel_id FROM channel_members WHERE user_id = ?)"
    parameters: list[int] = [user_id]
    if channel_id is not None:
        in_channel, parameters = "channel_id = ?", [channel_id]
    conditions = [in_channel, _VISIBLE.format(user=str(int(user_id)))]
    if files_only:
        conditions.append("type IN ('FILE', 'SYSTEM_FILE')")
    if main_thread:
        conditions.append("parent_id IS NULL AND thread_id IS NULL")
    source = f"messages WHERE {' AND '.join(conditions)}"
    return messages.select_messages(database, source, tuple(parameters), request)


def contacts_page(database: Database, user_id: int, request: PageRequest, user_filter: UserFilter) -> Page[User]:
    """Return a page of a user's contacts: all other users of the application, except blocked ones."""
    source, parameters = _contacts(user_id, user_filter)
    return select_page(database, "users.*", source, parameters, request=request, read=users.read)


def contacts_count(database: Database, user_id: int, user_filter: UserFilter) -> int:
    """Return the number of a user's contacts."""
    source, parameters = _contacts(user_id, user_filter)
    return database.count(f"SELECT count(*) FROM {source}", *parameters)  # noqa: S608 - SQL of our own modules


def _contacts(user_id: int, user_filter: UserFilter) -> tuple[str, tuple[Any, ...]]:
    blocked = "SELECT blocked_id FROM user_blocks WHERE user_id = ?"
    filters, values = user_filter.where()
    source = f"users WHERE users.id <> ? AND users.id NOT IN ({blocked}) AND {filters}"
    return source, (user_id, user_id, *values)


def last_read(database: Database, channel_id: int, user_id: int) -> int | None:
    """Return the id of the newest message of a channel that a user has read, or None."""
    message_id: int | None = database.value(
        "SELECT max(messages.id) FROM read_receipts JOIN messages ON messages.id = read_receipts.message_id"
        " WHERE read_receipts.user_id = ? AND messages.channel_id = ?",
        user_id,
        channel_id,
    )
    return message_id


def read_by(database: Database, channel_id: int, first: int | None, last: int | None) -> dict[str, list[int]]:
    """Return the messages from `first` to `last` that each user has read, by the user's id."""
    low, high = sorted((first or 0, last or 2**62))
    rows = database.all(
        "SELECT read_receipts.user_id, messages.id FROM messages JOIN read_receipts ON message_id = messages.id"
        " WHERE channel_id = ? AND messages.id BETWEEN ? AND ? ORDER BY messages.id LIMIT ?",
        channel_id,
        low,
        high,
        _MOST_CONTEXT,
    )
    readers: dict[str, list[int]] = {}
    for user_id, message_id in rows:
        readers.setdefault(str(user_id), []).append(message_id)
    return readers


def threads(database: Database, channel_id: int, *, main: bool, standalone_only: bool) -> list[Thread]:
    """Return a channel's threads: the main one, standalone ones, and those of messages with replies."""
    first = [channels.main_thread(database, channel_id)] if main and not standalone_only else []
    standalone = "SELECT id FROM threads WHERE channel_id = ? AND type = 'STANDALONE' ORDER BY id LIMIT ?"
    ids = database.column(standalone, channel_id, _MOST_THREADS)
    if not standalone_only:
        ids += database.column(
            "SELECT DISTINCT parent_id FROM messages WHERE parent_id IN"
            " (SELECT id FROM messages WHERE channel_id = ?) ORDER BY parent_id LIMIT ?",
            channel_id,
            _MOST_THREADS,
        )
    all_threads = (channels.get_thread(database, thread_id) for thread_id in ids)
    return [*first, *(thread for thread in all_threads if thread is not None and thread.type is not ThreadType.MAIN)]


def unread_ids(database: Database, user_id: int, channel_id: int, thread: Thread | None = None) -> list[int]:
    """Return the ids of the messages in a channel, or in a thread of it, that a user has not read."""
    condition, value = ("messages.channel_id = ?", channel_id) if thread is None else messages.in_thread(thread)
    sql = f"SELECT messages.id FROM {reading.READER}, messages WHERE {condition} AND {reading.IS_UNREAD}"  # noqa: S608 - ours
    return database.column(sql, user_id, value)


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
    ids = database.column("SELECT user_id FROM channel_preferences WHERE channel_id = ? AND hidden", channel_id)
    if ids:
        database.execute("UPDATE channel_preferences SET hidden = 0 WHERE channel_id = ?", (channel_id,))
    return tuple(ids)


def muted_by(database: Database, channel_id: int, user_ids: Iterable[int]) -> frozenset[int]:
    """Return the ids of those users who have muted a channel."""
    sql = (
        "SELECT user_id FROM channel_preferences WHERE channel_id = ? AND muted"
        " AND user_id IN (SELECT value FROM json_each(?))"
    )
    return frozenset(database.column(sql, channel_id, listed(list(user_ids))))


def hide_message(database: Database, message_id: int, user_id: int) -> None:
    """Hide a message from a user."""
    database.execute("INSERT OR IGNORE INTO hidden_messages VALUES (?, ?)", (message_id, user_id))


def _put(database: Database, channel_id: int, user_id: int, column: str, value: int) -> None:
    database.execute(
        f"INSERT INTO channel_preferences (channel_id, user_id, {column}) VALUES (?, ?, ?)"  # noqa: S608 - from above
        f" ON CONFLICT (channel_id, user_id) DO UPDATE SET {column} = excluded.{column}",
        (channel_id, user_id, value),
    )
