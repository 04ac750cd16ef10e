"""What an emulator is filled with before anyone uses it: people, channels, and what was said in them."""

from __future__ import annotations

from dataclasses import dataclass

from ckfunc.model.channel import NewChannel
from ckfunc.model.message import NewMessage
from ckfunc.model.user import NewUser


@dataclass(frozen=True, slots=True)
class SeedChannel:
    """A channel with the messages that it begins with, the oldest first."""

    channel: NewChannel
    messages: tuple[NewMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Seed:
    """What a seed file holds. Users are referred to by name."""

    users: tuple[NewUser, ...] = ()
    channels: tuple[SeedChannel, ...] = ()


@dataclass(frozen=True, slots=True)
class Seeded:
    """How many were added; what was there before does not count."""

    users: int = 0
    channels: int = 0
    members: int = 0
    messages: int = 0
