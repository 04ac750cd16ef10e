"""What a message is: text or a file, sent to a channel by a user or by the system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ckfunc.model.annotation import Mention, ReactionsSummary
from ckfunc.model.user import User, UserReference


class MessageType(StrEnum):
    """What a message holds; the system's messages have no user."""

    TEXT = "TEXT"
    FILE = "FILE"
    SYSTEM_TEXT = "SYSTEM_TEXT"
    SYSTEM_FILE = "SYSTEM_FILE"

    @property
    def is_file(self) -> bool:
        """Whether the message holds a file instead of a body."""
        return self in (MessageType.FILE, MessageType.SYSTEM_FILE)

    @property
    def is_system(self) -> bool:
        """Whether the message was sent by the system."""
        return self in (MessageType.SYSTEM_TEXT, MessageType.SYSTEM_FILE)


class FileType(StrEnum):
    """Who keeps a file."""

    HOSTED = "HOSTED"
    EXTERNAL = "EXTERNAL"


@dataclass(frozen=True, slots=True)
class File:
    """A file attached to a message. The address of a hosted one may be relative to the API that serves it."""

    url: str
    name: str
    content_type: str
    size_bytes: int
    type: FileType = FileType.EXTERNAL


@dataclass(frozen=True, slots=True)
class Message:
    """A message: `body` for the text types, `file` for the others, `user` for all but the system's.

    `nested_level` is the depth in a tree of threads, 0 for a message that answers no other. `parent_id` is the message
    that it answers, and `thread_id` the standalone thread that it was sent to.
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


@dataclass(frozen=True, slots=True)
class NewMessage:
    """What is sent to create a message: exactly one of `body` and `file`; without `user` it is the system's."""

    body: str | None = None
    file: File | None = None
    user: UserReference | None = None
    group_tag: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def type(self) -> MessageType:
        """What the message becomes, by what it holds and by whether somebody sends it."""
        if self.user is None:
            return MessageType.SYSTEM_TEXT if self.file is None else MessageType.SYSTEM_FILE
        return MessageType.TEXT if self.file is None else MessageType.FILE
