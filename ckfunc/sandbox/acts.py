"""Acts of a conversation, and everything that they cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ckfunc.model.chat import MessageType
from ckfunc.sandbox.scripts import Ran


class Verb(StrEnum):
    """Kind of an act."""

    CONNECTS = "connects"
    DISCONNECTS = "disconnects"
    OPENS = "opens"
    CLOSES = "closes"
    JOINS = "joins"
    LEAVES = "leaves"
    INVITES = "invites"
    SAYS = "says"
    UPLOADS = "uploads"
    REPLIES = "replies"
    EDITS = "edits"
    DELETES = "deletes"
    REACTS = "reacts"
    READS = "reads"
    STARTS_TYPING = "starts_typing"
    STOPS_TYPING = "stops_typing"
    TRIGGERS = "triggers"
    SENDS = "sends"
    WAITS = "waits"


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that a user sends, without its name."""

    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Act:
    """An act of a user, or without a user, of the system.

    `channel` is a name or an id. `about` is a part of the text of the message that the act is about; None is the newest
    one. `text` is a text, an emoji, the type of an event, or the name of a file or of an invited user. `data` are
    authParams or properties. `wait_s` is how long `waits` advances the clock. `file` is set for `uploads`.
    """

    verb: Verb
    user: str | None = None
    channel: str | None = None
    about: str | None = None
    text: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    wait_s: float = 0.0
    file: UploadedFile | None = None


@dataclass(frozen=True, slots=True)
class SaidMessage:
    """A message that was created, changed or deleted. `user` is None for the system, `body` is None for a file."""

    id: int
    channel: str
    user: str | None
    type: MessageType
    body: str | None = None
    file: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    changed: bool = False
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class SentNotification:
    """A notification that a user received."""

    user: str
    title: str
    body: str
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class ChainedRun:
    """A run of the function of a type, for an event that the act caused directly or through other functions."""

    type: str
    ran: Ran


@dataclass(frozen=True, slots=True)
class Consequences:
    """Everything that an act caused. `refusal` is the reason if the platform refused the act.

    `messages` does not have the message that the act itself sent or changed, unless a function changed it afterwards.
    `online` maps the name of each user to whether the user is online, `typing` are the names of users who are typing.
    """

    time: datetime
    refusal: str | None = None
    messages: tuple[SaidMessage, ...] = ()
    runs: tuple[ChainedRun, ...] = ()
    notifications: tuple[SentNotification, ...] = ()
    online: Mapping[str, bool] = field(default_factory=dict)
    typing: tuple[str, ...] = ()
