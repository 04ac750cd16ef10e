"""Users, channels, messages, threads, receipts and notifications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ckfunc.base.frozen import frozen


class UserType(StrEnum):
    """Kind of a user."""

    PERSON = "PERSON"
    BOT = "BOT"


class CallStatus(StrEnum):
    """Availability of a user for calls."""

    AVAILABLE = "AVAILABLE"
    IN_CALL = "IN_CALL"


@frozen
class Presence:
    """The presence of a user: `online` with an open session; `status` is the label that others see."""

    status: str = "UNAVAILABLE"
    online: bool = False


@frozen
class User:
    """A user. `name` is unique in an application.

    Without a `display_picture_url`, the platform generates a picture from the display name.
    """

    id: int
    name: str
    display_name: str
    is_guest: bool = False
    type: UserType = UserType.PERSON
    presence: Presence = Presence()
    properties: Mapping[str, Any] = field(default_factory=dict)
    display_picture_url: str | None = None
    call_status: CallStatus | None = None


@frozen
class NewUser:
    """The request to create a user."""

    name: str
    display_name: str
    is_guest: bool = False
    properties: Mapping[str, Any] = field(default_factory=dict)


@frozen
class UserReference:
    """A reference to a user in a request: exactly one of id and username."""

    id: int | None = None
    username: str | None = None

    @property
    def label(self) -> str:
        """The id, or the beginning of the name in quotes, for messages."""
        return str(self.id) if self.username is None else repr(self.username[:100])


class SessionState(StrEnum):
    """State of a session."""

    ACTIVE = "ACTIVE"
    ENDED = "ENDED"


@frozen
class UserSession:
    """A connection of a user; `end_time` is None while it is open."""

    id: int
    user: User
    created_time: datetime
    user_agent: str | None = None
    end_time: datetime | None = None

    @property
    def state(self) -> SessionState:
        """The state of the connection."""
        return SessionState.ACTIVE if self.end_time is None else SessionState.ENDED


@frozen
class ChatSession:
    """The time that a user spends in a channel within a session; `end_time` is None until the user leaves."""

    id: int
    session: UserSession
    channel_id: int
    created_time: datetime
    end_time: datetime | None = None

    @property
    def state(self) -> SessionState:
        """ACTIVE until the user leaves."""
        return SessionState.ACTIVE if self.end_time is None else SessionState.ENDED


class MentionType(StrEnum):
    """Kind of a mention."""

    CHANNEL = "CHANNEL"
    USER = "USER"


@frozen
class Mention:
    """A user or channel named in a text. `tag` is the text from `start` up to `end`, counted in UTF-16 units."""

    type: MentionType
    tag: str
    start: int
    end: int
    user: User | None = None
    channel: Channel | None = None


@frozen
class Emoji:
    """An emoji; `aliases` are its short names."""

    character: str
    description: str
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@frozen
class ReactionsSummary:
    """The users who reacted to a message with one emoji."""

    emoji: Emoji
    users: tuple[User, ...]


@frozen
class Reaction:
    """A user's reaction to a message with an emoji."""

    message_id: int
    emoji: Emoji
    user: User
    created_time: datetime


class MessageType(StrEnum):
    """Content and sender of a message; system messages have no user."""

    TEXT = "TEXT"
    FILE = "FILE"
    SYSTEM_TEXT = "SYSTEM_TEXT"
    SYSTEM_FILE = "SYSTEM_FILE"

    @property
    def is_file(self) -> bool:
        """Whether the message has a file instead of a body."""
        return self in (MessageType.FILE, MessageType.SYSTEM_FILE)

    @property
    def is_system(self) -> bool:
        """Whether the message was sent by the system."""
        return self in (MessageType.SYSTEM_TEXT, MessageType.SYSTEM_FILE)


class FileType(StrEnum):
    """Storage of a file: by the platform, or elsewhere."""

    HOSTED = "HOSTED"
    EXTERNAL = "EXTERNAL"


@frozen
class File:
    """A file attached to a message. The URL of a hosted file may be relative to the API that serves it."""

    url: str
    name: str
    content_type: str
    size_bytes: int
    type: FileType = FileType.EXTERNAL


@frozen
class Message:
    """A message: `body` is set for text types, `file` for file types, `user` except for system messages.

    `nested_level` is the depth in a tree of replies, 0 for a message that is not a reply. `parent_id` is the message
    that it replies to, and `thread_id` the standalone thread that it was sent to.
    """

    id: int
    type: MessageType
    channel_id: int
    created_time: datetime
    user: User | None = None
    body: str | None = None
    file: File | None = None
    group_tag: str | None = None
    last_edited_time: datetime | None = None
    nested_level: int = 0
    properties: Mapping[str, Any] = field(default_factory=dict)
    replies_count: int | None = None
    report_count: int | None = None
    mentions: tuple[Mention, ...] = ()
    reactions: tuple[ReactionsSummary, ...] = ()
    parent_id: int | None = None
    thread_id: int | None = None


@frozen
class NewMessage:
    """The request to create a message: exactly one of `body` and `file`; without `user`, a system message."""

    body: str | None = None
    file: File | None = None
    user: UserReference | None = None
    group_tag: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> MessageType:
        """The type of the message, which follows from its content and sender."""
        if self.user is None:
            return MessageType.SYSTEM_TEXT if self.file is None else MessageType.SYSTEM_FILE
        return MessageType.TEXT if self.file is None else MessageType.FILE


class ChannelType(StrEnum):
    """Visibility of a channel. A direct channel is identified by its members, and has no name."""

    DIRECT = "DIRECT"
    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"


@frozen
class Channel:
    """A channel. `members` is only set for a direct channel, `name` and `display_name` only for others."""

    id: int
    type: ChannelType
    created_time: datetime
    name: str | None = None
    display_name: str | None = None
    creator: User | None = None
    last_received_message: Message | None = None
    members: tuple[User, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)


@frozen
class NewChannel:
    """The request to create a channel. The default name is random, the default display name is the name."""

    type: ChannelType
    name: str | None = None
    display_name: str | None = None
    creator: UserReference | None = None
    members: tuple[UserReference, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Membership:
    """A user who is a member of a channel."""

    channel_id: int
    user_id: int
    created_time: datetime


@frozen
class Invite:
    """A user who was invited to a channel."""

    channel_id: int
    invitee_id: int
    created_time: datetime


class ThreadType(StrEnum):
    """Kind of a thread: main thread of a channel, standalone, or replies to a message."""

    MAIN = "MAIN"
    STANDALONE = "STANDALONE"
    MESSAGE = "MESSAGE"


@frozen
class Thread:
    """A thread. The thread with the replies to a message has that message's id."""

    id: int
    type: ThreadType
    channel_id: int
    created_time: datetime
    name: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@frozen
class NewKeystrokes:
    """Keys that a user types in a thread."""

    keys: str
    user: UserReference


@frozen
class ChannelEvent:
    """A custom event in a channel, triggered by a user or by the system. The platform does not store it."""

    type: str
    properties: Mapping[str, Any]
    user: User | None = None


@frozen
class ReadReceipt:
    """A message that a user has read."""

    message_id: int
    user: User
    created_time: datetime


@frozen
class BlockRecord:
    """A user whom the user or channel `owner_id` blocks."""

    id: int
    owner_id: int
    user: User
    created_time: datetime


@frozen
class MessageReport:
    """A user's report of a message."""

    message_id: int
    user: User
    created_time: datetime
    reason: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@frozen
class UnreadSummary:
    """The number of messages of a channel that a member has not read."""

    user: User
    channel: Channel
    count: int


class NotificationType(StrEnum):
    """Cause of a notification."""

    SYSTEM_SENT_MESSAGE = "SYSTEM:SENT:MESSAGE"
    USER_SENT_MESSAGE = "USER:SENT:MESSAGE"
    USER_MENTIONED_CHANNEL = "USER:MENTIONED:CHANNEL"
    USER_MENTIONED_USER = "USER:MENTIONED:USER"
    USER_REPLIED_TO_MESSAGE = "USER:REPLIED_TO:MESSAGE"


@frozen
class NotificationData:
    """Subject of a notification; the type determines which of the last three fields is set."""

    type: NotificationType
    message: Message
    mentioned_channel: Channel | None = None
    mentioned_user: User | None = None
    parent: Message | None = None


@frozen
class Notification:
    """A notification for the user `recipient_id`; `read_time` is None until it is read."""

    id: int
    recipient_id: int
    title: str
    body: str
    data: NotificationData
    created_time: datetime
    channel: Channel | None = None
    muted: bool = False
    read_time: datetime | None = None
