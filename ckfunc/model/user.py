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
    """Availability of a user for calls."""

    AVAILABLE = "AVAILABLE"
    IN_CALL = "IN_CALL"


@dataclass(frozen=True, slots=True)
class Presence:
    """The presence of a user: `online` with an open session; `status` is the label that others see."""

    status: str = "UNAVAILABLE"
    online: bool = False


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class NewUser:
    """The request to create a user."""

    name: str
    display_name: str
    is_guest: bool = False
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UserReference:
    """A reference to a user in a request: exactly one of id and username."""

    id: int | None = None
    username: str | None = None


class SessionState(StrEnum):
    """State of a session."""

    ACTIVE = "ACTIVE"
    ENDED = "ENDED"


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
