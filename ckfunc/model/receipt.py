"""What is known of who read what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ckfunc.model.channel import Channel
from ckfunc.model.user import User


@dataclass(frozen=True, slots=True)
class ReadReceipt:
    """A message that a user has read."""

    message_id: int
    user: User
    created_time: datetime


@dataclass(frozen=True, slots=True)
class UnreadSummary:
    """How many messages of a channel one of its members has not read."""

    user: User
    channel: Channel
    count: int
