"""What an emulator is filled with before anyone uses it: people, channels, and what was said in them."""

from __future__ import annotations

from dataclasses import dataclass

from ckfunc.model.channel import NewChannel
from ckfunc.model.message import NewMessage
from ckfunc.model.user import NewUser


@dataclass(frozen=True, slots=True)
class SeedUser(NewUser):
    """A user with the id that it gets; None is the next free one."""

    id: int | None = None


@dataclass(frozen=True, slots=True)
class SeedMessage(NewMessage):
    """A message with the id that it gets; None is the next free one."""

    id: int | None = None


@dataclass(frozen=True, slots=True)
class SeedChannel:
    """A channel with the messages that it begins with, the oldest first, and the id that it gets."""

    channel: NewChannel
    messages: tuple[SeedMessage, ...] = ()
    id: int | None = None


@dataclass(frozen=True, slots=True)
class Seed:
    """What a seed file holds. Users are referred to by name."""

    users: tuple[SeedUser, ...] = ()
    channels: tuple[SeedChannel, ...] = ()


@dataclass(frozen=True, slots=True)
class Seeded:
    """How many were added; what was there before does not count."""

    users: int = 0
    channels: int = 0
    members: int = 0
    messages: int = 0
