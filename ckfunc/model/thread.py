"""What a thread is: a line of messages in a channel, and what is sent into one that is no message."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ckfunc.model.user import User, UserReference


class ThreadType(StrEnum):
    """What a thread belongs to: its channel, nothing else, or the message that it answers."""

    MAIN = "MAIN"
    STANDALONE = "STANDALONE"
    MESSAGE = "MESSAGE"


@dataclass(frozen=True, slots=True)
class Thread:
    """A thread. The thread of a message, which holds the replies to it, has that message's id."""

    id: int
    type: ThreadType
    channel_id: int
    created_time: datetime
    name: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewKeystrokes:
    """Keys that a user types in a thread."""

    keys: str
    user: UserReference


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """A custom event in a channel, triggered by a user or by the system; it is not kept."""

    type: str
    properties: Mapping[str, Any]
    user: User | None = None
