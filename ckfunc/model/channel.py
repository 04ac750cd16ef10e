"""What a channel is: where messages are sent, and who gets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ckfunc.model.message import Message
from ckfunc.model.user import User, UserReference


class ChannelType(StrEnum):
    """Who may find and join a channel. A direct one is its members, and has no name."""

    DIRECT = "DIRECT"
    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel. `name` and `display_name` are None for a direct channel, `members` is set for those alone."""

    id: int
    type: ChannelType
    created_time: datetime
    name: str | None = None
    display_name: str | None = None
    creator: User | None = None
    last_received_message: Message | None = None
    members: tuple[User, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewChannel:
    """What is sent to create a channel. Without a name it gets a random one, without a display name its name."""

    type: ChannelType
    name: str | None = None
    display_name: str | None = None
    creator: UserReference | None = None
    members: tuple[UserReference, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
