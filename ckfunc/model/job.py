"""Jobs, the entries of imports, seeds, and snapshots of all data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, Segment, counted, size_text, table
from ckfunc.model.chat import ChannelType, NewChannel, NewMessage, NewUser


class JobType(StrEnum):
    """Kind of a job. The platform has no type for exports of users: they use the type of the other export."""

    CHANNEL_IMPORT = "CHANNEL_IMPORT"
    CHANNEL_MEMBERS_IMPORT = "CHANNEL_MEMBERS_IMPORT"
    MESSAGE_IMPORT = "MESSAGE_IMPORT"
    USER_IMPORT = "USER_IMPORT"
    MESSAGE_ANALYTICS_EXPORT = "MESSAGE_ANALYTICS_EXPORT"


class JobState(StrEnum):
    """State of a job."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"


@frozen
class Job:
    """A job; `file` is the URL of the file of a finished export."""

    id: int
    type: JobType
    state: JobState
    created_time: datetime
    ended_time: datetime | None = None
    file: str | None = None


@frozen
class UserImport(NewUser):
    """A user to import. An entry whose idempotency `key` was imported before is skipped."""

    picture_url: str | None = None
    key: str | None = None


@frozen
class ChannelImport:
    """A channel to import; `creator` and `members` are usernames."""

    type: ChannelType
    name: str | None = None
    display_name: str | None = None
    creator: str | None = None
    members: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


@frozen
class MemberImport:
    """A user to add to a channel, by name."""

    username: str
    key: str | None = None


@frozen
class MessageImport:
    """A text message to import, from the user `username` or, if that is None, from the system."""

    channel_id: int
    body: str
    username: str | None = None
    group_tag: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None


@frozen
class SeedUser(NewUser):
    """A user and its id; None means the next free id."""

    id: int | None = None


@frozen
class SeedMessage(NewMessage):
    """A message and its id; None means the next free id."""

    id: int | None = None


@frozen
class SeedChannel:
    """A channel with its initial messages, oldest first, and its id; None means the next free id."""

    channel: NewChannel
    messages: tuple[SeedMessage, ...] = ()
    id: int | None = None


@frozen
class Seed:
    """The content of a seed file. Users are referred to by name."""

    users: tuple[SeedUser, ...] = ()
    channels: tuple[SeedChannel, ...] = ()


@frozen
class Seeded:
    """The numbers of added rows, without rows that already existed."""

    users: int = 0
    channels: int = 0
    members: int = 0
    messages: int = 0

    @property
    def summary(self) -> str:
        """The numbers in words, such as "1 user, 2 channels"; empty if nothing was added."""
        numbers = (
            (self.users, "user"),
            (self.channels, "channel"),
            (self.members, "member"),
            (self.messages, "message"),
        )
        return ", ".join(counted(number, name) for number, name in numbers if number)


@frozen
class DataSnapshot:
    """A named copy of all data of an emulator."""

    name: str
    created_time: datetime
    size_bytes: int


def snapshot_table(snapshots: Sequence[DataSnapshot]) -> list[Line]:
    """Return a table of snapshots; nothing if there are none."""
    rows: list[Line] = [
        [
            Segment(snapshot.name, "title"),
            Segment(f"{snapshot.created_time.astimezone():%Y-%m-%d %H:%M:%S}", "muted"),
            Segment(size_text(snapshot.size_bytes)),
        ]
        for snapshot in snapshots
    ]
    return table(("NAME", "SAVED", "SIZE"), rows) if rows else []
