"""What a message carries beside its content: whom it mentions, and how others reacted to it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ckfunc.model.user import User

if TYPE_CHECKING:  # a channel holds messages, and messages hold annotations
    from ckfunc.model.channel import Channel


class MentionType(StrEnum):
    """What a message mentions."""

    CHANNEL = "CHANNEL"
    USER = "USER"


@dataclass(frozen=True, slots=True)
class Mention:
    """A user or channel named in a text. `tag` is the text from `start` up to `end`, counted in UTF-16 units."""

    type: MentionType
    tag: str
    start: int
    end: int
    user: User | None = None
    channel: Channel | None = None


@dataclass(frozen=True, slots=True)
class Emoji:
    """An emoji; `aliases` are its short names."""

    character: str
    description: str
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReactionsSummary:
    """Who reacted to a message with one emoji."""

    emoji: Emoji
    users: tuple[User, ...]
