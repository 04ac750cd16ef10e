"""Channels, members, threads, events, read receipts and notifications, to and from JSON.

Memberships and invites have links, but no id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import (
    Channel,
    ChannelEvent,
    ChannelType,
    Invite,
    Membership,
    NewChannel,
    NewKeystrokes,
    Notification,
    NotificationData,
    ReadReceipt,
    Thread,
    UnreadSummary,
    User,
    UserReference,
)
from ckfunc.wire.links import Links
from ckfunc.wire.messages import read_message, write_embedded_message, write_message
from ckfunc.wire.reading import (
    Malformed,
    choice,
    fields,
    label,
    moment,
    optional,
    optional_label,
    patched_data,
    required,
    resource,
    user_data,
)
from ckfunc.wire.users import read_reference, read_user, write_embedded_user, write_user

MEMBERS_LIMIT = 10_000
"""The maximum number of members in a new channel. Our limit: the platform documents none."""

DIRECT_MEMBERS_LIMIT = 10
"""The maximum number of members in a direct channel. Source: https://chatkitty.com/docs/concepts/channels."""

_RELATIONS = ("participants", "messages", "events")
_GROUP_RELATIONS = ("memberships", "members", "moderators")

KEYS_LIMIT = 64 * 1024
"""The maximum number of characters in a request with keystrokes. Our limit: the platform documents none."""


def write_channel(channel: Channel, links: Links) -> dict[str, Any]:
    """Return a channel as the platform shows it, in canonical spelling. A direct channel has members and no name."""
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
        document["members"] = [write_embedded_user(member, links) for member in channel.members]
    if channel.last_received_message is not None:
        document["lastReceivedMessage"] = write_embedded_message(channel.last_received_message, links)
    return {**document, "properties": dict(channel.properties), "createdTime": timestamp(channel.created_time)}


def read_channel(document: Any) -> Channel:
    """Read a channel in either spelling, embedded or not; raises Malformed."""
    data = resource(document, "channel")
    kind = choice(data, "type", ChannelType)
    direct = kind is ChannelType.DIRECT
    last = optional(data, "lastReceivedMessage", dict)
    creator = optional(data, "creator", dict)
    return Channel(
        id=required(data, "id", int),
        type=kind,
        created_time=moment(data, "createdTime"),
        name=None if direct else required(data, "name", str),
        display_name=None if direct else required(data, "displayName", str),
        creator=None if creator is None else read_user(creator),
        last_received_message=None if last is None else read_message(last),
        members=tuple(read_user(member) for member in required(data, "members", list)) if direct else (),
        properties=user_data(data),
    )


def read_new_channel(document: Any) -> NewChannel:
    """Read the body that creates a channel; a direct channel must have members. Raises Malformed."""
    data = resource(document, "channel")
    kind = choice(data, "type", ChannelType)
    direct = kind is ChannelType.DIRECT
    members = required(data, "members", list) if direct else optional(data, "members", list) or []
    if direct and not members:
        raise Malformed("field 'members' is empty, but a direct channel needs members")
    limit = DIRECT_MEMBERS_LIMIT if direct else MEMBERS_LIMIT
    if len(members) > limit:
        raise Malformed(f"field 'members' has {len(members)} entries; at most {limit} are allowed")
    return NewChannel(
        type=kind,
        name=None if direct else optional_label(data, "name"),
        display_name=None if direct else optional_label(data, "displayName"),
        creator=None if data.get("creator") is None else read_reference(data["creator"], "field 'creator'"),
        members=tuple(read_reference(member, f"entry {index} of 'members'") for index, member in enumerate(members)),
        properties=user_data(data),
    )


def patched_channel(channel: Channel, patch: Any) -> Channel:
    """Return `channel` with the merge patch applied; unknown fields are ignored. Raises Malformed."""
    data = fields(patch, "channel", keep=("displayName",))
    display_name = channel.display_name
    if "displayName" in data:
        if channel.type is ChannelType.DIRECT:
            raise Malformed("field 'displayName' cannot be set: a direct channel has no name")
        display_name = label(data, "displayName")
    return replace(channel, display_name=display_name, properties=patched_data(channel.properties, data))


def write_membership(membership: Membership, links: Links) -> dict[str, Any]:
    """Return a membership as the platform shows it, in canonical spelling."""
    channel = f"channels/{membership.channel_id}"
    user = membership.user_id
    at = links.to(user=f"users/{user}", channel=channel, member=f"{channel}/members/{user}")
    return {"createdTime": timestamp(membership.created_time), "_links": at}


def write_invite(invite: Invite, links: Links) -> dict[str, Any]:
    """Return an invite as the platform shows it, in canonical spelling."""
    at = links.to(invitee=f"users/{invite.invitee_id}", channel=f"channels/{invite.channel_id}")
    return {"createdTime": timestamp(invite.created_time), "_links": at}


def read_new_invite(document: Any) -> UserReference:
    """Read the body that invites a user; return a reference to that user. Raises Malformed."""
    return read_reference(required(resource(document, "invite"), "user", dict), "field 'user'")


def write_thread(thread: Thread, links: Links) -> dict[str, Any]:
    """Return a thread as the platform shows it, in canonical spelling."""
    document: dict[str, Any] = {"id": thread.id, "type": thread.type.value}
    if thread.name is not None:
        document["name"] = thread.name
    return {
        **document,
        "properties": dict(thread.properties),
        "createdTime": timestamp(thread.created_time),
        "_links": links.to(self=f"threads/{thread.id}", channel=f"channels/{thread.channel_id}"),
    }


def read_new_keystrokes(document: Any) -> NewKeystrokes:
    """Read the body that sends keystrokes for a user; the keys may be empty. Raises Malformed."""
    data = resource(document, "keystrokes")
    return NewKeystrokes(read_keys(data), read_reference(required(data, "user", dict), "field 'user'"))


def read_keys(data: Mapping[str, Any]) -> str:
    """Read keystrokes; no keys at all are an empty text. Raises Malformed."""
    keys = required(data, "keys", str)
    return label(data, "keys", limit=KEYS_LIMIT) if keys.strip() else keys


def write_keystrokes(keys: str, user: User, channel_id: int, links: Links) -> dict[str, Any]:
    """Return keystrokes as the platform's response shows them, in canonical spelling."""
    at = links.to(user=f"users/{user.id}", channel=f"channels/{channel_id}")
    return {"keys": keys, "username": user.name, "_links": at}


def read_event(document: Any) -> ChannelEvent:
    """Read the body that sends a custom channel event, which has no user, in either spelling; raises Malformed."""
    data = resource(document, "event")
    return ChannelEvent(label(data, "type"), required(data, "properties", dict))


def write_event(event: ChannelEvent, links: Links) -> dict[str, Any]:
    """Return a custom channel event as the platform shows it, in canonical spelling."""
    document: dict[str, Any] = {"type": event.type, "properties": dict(event.properties)}
    if event.user is not None:
        document["user"] = write_embedded_user(event.user, links)
    return {**document, "_links": links.to()}


def write_receipt(receipt: ReadReceipt, links: Links) -> dict[str, Any]:
    """Return a read receipt as the platform shows it, in canonical spelling."""
    return {
        "user": write_embedded_user(receipt.user, links),
        "createdTime": timestamp(receipt.created_time),
        "_links": links.to(user=f"users/{receipt.user.id}", message=f"messages/{receipt.message_id}"),
    }


def write_unread_summary(summary: UnreadSummary, links: Links) -> dict[str, Any]:
    """Return the number of messages that a member has not read in a channel, in canonical spelling."""
    return {
        "user": write_embedded_user(summary.user, links),
        "channel": write_embedded_channel(summary.channel, links),
        "count": summary.count,
        "_links": links.to(user=f"users/{summary.user.id}", channel=f"channels/{summary.channel.id}"),
    }


def write_notification(notification: Notification, links: Links) -> dict[str, Any]:
    """Return a notification as the platform shows it, in canonical spelling."""
    document: dict[str, Any] = {"id": notification.id, "title": notification.title, "body": notification.body}
    if notification.channel is not None:
        # In the schema, embedded channels have no links. In all examples they have links, which clients use.
        document["channel"] = write_channel(notification.channel, links)
    document |= {
        "data": write_notification_data(notification.data, links),
        "muted": notification.muted,
        "createdTime": timestamp(notification.created_time),
    }
    if notification.read_time is not None:
        document["readTime"] = timestamp(notification.read_time)
    return {**document, "_links": links.to(recipient=f"users/{notification.recipient_id}")}


def write_notification_data(data: NotificationData, links: Links) -> dict[str, Any]:
    """Return the subject of a notification, with `channelId`, which is deprecated but still sent."""
    document: dict[str, Any] = {
        "type": data.type.value,
        "channelId": data.message.channel_id,
        "message": write_message(data.message, links),
        "_relays": {"message": f"/application/v1/messages/{data.message.id}.relay"},
    }
    if data.mentioned_channel is not None:
        document["mentionedChannel"] = write_channel(data.mentioned_channel, links)
    if data.mentioned_user is not None:
        document["mentionedUser"] = write_user(data.mentioned_user, links)
    if data.parent is not None:
        document["parent"] = write_message(data.parent, links)
    return document
