"""Acts of a conversation, everything that they cause, and recorded steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.emulator.http.bodies import FILE_BYTES
from ckfunc.model.chat import Channel, ChannelType, Message, MessageType, User
from ckfunc.sandbox.scripts import Ran

_SHORTEST_WAIT_S = 60
_ABOUT = 60


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


@frozen
class UploadedFile:
    """A file that a user sends, without its name."""

    content_type: str
    content: bytes


@frozen
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


@frozen
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


@frozen
class SentNotification:
    """A notification that a user received."""

    user: str
    title: str
    body: str
    channel: str | None = None


@frozen
class ChainedRun:
    """A run of the function of a type, for an event that the act caused directly or through other functions."""

    type: str
    ran: Ran


@frozen
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


@dataclass(slots=True)
class RecordedStep:
    """An act, and everything that it caused. `message_id` is the message that the act sent."""

    time: datetime
    act: Act
    refusal: str | None = None
    message_id: int | None = None
    run_id: int | None = None
    runs: list[ChainedRun] = field(default_factory=list)
    messages: list[SaidMessage] = field(default_factory=list)
    notifications: list[SentNotification] = field(default_factory=list)


@frozen
class RecordedConversation:
    """What happened on an emulator: its data before, as a seed document, and the steps since.

    `people` are the names and display names of all users, `environment` the variables of the runtime. `running` is
    whether functions are still running.
    """

    data: dict[str, Any]
    steps: tuple[RecordedStep, ...]
    people: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, Secret], ...]
    running: bool


def with_waits(steps: Iterable[RecordedStep], since: datetime) -> Iterator[RecordedStep]:
    """Yield steps since a moment, with a wait where a minute or more passes between two of them."""
    last = since
    for step in steps:
        minutes = round((step.time - last).total_seconds() / 60)
        if minutes * 60 >= _SHORTEST_WAIT_S and last != since:
            yield RecordedStep(
                last + timedelta(milliseconds=1), Act(Verb.WAITS, text=f"{minutes}m", wait_s=minutes * 60.0)
            )
        last = max(last, step.time)
        yield step


def upload_of(message: Message, channel: str) -> Act:
    """Return the act of a user who sent a file: with its name, type and size, but not its content."""
    assert message.file is not None and message.user is not None  # noqa: S101 - of a message with a file
    file = message.file
    sent = UploadedFile(file.content_type, bytes(min(file.size_bytes, FILE_BYTES) or 1))
    return Act(Verb.UPLOADS, message.user.name, channel, text=file.name, data=dict(message.properties), file=sent)


def text_of(message: Message) -> str:
    """Return the text of a message; for a file, a text with its name."""
    if message.body is not None:
        return message.body
    return f"(file {message.file.name})" if message.file is not None else "(file)"


def about_of(message: Message) -> str | None:
    """Return a part of the text of a message, or of the name of its file, that acts refer to."""
    text = message.file.name if message.body is None and message.file is not None else message.body
    return (text or "").split("\n")[0][:_ABOUT].strip() or None


def seed_user(user: User) -> dict[str, Any]:
    """Return a user as in a seed."""
    document: dict[str, Any] = {"name": user.name, "id": user.id, "display_name": user.display_name}
    more = {"is_guest": user.is_guest, "properties": dict(user.properties)}
    return document | {name: value for name, value in more.items() if value}


def seed_channel(channel: Channel, members: Iterable[User]) -> dict[str, Any]:
    """Return a channel as in a seed, without messages."""
    document: dict[str, Any] = {"type": channel.type.value, "id": channel.id}
    if channel.type is not ChannelType.DIRECT:
        document |= {"name": channel.name, "display_name": channel.display_name}
        if channel.creator is not None:
            document["creator"] = channel.creator.name
    document["members"] = [user.name for user in members]
    if channel.properties:
        document["properties"] = dict(channel.properties)
    return document


def seed_message(message: Message) -> dict[str, Any]:
    """Return a message as in a seed."""
    document: dict[str, Any] = {"id": message.id}
    if message.user is not None:
        document["user"] = message.user.name
    document["body"] = text_of(message)
    return {**document, "properties": dict(message.properties)} if message.properties else document
