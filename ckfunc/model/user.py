"""Users, their presence and their sessions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class UserType(StrEnum):
    """Kind of a user."""

    PERSON = "PERSON"
    BOT = "BOT"


class CallStatus(StrEnum):
    """Whether a user is in a call."""

    AVAILABLE = "AVAILABLE"
    IN_CALL = "IN_CALL"


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a user has an open session, and the label that others see."""

    status: str = "UNAVAILABLE"
    online: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """A user. `name` is unique in an application.

    Without a `display_picture_url` the platform draws a picture from the display name.
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


@dataclass(frozen=True, slots=True)
class NewUser:
    """The request to create a user."""

    name: str
    display_name: str
    is_guest: bool = False
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserReference:
    """A user as a request refers to it: by exactly one of id and username."""

    id: int | None = None
    username: str | None = None


class SessionState(StrEnum):
    """Whether a session goes on."""

    ACTIVE = "ACTIVE"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
class UserSession:
    """One connection of a user; `end_time` is None while it is open."""

    id: int
    user: User
    created_time: datetime
    user_agent: str | None = None
    end_time: datetime | None = None

    @property
    def state(self) -> SessionState:
        """Whether the connection is open."""
        return SessionState.ACTIVE if self.end_time is None else SessionState.ENDED


@dataclass(frozen=True, slots=True)
class ChatSession:
    """A user's stay in a channel, within a session; `end_time` is None while the user is there."""

    id: int
    session: UserSession
    channel_id: int
    created_time: datetime
    end_time: datetime | None = None

    @property
    def state(self) -> SessionState:
        """Whether the user is still there."""
        return SessionState.ACTIVE if self.end_time is None else SessionState.ENDED
