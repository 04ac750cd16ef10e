"""The users, channels, messages and threads that requests refer to."""

from __future__ import annotations

from ckfunc.emulator.http.problems import Missing
from ckfunc.emulator.store import channels, messages, threads, users
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Channel, Message, Thread
from ckfunc.model.user import User, UserReference


def user(database: Database, user_id: int | None) -> User:
    """Return the user of that id. Raises Missing."""
    found = None if user_id is None else users.get(database, user_id)
    if found is None:
        raise Missing(f"there is no user {user_id}")
    return found


def referred_user(database: Database, reference: UserReference, field: str) -> User:
    """Return the user that the field `field` of a body refers to. Raises Missing: a 404, as for an id in a path."""
    found = users.find(database, reference)
    if found is None:
        who = reference.id if reference.username is None else repr(reference.username[:100])
        raise Missing(f"{field} refers to user {who}, who does not exist")
    return found


def channel(database: Database, channel_id: int | None) -> Channel:
    """Return the channel of that id. Raises Missing."""
    found = None if channel_id is None else channels.get(database, channel_id)
    if found is None:
        raise Missing(f"there is no channel {channel_id}")
    return found


def message(database: Database, message_id: int | None) -> Message:
    """Return the message of that id. Raises Missing."""
    found = None if message_id is None else messages.get(database, message_id)
    if found is None:
        raise Missing(f"there is no message {message_id}")
    return found


def thread(database: Database, thread_id: int | None) -> Thread:
    """Return the thread of that id. Raises Missing."""
    found = None if thread_id is None else threads.get(database, thread_id)
    if found is None:
        raise Missing(f"there is no thread {thread_id}")
    return found
