"""Events of a chat, read from the topics of the client protocol."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.logs.entries import LogEntry
from ckfunc.model.chat import ChannelEvent, Message, User
from ckfunc.wire.messages import read_message
from ckfunc.wire.reading import required, resource
from ckfunc.wire.users import read_user

_NUMBER = re.compile(r"/messages/(\d{1,18})\.")


class MessageChange(StrEnum):
    """A message was sent, edited or deleted."""

    SENT = "sent"
    EDITED = "edited"
    DELETED = "deleted"


class PresenceChange(StrEnum):
    """A user came online or went offline, or opened or closed the channel."""

    ONLINE = "online"
    OFFLINE = "offline"
    OPENED = "opened"
    CLOSED = "closed"


class SessionChange(StrEnum):
    """The chat is open, has lost its connection, or is connected again."""

    OPENED = "opened"
    LOST = "lost"
    RESTORED = "restored"


@frozen
class MessageEvent:
    """A message; `parent_id` is the message that it replies to. `earlier` marks one from before the chat was opened."""

    change: MessageChange
    message: Message
    parent_id: int | None = None
    earlier: bool = False


@frozen
class ReactionEvent:
    """A reaction to a message."""

    user: User
    emoji: str
    message_id: int
    removed: bool


@frozen
class PresenceEvent:
    """A change of a user's presence."""

    user: User
    change: PresenceChange


@frozen
class TypingEvent:
    """A user started or stopped typing."""

    user: User
    typing: bool


@frozen
class ReadEvent:
    """A user read a message, or made it unread."""

    user: User
    message_id: int
    unread: bool


@frozen
class RunEvent:
    """A run of a function that concerns the chat."""

    entry: LogEntry


@frozen
class SessionEvent:
    """A change of the chat's own state. `channel` is its title."""

    change: SessionChange
    channel_id: int
    channel: str
    reason: str = ""


@frozen
class MembersListed:
    """The members of the channel, as they were asked for."""

    users: tuple[User, ...]


@frozen
class ChannelDeleted:
    """The channel no longer exists."""


ChatEvent = (
    MessageEvent
    | ReactionEvent
    | PresenceEvent
    | TypingEvent
    | ReadEvent
    | ChannelEvent
    | RunEvent
    | SessionEvent
    | MembersListed
    | ChannelDeleted
)


def read_event(document: Any) -> ChatEvent | None:
    """Read an event of a topic; return None for one that a chat does not show. Raises Malformed."""
    data = resource(document, "event")
    read = _READERS.get(required(data, "type", str))
    return None if read is None else read(document.get("resource"))


def message_event(document: Any, change: MessageChange = MessageChange.SENT) -> MessageEvent:
    """Read a message as an event. Raises Malformed."""
    return MessageEvent(change, read_message(document), _message_id(document, "parent"))


def _message_id(document: Any, relay: str) -> int | None:
    """Return the id in a link to a message."""
    match = _NUMBER.search(str((document.get("_relays") or {}).get(relay, "")))
    return None if match is None else int(match[1])


def _reaction(document: Any, *, removed: bool) -> ChatEvent:
    emoji = required(resource(required(document, "emoji", dict), "emoji"), "character", str)
    return ReactionEvent(_user(document), emoji, _message_id(document, "message") or 0, removed)


def _receipt(document: Any, *, unread: bool) -> ChatEvent:
    return ReadEvent(_user(document), _message_id(document, "message") or 0, unread)


def _status(document: Any) -> ChatEvent:
    user = read_user(document)
    return PresenceEvent(user, PresenceChange.ONLINE if user.presence.online else PresenceChange.OFFLINE)


def _custom(document: Any) -> ChatEvent:
    user = None if document.get("user") is None else _user(document)
    return ChannelEvent(required(document, "type", str), required(document, "properties", dict), user)


def _user(document: Any) -> User:
    return read_user(required(document, "user", dict))


_READERS: Mapping[str, Callable[[Any], ChatEvent]] = {
    "channel.message.created": message_event,
    "channel.message.updated": partial(message_event, change=MessageChange.EDITED),
    "channel.message.deleted": partial(message_event, change=MessageChange.DELETED),
    "message.reaction.created": partial(_reaction, removed=False),
    "message.reaction.removed": partial(_reaction, removed=True),
    "message.read_receipt.created": partial(_receipt, unread=False),
    "message.read_receipt.deleted": partial(_receipt, unread=True),
    "participant.presence.changed": _status,
    "channel.participant.active": lambda document: PresenceEvent(read_user(document), PresenceChange.OPENED),
    "channel.participant.inactive": lambda document: PresenceEvent(read_user(document), PresenceChange.CLOSED),
    "thread.typing.started": lambda document: TypingEvent(read_user(document), True),
    "thread.typing.stopped": lambda document: TypingEvent(read_user(document), False),
    "channel.event.triggered": _custom,
    "channel.self.deleted": lambda _: ChannelDeleted(),
}
"""The events that a chat shows, by their names."""
