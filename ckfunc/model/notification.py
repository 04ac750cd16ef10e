"""What a notification is: word to one user that something happened in a channel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ckfunc.model.channel import Channel
from ckfunc.model.message import Message
from ckfunc.model.user import User


class NotificationType(StrEnum):
    """What happened."""

    SYSTEM_SENT_MESSAGE = "SYSTEM:SENT:MESSAGE"
    USER_SENT_MESSAGE = "USER:SENT:MESSAGE"
    USER_MENTIONED_CHANNEL = "USER:MENTIONED:CHANNEL"
    USER_MENTIONED_USER = "USER:MENTIONED:USER"
    USER_REPLIED_TO_MESSAGE = "USER:REPLIED_TO:MESSAGE"


@dataclass(frozen=True, slots=True)
class NotificationData:
    """What a notification is about; which of the last three is set follows from the type."""

    type: NotificationType
    message: Message
    mentioned_channel: Channel | None = None
    mentioned_user: User | None = None
    parent: Message | None = None


@dataclass(frozen=True, slots=True)
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
