"""Delete users, channels and messages with everything that depends on them.

The platform does not document what is deleted with a user, so this is our choice. With a user, messages with their
replies, memberships, invites, reactions, receipts, notifications, sessions, secrets and the display picture are
deleted. Channels are not, even if the user created them. A direct channel is deleted with its last member.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ckfunc.emulator.store import channels, files, users
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import ROWS, Steps, batches, listed
from ckfunc.emulator.store.steps import delete as delete_rows
from ckfunc.model.chat import User

Deleting = Callable[[Sequence[int]], Steps]
"""Called with the ids of messages before they are deleted; returns steps to take after that."""

_OWN = (
    ("notifications", "rowid"),
    ("read_receipts", "message_id, user_id"),
    ("reactions", "message_id, character, user_id"),
    ("message_reports", "message_id, user_id"),
    ("channel_invites", "rowid"),
    ("channel_members", "channel_id, user_id"),
    ("user_secrets", "user_id, name"),
    ("typing", "rowid"),
)
"""Tables that can have many rows for a user, and their keys."""


def silently(_ids: Sequence[int]) -> Steps:
    """Do nothing after messages were deleted."""
    yield from ()


def delete_user(database: Database, user: User, deleting: Deleting = silently) -> Steps:
    """Delete a user."""
    direct = (
        "SELECT id FROM channels JOIN channel_members ON channel_id = id WHERE user_id = ? AND member_ids IS NOT NULL"
    )
    for row in database.all(direct, user.id):
        remaining = [user_id for user_id in channels.member_ids(database, row["id"]) if user_id != user.id]
        if remaining:
            key = ",".join(map(str, remaining))
            with database.transaction():
                database.execute("UPDATE channels SET member_ids = ? WHERE id = ?", (key, row["id"]))
                channels.remove_member(database, row["id"], user.id)
            yield
        else:
            yield from delete_channel(database, row["id"])
    yield from _delete_of_user(database, user.id, deleting)
    for table, key in _OWN:
        yield from delete_rows(database, table, "user_id = ?", user.id, key=key)
    with database.transaction():
        users.forget_picture(database, user)
        database.execute("DELETE FROM users WHERE id = ?", (user.id,))


def delete_channel(database: Database, channel_id: int) -> Steps:
    """Delete a channel and everything in it."""
    yield from _delete_where(database, "channel_id = ?", channel_id, silently)
    yield from delete_rows(database, "notifications", "mentioned_channel_id = ?", channel_id)
    for table in ("chat_sessions", "typing", "threads", "channel_invites"):
        yield from delete_rows(database, table, "channel_id = ?", channel_id)
    yield from delete_rows(database, "channel_members", "channel_id = ?", channel_id, key="channel_id, user_id")
    with database.transaction():
        _remove_files(database, "channel_id = ?", channel_id)  # of messages that were sent in the meantime
        database.execute("DELETE FROM channels WHERE id = ?", (channel_id,))


def delete_message(database: Database, message_id: int, deleting: Deleting = silently) -> Steps:
    """Delete a message with its replies, notifications, receipts, reactions and file."""
    levels = [[message_id]]
    while levels[-1]:
        below: list[int] = []
        for at in range(0, len(levels[-1]), ROWS):
            parents = listed(levels[-1][at : at + ROWS])
            for replies in batches(database, _REPLIES, parents):
                below += replies
                yield
        levels.append(below)
    for level in reversed(levels):  # replies before their parents, so that no deletion cascades
        for at in range(0, len(level), ROWS):
            yield from _delete_these(database, level[at : at + ROWS], deleting)


_REPLIES = "SELECT id FROM messages WHERE id < ? AND parent_id IN (SELECT value FROM json_each(?)) ORDER BY id DESC"


def delete_messages(database: Database, deleting: Deleting = silently) -> Steps:
    """Delete all existing messages, as `delete_message` does."""
    newest = database.value("SELECT coalesce(max(id), 0) FROM messages")
    return _delete_where(database, "id <= ?", newest, deleting)


def _delete_of_user(database: Database, user_id: int, deleting: Deleting) -> Steps:
    """Delete all messages of a user, with their replies."""
    for ids in batches(database, "SELECT id FROM messages WHERE id < ? AND user_id = ? ORDER BY id DESC", user_id):
        for message_id in ids:
            yield from delete_message(database, message_id, deleting)


def _delete_where(database: Database, condition: str, value: int, deleting: Deleting) -> Steps:
    # Newest first, because a reply is newer than its parent.
    sql = f"SELECT id FROM messages WHERE id < ? AND {condition} ORDER BY id DESC"  # noqa: S608 - from above
    for ids in batches(database, sql, value):
        yield from _delete_these(database, ids, deleting)


def _delete_these(database: Database, ids: Sequence[int], deleting: Deleting) -> Steps:
    """Delete messages that have no replies, at most as many as a step may delete."""
    parameter = listed(ids)
    among = "IN (SELECT value FROM json_each(?))"
    for table, key in (
        ("notifications", "rowid"),
        ("read_receipts", "message_id, user_id"),
        ("reactions", "message_id, character, user_id"),
    ):
        yield from delete_rows(database, table, f"message_id {among}", parameter, key=key)
    deleted = deleting(ids)
    with database.transaction():
        _remove_files(database, f"id {among}", parameter)
        database.execute(f"DELETE FROM messages WHERE id {among}", (parameter,))  # noqa: S608 - from above
    yield
    yield from deleted


def _remove_files(database: Database, condition: str, *parameters: Any) -> None:
    """Delete the hosted files of messages for which the SQL `condition` is true."""
    files.discard(
        database,
        f"SELECT substr(json_extract(file, '$.url'), {len(files.FILE_URL) + 1}) FROM messages"  # noqa: S608 - our own SQL
        f" WHERE file IS NOT NULL AND json_extract(file, '$.type') = 'HOSTED' AND {condition}",
        *parameters,
    )
