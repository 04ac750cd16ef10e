"""Messages with their mentions, links and reactions, to and from JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import (
    Channel,
    ChannelType,
    Emoji,
    File,
    FileType,
    Mention,
    MentionType,
    Message,
    MessageType,
    NewMessage,
    ReactionsSummary,
    User,
    UserReference,
)
from ckfunc.wire.links import Links
from ckfunc.wire.reading import (
    Malformed,
    choice,
    fields,
    label,
    moment,
    optional,
    optional_label,
    optional_moment,
    patched_data,
    required,
    resource,
    user_data,
)
from ckfunc.wire.users import read_reference, read_user, write_embedded_user

# Ends before white space, quotes and brackets, and before the punctuation at the end of a sentence.
_LINK = re.compile(r"https?://[^\s<>\"'()\[\]{}]*[^\s<>\"'()\[\]{}.,;:!?]")

_MENTION = re.compile(r"<([@#])([^<>\r\n]{1,1024})>")

BODY_LIMIT = 1024 * 1024
"""The maximum number of characters in a message. Our limit: the platform documents none."""
URL_LIMIT = 8192


def mention_tags(text: str) -> list[tuple[MentionType, str, str, int, int]]:
    """Return the possible mentions in a text, in order: type, name, tag, start and end of the tag in UTF-16 units.

    `<@username>` mentions a user, `<#name>` a channel. Source: https://chatkitty.com/docs/concepts/mentions.
    """
    if "<@" not in text and "<#" not in text:
        return []
    kinds = {"@": MentionType.USER, "#": MentionType.CHANNEL}
    units = _Units(text)
    return [
        (kinds[match[1]], match[2], match[0], units.at(match.start()), units.at(match.end()))
        for match in _MENTION.finditer(text)
    ]


def write_links_in(text: str) -> list[dict[str, Any]]:
    """Return the URLs in a text with their start and end, in canonical spelling, without previews."""
    if "://" not in text:
        return []
    units = _Units(text)
    return [
        {"source": match[0], "startPosition": units.at(match.start()), "endPosition": units.at(match.end())}
        for match in _LINK.finditer(text)
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
    data = resource(document, "mention")
    kind = choice(data, "type", MentionType)
    return Mention(
        type=kind,
        tag=required(data, "tag", str),
        start=required(data, "startPosition", int),
        end=required(data, "endPosition", int),
        user=read_user(required(data, "user", dict)) if kind is MentionType.USER else None,
        channel=_read_mentioned_channel(required(data, "channel", dict)) if kind is MentionType.CHANNEL else None,
    )


def write_reactions(summary: ReactionsSummary, links: Links) -> dict[str, Any]:
    """Return the reactions with one emoji, in canonical spelling."""
    users = [write_embedded_user(user, links) for user in summary.users]
    return {"emoji": write_emoji(summary.emoji), "users": users, "count": len(users)}


def read_reactions(document: Any) -> ReactionsSummary:
    """Read the reactions with one emoji, in either spelling; raises Malformed."""
    data = resource(document, "reaction")
    users = tuple(read_user(user) for user in required(data, "users", list))
    return ReactionsSummary(read_emoji(required(data, "emoji", dict)), users)


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
    data = resource(document, "emoji")
    return Emoji(
        character=required(data, "character", str),
        description=required(data, "description", str),
        aliases=tuple(map(str, optional(data, "aliases", list) or ())),
        tags=tuple(map(str, optional(data, "tags", list) or ())),
    )


class _Units:
    """Counter of the UTF-16 units up to ascending positions of a text, in one pass over it."""

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
    data = resource(document, "channel")
    creator = optional(data, "creator", dict)
    return Channel(
        id=required(data, "id", int),
        type=choice(data, "type", ChannelType),
        created_time=moment(data, "createdTime"),
        name=optional(data, "name", str),
        display_name=optional(data, "displayName", str),
        creator=None if creator is None else read_user(creator),
        properties=user_data(data),
    )


def write_message(message: Message, links: Links) -> dict[str, Any]:
    """Return a message as the platform shows it, in canonical spelling."""
    at = {"self": f"messages/{message.id}"}
    if message.user is not None:
        at["user"] = f"users/{message.user.id}"
    return {
        **write_embedded_message(message, links),
        "_links": links.to(**at, channel=f"channels/{message.channel_id}"),
    }


def write_embedded_message(
    message: Message, links: Links, *, write_sender: Callable[[User, Links], dict[str, Any]] = write_embedded_user
) -> dict[str, Any]:
    """Return a message as the platform shows it inside other resources: without links."""
    document: dict[str, Any] = {"id": message.id, "type": message.type.value, "channelId": message.channel_id}
    if message.user is not None:
        document["user"] = write_sender(message.user, links)
    if message.body is not None:
        document["body"] = message.body
        if data := write_links_in(message.body):
            document["links"] = data
    if message.mentions:
        document["mentions"] = [write_mention(mention, links) for mention in message.mentions]
    if message.file is not None:
        document["file"] = {**write_file(message.file), "url": links.absolute(message.file.url)}
    document |= {
        "nestedLevel": message.nested_level,
        "properties": dict(message.properties),
        "createdTime": timestamp(message.created_time),
    }
    if message.group_tag is not None:
        document["groupTag"] = message.group_tag
    if message.last_edited_time is not None:
        document["lastEditedTime"] = timestamp(message.last_edited_time)
    if message.replies_count is not None:
        document["repliesCount"] = message.replies_count
    if message.reactions:
        document["reactions"] = [write_reactions(reaction, links) for reaction in message.reactions]
    if message.report_count is not None:
        document["reportCount"] = message.report_count
    return document


def read_message(document: Any) -> Message:
    """Read a message in either spelling, embedded or not; raises Malformed."""
    data = resource(document, "message")
    kind = choice(data, "type", MessageType)
    return Message(
        id=required(data, "id", int),
        type=kind,
        channel_id=required(data, "channelId", int),
        created_time=moment(data, "createdTime"),
        user=None if kind.is_system else read_user(required(data, "user", dict)),
        body=None if kind.is_file else required(data, "body", str),
        file=read_file(data["file"]) if kind.is_file and "file" in data else None,
        group_tag=optional(data, "groupTag", str),
        last_edited_time=optional_moment(data, "lastEditedTime"),
        nested_level=optional(data, "nestedLevel", int) or 0,
        properties=user_data(data),
        replies_count=optional(data, "repliesCount", int),
        report_count=optional(data, "reportCount", int),
        mentions=tuple(read_mention(mention) for mention in optional(data, "mentions", list) or ()),
        reactions=tuple(read_reactions(reaction) for reaction in optional(data, "reactions", list) or ()),
    )


def write_file(file: File) -> dict[str, Any]:
    """Return a file in canonical spelling."""
    return {
        "type": file.type.value,
        "url": file.url,
        "name": file.name,
        "contentType": file.content_type,
        "size": file.size_bytes,
    }


def read_file(document: Any) -> File:
    """Read a file, or the description of an external one; raises Malformed."""
    data = resource(document, "file")
    size = required(data, "size", int)
    if size < 0:
        raise Malformed("field 'size' is negative")
    return File(
        url=label(data, "url", limit=URL_LIMIT),
        name=label(data, "name"),
        content_type=label(data, "contentType"),
        size_bytes=size,
        type=choice(data, "type", FileType) if data.get("type") is not None else FileType.EXTERNAL,
    )


def read_new_message(document: Any) -> NewMessage:
    """Read the body that sends a message: TEXT with `body`, or FILE with `file`. Raises Malformed."""
    data = resource(document, "message")
    return _new_message(data, None if data.get("user") is None else read_reference(data["user"], "field 'user'"))


def _new_message(data: Mapping[str, Any], sender: UserReference | None) -> NewMessage:
    kind = required(data, "type", str)
    if kind not in ("TEXT", "FILE"):
        raise Malformed(f"field 'type' is {kind[:50]!r}, not one of TEXT, FILE")
    return NewMessage(
        body=_body(data) if kind == "TEXT" else None,
        file=read_external_file(required(data, "file", dict)) if kind == "FILE" else None,
        user=sender,
        group_tag=optional_label(data, "groupTag"),
        properties=user_data(data),
    )


def read_client_message(document: Any, sender: UserReference) -> NewMessage:
    """Read the body with which a client sends a message; the sender is the client's user. Raises Malformed."""
    return _new_message(resource(document, "message"), sender)


def read_new_file_message(form: Any, file: File) -> NewMessage:
    """Read the fields of a form that sends `file`; without `username`, the system sends it. Raises Malformed."""
    data = resource(form, "form")
    username = optional_label(data, "username")
    return NewMessage(
        file=file,
        user=None if username is None else UserReference(username=username),
        group_tag=optional_label(data, "groupTag"),
        properties=user_data(data),
    )


def patched_message(message: Message, patch: Any, edited: datetime) -> Message:
    """Return `message` with the merge patch applied; a new body sets the time of the last edit. Raises Malformed."""
    data = fields(patch, "message", keep=("body",))
    body, last_edited = message.body, message.last_edited_time
    if "body" in data:
        if message.type.is_file:
            raise Malformed("field 'body' cannot be set: the message is a file")
        body, last_edited = _body(data), edited
    return replace(message, body=body, last_edited_time=last_edited, properties=patched_data(message.properties, data))


def _body(data: Mapping[str, Any]) -> str:
    return label(data, "body", limit=BODY_LIMIT)


def read_external_file(document: Any) -> File:
    """Read the description of an external file, whatever its type; raises Malformed."""
    return read_file({**resource(document, "file"), "type": None})
