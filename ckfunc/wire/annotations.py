"""What a message carries beside its content, to and from JSON: mentions, links and reactions."""

from __future__ import annotations

import re
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import Channel, ChannelType, Emoji, Mention, MentionType, ReactionsSummary
from ckfunc.wire.links import Links
from ckfunc.wire.reading import choice, moment, optional, required, resource, user_data
from ckfunc.wire.users import read_user, write_embedded_user

# Up to white space or a bracket of any kind, without the punctuation that ends a sentence.
_LINK = re.compile(r"https?://[^\s<>\"'()\[\]{}]*[^\s<>\"'()\[\]{}.,;:!?]")

_MENTION = re.compile(r"<([@#])([^<>\r\n]{1,1024})>")


def mention_tags(text: str) -> list[tuple[MentionType, str, str, int, int]]:
    """Return what a text may mention, in order: kind, name, tag, and where the tag starts and ends in UTF-16 units.

    `<@username>` names a user and `<#name>` a channel. Source: https://chatkitty.com/docs/concepts/mentions.
    """
    if "<@" not in text and "<#" not in text:
        return []
    kinds = {"@": MentionType.USER, "#": MentionType.CHANNEL}
    units = _Units(text)
    return [
        (kinds[found[1]], found[2], found[0], units.at(found.start()), units.at(found.end()))
        for found in _MENTION.finditer(text)
    ]


def write_links_in(text: str) -> list[dict[str, Any]]:
    """Return the web addresses in a text, in canonical spelling, with where they start and end. None has a preview."""
    if "://" not in text:
        return []
    units = _Units(text)
    return [
        {"source": found[0], "startPosition": units.at(found.start()), "endPosition": units.at(found.end())}
        for found in _LINK.finditer(text)
    ]


def write_mention(mention: Mention, links: Links) -> dict[str, Any]:
    """Return a mention in canonical spelling."""
    document: dict[str, Any] = {
        "type": mention.type.value,
        "tag": mention.tag,
        "startPosition": mention.start,
        "endPosition": mention.end,
    }
    if mention.user is not None:
        document["user"] = write_embedded_user(mention.user, links)
    if mention.channel is not None:
        document["channel"] = _write_mentioned_channel(mention.channel, links)
    return document


def read_mention(document: Any) -> Mention:
    """Read a mention in either spelling; raises Malformed."""
    found = resource(document, "mention")
    kind = choice(found, "type", MentionType)
    return Mention(
        type=kind,
        tag=required(found, "tag", str),
        start=required(found, "startPosition", int),
        end=required(found, "endPosition", int),
        user=read_user(required(found, "user", dict)) if kind is MentionType.USER else None,
        channel=_read_mentioned_channel(required(found, "channel", dict)) if kind is MentionType.CHANNEL else None,
    )


def write_reactions(summary: ReactionsSummary, links: Links) -> dict[str, Any]:
    """Return who reacted with one emoji, in canonical spelling."""
    users = [write_embedded_user(one, links) for one in summary.users]
    return {"emoji": write_emoji(summary.emoji), "users": users, "count": len(users)}


def read_reactions(document: Any) -> ReactionsSummary:
    """Read who reacted with one emoji, in either spelling; raises Malformed."""
    found = resource(document, "reaction")
    users = tuple(read_user(one) for one in required(found, "users", list))
    return ReactionsSummary(read_emoji(required(found, "emoji", dict)), users)


def write_emoji(emoji: Emoji) -> dict[str, Any]:
    """Return an emoji in canonical spelling."""
    return {
        "character": emoji.character,
        "description": emoji.description,
        "aliases": list(emoji.aliases),
        "tags": list(emoji.tags),
    }


def read_emoji(document: Any) -> Emoji:
    """Read an emoji; raises Malformed."""
    found = resource(document, "emoji")
    return Emoji(
        character=required(found, "character", str),
        description=required(found, "description", str),
        aliases=tuple(map(str, optional(found, "aliases", list) or ())),
        tags=tuple(map(str, optional(found, "tags", list) or ())),
    )


class _Units:
    """Counts UTF-16 units up to growing positions of a text, so that the whole of it is counted once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = self._units = 0

    def at(self, position: int) -> int:
        self._units += len(self._text[self._position : position].encode("utf-16-le", "surrogatepass")) // 2
        self._position = position
        return self._units


def _write_mentioned_channel(channel: Channel, links: Links) -> dict[str, Any]:
    document: dict[str, Any] = {"id": channel.id, "type": channel.type.value}
    if channel.name is not None:
        document |= {"name": channel.name, "displayName": channel.display_name}
    if channel.creator is not None:
        document["creator"] = write_embedded_user(channel.creator, links)
    return {**document, "properties": dict(channel.properties), "createdTime": timestamp(channel.created_time)}


def _read_mentioned_channel(document: Any) -> Channel:
    found = resource(document, "channel")
    creator = optional(found, "creator", dict)
    return Channel(
        id=required(found, "id", int),
        type=choice(found, "type", ChannelType),
        created_time=moment(found, "createdTime"),
        name=optional(found, "name", str),
        display_name=optional(found, "displayName", str),
        creator=None if creator is None else read_user(creator),
        properties=user_data(found),
    )
