"""Find what requests refer to, and check what a client may do."""

from __future__ import annotations

from typing import TypeVar

from ckfunc.emulator.http.problems import Denied, Missing, Refused
from ckfunc.emulator.store import channels, functions, memberships, messages, users
from ckfunc.emulator.store.channels import ChannelAccess
from ckfunc.emulator.store.database import Database
from ckfunc.model.application import Function
from ckfunc.model.chat import Channel, ChannelType, Message, Thread, ThreadType, User, UserReference

T = TypeVar("T")


def existing(match: T | None, kind: str, label: int | str | None) -> T:
    """Return the match for the id or name of a resource of this kind. Raises Missing if there is none."""
    if match is None:
        raise Missing(f"there is no {kind} {label}")
    return match


def user(database: Database, user_id: int | None) -> User:
    """Return the user of that id. Raises Missing."""
    return existing(users.get(database, user_id), "user", user_id)


def referred_user(database: Database, reference: UserReference, field: str | None = None) -> User:
    """Return the user that a body, or its field `field`, refers to. Raises Missing: a 404, as for an id in a path."""
    account, name = users.find(database, reference), reference.label
    if account is None and field is not None:
        raise Missing(f"{field} refers to user {name}, who does not exist")
    return existing(account, "user", name)


def channel(database: Database, channel_id: int | None) -> Channel:
    """Return the channel of that id. Raises Missing."""
    return existing(channels.get(database, channel_id), "channel", channel_id)


def message(database: Database, message_id: int | None) -> Message:
    """Return the message of that id. Raises Missing."""
    return existing(messages.get(database, message_id), "message", message_id)


def thread(database: Database, thread_id: int | None) -> Thread:
    """Return the thread of that id. Raises Missing."""
    return existing(channels.get_thread(database, thread_id), "thread", thread_id)


def function(database: Database, function_id: int) -> Function:
    """Return the function of that id. Raises Missing."""
    return existing(functions.find(database, function_id), "function", function_id)


def group_channel(channel: Channel, otherwise: str) -> Channel:
    """Return a channel that is not direct. Raises Refused, which says what a direct channel does `otherwise`."""
    if channel.type is ChannelType.DIRECT:
        raise Refused(f"channel {channel.id} is a direct channel, which {otherwise}")
    return channel


def _check_visible(database: Database, channel_id: int | None, user: User) -> ChannelAccess:
    """Return what a channel is to a user who can see it: public, or one of the user's. Raises Missing."""
    membership = None if channel_id is None else channels.access_of(database, channel_id, user.id)
    if membership is None or not (membership.member or membership.type is ChannelType.PUBLIC):
        raise Missing(f"there is no channel {channel_id} that {user.name!r} can see")
    return membership


def check_writable(database: Database, channel_id: int | None, user: User) -> None:
    """Check that a user is a member of a channel, and not blocked from it. Raises Missing and Denied."""
    membership = _check_own(database, channel_id, user)
    if membership.blocked:
        raise Denied(f"{user.name!r} is blocked from channel {channel_id}")


def _check_own(database: Database, channel_id: int | None, user: User) -> ChannelAccess:
    membership = _check_visible(database, channel_id, user)
    if not membership.member:
        raise Denied(f"{user.name!r} is not a member of channel {channel_id}; join it first")
    return membership


def visible_channel(database: Database, channel_id: int | None, user: User) -> Channel:
    """Return a channel that is public, or that the user is a member of. Raises Missing, also for other channels."""
    _check_visible(database, channel_id, user)
    return channel(database, channel_id)


def own_channel(database: Database, channel_id: int | None, user: User) -> Channel:
    """Return a channel that the user is a member of. Raises Missing and Denied."""
    _check_own(database, channel_id, user)
    return channel(database, channel_id)


def writable_channel(database: Database, channel_id: int | None, user: User) -> Channel:
    """Return a channel that the user may write in. Raises Missing and Denied."""
    check_writable(database, channel_id, user)
    return channel(database, channel_id)


def moderated_channel(database: Database, channel_id: int | None, user: User) -> Channel:
    """Return a channel that the user created or moderates. Raises Missing and Denied."""
    channel = own_channel(database, channel_id, user)
    if not moderates(database, channel, user):
        raise Denied(f"{user.name!r} neither created nor moderates channel {channel.id}")
    return channel


def moderates(database: Database, channel: Channel, user: User) -> bool:
    """Return whether a user created a channel, or is its moderator."""
    created = channel.creator is not None and channel.creator.id == user.id
    return created or memberships.is_moderator(database, channel.id, user.id)


def visible_message(database: Database, message_id: int | None, user: User) -> Message:
    """Return a message of a channel that the user can see. Raises Missing."""
    visible = message(database, message_id)
    _check_visible(database, visible.channel_id, user)
    return visible


def own_message(database: Database, message_id: int | None, user: User, *, moderated: bool = False) -> Message:
    """Return a message that the user sent, or if `moderated`, one in a channel that the user moderates.

    Raises Missing and Denied.
    """
    visible = visible_message(database, message_id, user)
    if visible.user is not None and visible.user.id == user.id:
        return visible
    if moderated and moderates(database, visible_channel(database, visible.channel_id, user), user):
        return visible
    raise Denied(f"message {visible.id} was not sent by {user.name!r}")


def visible_thread(database: Database, thread_id: int | None, user: User) -> Thread:
    """Return a thread of a channel that the user can see. Raises Missing."""
    selected = thread(database, thread_id)
    _check_visible(database, selected.channel_id, user)
    return selected


def writable_thread(database: Database, thread_id: int | None, user: User) -> Thread:
    """Return a thread that the user may write in. Raises Missing, Denied and Refused."""
    thread = visible_thread(database, thread_id, user)
    check_writable(database, thread.channel_id, user)
    check_depth(database, thread)
    return thread


def check_depth(database: Database, thread: Thread) -> None:
    """Check that a thread may have another reply: there is a limit to the levels of replies. Raises Refused."""
    if thread.type is ThreadType.MESSAGE:
        level = message(database, thread.id).nested_level
        if level >= channels.DEEPEST_REPLY:
            raise Refused(f"message {thread.id} is {level} replies deep, which is the limit")
