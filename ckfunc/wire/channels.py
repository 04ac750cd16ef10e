"""Channels, to and from JSON."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import Channel, ChannelType, NewChannel
from ckfunc.wire.links import Links
from ckfunc.wire.messages import read_message, write_embedded_message
from ckfunc.wire.patches import fields, patched_data
from ckfunc.wire.reading import (
    Malformed,
    choice,
    label,
    moment,
    optional,
    optional_label,
    required,
    resource,
    user_data,
)
from ckfunc.wire.users import read_reference, read_user, write_embedded_user, write_reference

MEMBERS_LIMIT = 10_000
"""How many members a channel can be created with. The platform documents no limit; this one is ours."""

DIRECT_MEMBERS_LIMIT = 10
"""Source: https://chatkitty.com/docs/concepts/channels."""

_RELATIONS = ("participants", "messages", "events")
_GROUP_RELATIONS = ("memberships", "members", "moderators")


def write_channel(channel: Channel, links: Links) -> dict[str, Any]:
    """Return a channel as the platform shows it, in canonical spelling: direct ones have members and no name."""
    at = f"channels/{channel.id}"
    relations = _RELATIONS if channel.type is ChannelType.DIRECT else _RELATIONS + _GROUP_RELATIONS
    return {
        **write_embedded_channel(channel, links),
        "_links": links.to(self=at, **{name: f"{at}/{name}" for name in relations}),
    }


def write_embedded_channel(channel: Channel, links: Links) -> dict[str, Any]:
    """Return a channel as the platform shows it inside other resources: without links."""
    direct = channel.type is ChannelType.DIRECT
    document: dict[str, Any] = {"id": channel.id, "type": channel.type.value}
    if not direct:
        document |= {"name": channel.name, "displayName": channel.display_name}
    if channel.creator is not None:
        document["creator"] = write_embedded_user(channel.creator, links)
    if direct:
        document["members"] = [write_embedded_user(one, links) for one in channel.members]
    if channel.last_received_message is not None:
        document["lastReceivedMessage"] = write_embedded_message(channel.last_received_message, links)
    return {**document, "properties": dict(channel.properties), "createdTime": timestamp(channel.created_time)}


def read_channel(document: Any) -> Channel:
    """Read a channel in either spelling, embedded or not; raises Malformed."""
    found = resource(document, "channel")
    kind = choice(found, "type", ChannelType)
    direct = kind is ChannelType.DIRECT
    last = optional(found, "lastReceivedMessage", dict)
    creator = optional(found, "creator", dict)
    return Channel(
        id=required(found, "id", int),
        type=kind,
        created_time=moment(found, "createdTime"),
        name=None if direct else required(found, "name", str),
        display_name=None if direct else required(found, "displayName", str),
        creator=None if creator is None else read_user(creator),
        last_received_message=None if last is None else read_message(last),
        members=tuple(read_user(one) for one in required(found, "members", list)) if direct else (),
        properties=user_data(found),
    )


def write_new_channel(channel: NewChannel) -> dict[str, Any]:
    """Return the body that creates a channel, in canonical spelling."""
    document: dict[str, Any] = {"type": channel.type.value}
    if channel.name is not None:
        document["name"] = channel.name
    if channel.display_name is not None:
        document["displayName"] = channel.display_name
    if channel.creator is not None:
        document["creator"] = write_reference(channel.creator)
    if channel.members:
        document["members"] = [write_reference(one) for one in channel.members]
    if channel.properties:
        document["properties"] = dict(channel.properties)
    return document


def read_new_channel(document: Any) -> NewChannel:
    """Read the body that creates a channel; a direct one must have members. Raises Malformed."""
    found = resource(document, "channel")
    kind = choice(found, "type", ChannelType)
    direct = kind is ChannelType.DIRECT
    members = required(found, "members", list) if direct else optional(found, "members", list) or []
    if direct and not members:
        raise Malformed("field 'members' is empty, but a direct channel is its members")
    limit = DIRECT_MEMBERS_LIMIT if direct else MEMBERS_LIMIT
    if len(members) > limit:
        raise Malformed(f"field 'members' has {len(members)} entries; at most {limit} are allowed")
    return NewChannel(
        type=kind,
        name=None if direct else optional_label(found, "name"),
        display_name=None if direct else optional_label(found, "displayName"),
        creator=None if found.get("creator") is None else read_reference(found["creator"], "field 'creator'"),
        members=tuple(read_reference(one, f"entry {index} of 'members'") for index, one in enumerate(members)),
        properties=user_data(found),
    )


def patched_channel(channel: Channel, patch: Any) -> Channel:
    """Return `channel` with the merge patch applied; unknown fields are ignored. Raises Malformed."""
    found = fields(patch, "channel", keep=("displayName",))
    display_name = channel.display_name
    if "displayName" in found:
        if channel.type is ChannelType.DIRECT:
            raise Malformed("field 'displayName' cannot be set: a direct channel has no name")
        display_name = label(found, "displayName")
    return replace(channel, display_name=display_name, properties=patched_data(channel.properties, found))
