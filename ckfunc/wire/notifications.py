"""Notifications, to and from JSON."""

from __future__ import annotations

from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import Notification, NotificationData, NotificationType
from ckfunc.wire.channels import read_channel, write_channel
from ckfunc.wire.links import Links
from ckfunc.wire.messages import read_message, write_message
from ckfunc.wire.reading import choice, optional, resource
from ckfunc.wire.users import read_user, write_user


def write_notification(notification: Notification, links: Links) -> dict[str, Any]:
    """Return a notification as the platform shows it, in canonical spelling."""
    document: dict[str, Any] = {"id": notification.id, "title": notification.title, "body": notification.body}
    if notification.channel is not None:
        # In the schema, embedded channels have no links. In all examples they have links, which clients use.
        document["channel"] = write_channel(notification.channel, links)
    document |= {
        "data": write_data(notification.data, links),
        "muted": notification.muted,
        "createdTime": timestamp(notification.created_time),
    }
    if notification.read_time is not None:
        document["readTime"] = timestamp(notification.read_time)
    return {**document, "_links": links.to(recipient=f"users/{notification.recipient_id}")}


def write_data(data: NotificationData, links: Links) -> dict[str, Any]:
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


def read_data(document: Any) -> NotificationData:
    """Read the subject of a notification; raises Malformed."""
    data = resource(document, "notification data")
    channel, user = optional(data, "mentionedChannel", dict), optional(data, "mentionedUser", dict)
    parent = optional(data, "parent", dict)
    return NotificationData(
        type=choice(data, "type", NotificationType),
        message=read_message(data.get("message")),
        mentioned_channel=None if channel is None else read_channel(channel),
        mentioned_user=None if user is None else read_user(user),
        parent=None if parent is None else read_message(parent),
    )
