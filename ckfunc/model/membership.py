"""What binds a user to a channel: a membership, or the invitation to one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Membership:
    """A user who is a member of a channel."""

    channel_id: int
    user_id: int
    created_time: datetime


@dataclass(frozen=True, slots=True)
class Invite:
    """A user who was invited to a channel."""

    channel_id: int
    invitee_id: int
    created_time: datetime
