"""What sessions are: a user's connection, and its stay in a channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ckfunc.model.user import User


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
