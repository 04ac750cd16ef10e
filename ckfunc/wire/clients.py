"""The client protocol: destinations, and resources as its clients read them.

The resources are those of the platform without HAL links; instead each names its relays (reads), topics (events),
actions (writes) and streams (files). The platform sends nearly all destinations to clients, so their names are our
choice, in the form of the known ones. Source: the code of the vendor's clients `@chatkitty/core` 1.11.0 and 2.106.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import (
    BlockRecord,
    Channel,
    ChannelEvent,
    ChannelType,
    Message,
    MessageReport,
    Notification,
    Reaction,
    ReadReceipt,
    Thread,
    User,
)
from ckfunc.wire.channels import write_embedded_channel, write_notification_data
from ckfunc.wire.links import Links
from ckfunc.wire.messages import write_embedded_message, write_emoji
from ckfunc.wire.users import write_embedded_user

PREFIX = "/application/v1/"
PAGE = ".size..sort."
"""The end of a page's relay: a client inserts its page size and sort order. Source: the vendor's client 1.11.0."""

USER_TOPICS = (
    *("self", "elements", "features", "styles", "channels", "messages", "readReceipts", "notifications"),
    *("contacts", "participants", "users", "reactions", "threads", "calls"),
)
CHANNEL_TOPICS = (
    *("self", "messages", "keystrokes", "typing", "participants", "readReceipts", "reactions", "events"),
    *("members", "blockRecords", "moderators"),
)
_CHANNEL_ACTIONS = (
    *("message", "keystrokes", "read", "mute", "call", "triggerEvent", "update", "delete", "clearHistory", "hide"),
    *("createThread", "block"),
)
_GROUP_ACTIONS = ("addModerator", "deleteModerator", "invite")
_MESSAGE_ACTIONS = (
    *("read", "unread", "reply", "deleteForMe", "delete", "react", "edit", "report", "removeReport"),
    *("removeReaction", "updateProperties"),
)


def relay(of: str, part: str = "") -> str:
    """Return the relay of a resource such as `channels/1`, or of a part of it."""
    return f"{PREFIX}{of}{'.' if part else ''}{part}.relay"


def pages(of: str, part: str) -> str:
    """Return the relay of the first page of a list."""
    return relay(of, part) + PAGE


def action(of: str, name: str) -> str:
    """Return the destination of an action on a resource such as `channels/1`."""
    return f"{PREFIX}{of}.{name}"


def actions(of: str, names: Iterable[str]) -> dict[str, str]:
    """Return the destinations of several actions on a resource, by name."""
    return {name: f"{PREFIX}{of}.{name}" for name in names}


def topic(of: str, part: str = "") -> str:
    """Return the topic of events about a resource, or about a part of it; "self" is the resource."""
    return f"/topic/v1/{of}" if part in ("", "self") else f"/topic/v1/{of}.{part}"


def stream(of: str, part: str) -> str:
    """Return the path to which files are uploaded."""
    return f"/rtm/streams/{of}/{part}"


def client_current_user(user: User, links: Links) -> dict[str, Any]:
    """Return the user of a session, as this user's own clients see it."""
    at = f"users/{user.id}"
    relays = {
        "self": relay("user"),
        "readFileAccessGrant": relay("user", "read_file_access_grant"),
        "writeFileAccessGrant": relay("user", "write_file_access_grant"),
        "channelsCount": relay("user", "channels_count"),
        "channels": pages("user", "channels"),
        "messages": pages("user", "messages"),
        "joinableChannels": pages("user", "joinable_channels"),
        "unreadChannelsCount": relay("user", "unread_channels_count"),
        "unreadChannels": pages("user", "unread_channels"),
        "unreadMessagesCount": relay("user", "unread_messages_count"),
        "contactsCount": relay("user", "contacts_count"),
        "contacts": pages("user", "contacts"),
        # The same list, under the names of clients 1.x and 2.x.
        "userBlockedRecords": pages("user", "blocks"),
        "userBlockListItems": pages("user", "blocks"),
    }
    return {
        **write_embedded_user(user, links),
        "_relays": relays,
        "_topics": {name: topic(at, name) for name in USER_TOPICS},
        "_actions": {
            "update": action("user", "update"),
            "delete": action(at, "delete"),
            "createChannel": action("user", "createChannel"),
            "updateDisplayPicture": action("user", "updateDisplayPicture"),
        },
        "_streams": {"displayPicture": stream("user", "display-picture")},
    }


def client_user(user: User, links: Links) -> dict[str, Any]:
    """Return any user, as other users' clients see it."""
    at = f"users/{user.id}"
    return {
        **write_embedded_user(user, links),
        "_relays": {"self": relay(at), "channelMember": relay(at, "channelMember")},
        "_actions": {"block": action(at, "block"), "delete": action(at, "delete")},
    }


def client_channel(channel: Channel, links: Links, *, member: bool) -> dict[str, Any]:
    """Return a channel as a user's clients see it; `member` is whether the user is a member of it."""
    at = f"channels/{channel.id}"
    document = write_embedded_channel(channel, links)
    if channel.creator is not None:
        document["creator"] = client_user(channel.creator, links)
    if channel.type is ChannelType.DIRECT:
        document["members"] = [client_user(member, links) for member in channel.members]
    if channel.last_received_message is not None:
        document["lastReceivedMessage"] = client_message(channel.last_received_message, links)
    allowed = list(_CHANNEL_ACTIONS)
    if channel.type is not ChannelType.DIRECT:
        allowed += _GROUP_ACTIONS
        if member:
            allowed.append("leave")
        elif channel.type is ChannelType.PUBLIC:
            allowed.append("join")
    return {
        **document,
        "_relays": {
            "self": relay(at),
            "context": relay(at, "context"),
            "messages": pages(at, "messages"),
            "messagesCount": relay(at, "messages_count"),
            "lastReceivedMessage": relay(at, "last_received_message"),
            "lastReadMessage": relay(at, "last_read_message"),
            "unread": relay(at, "unread"),
            "members": pages(at, "members"),
            "threads": pages(at, "threads"),
            "calls": pages(at, "calls"),
            "blockRecords": pages(at, "block_records"),
            "moderators": pages(at, "moderators"),
        },
        "_topics": {name: topic(at, name) for name in CHANNEL_TOPICS},
        "_actions": actions(at, allowed),
        "_streams": {"messages": stream(at, "messages")},
    }


def client_message(message: Message, links: Links) -> dict[str, Any]:
    """Return a message."""
    at, channel = f"messages/{message.id}", f"channels/{message.channel_id}"
    document = write_embedded_message(message, links, write_sender=client_user)
    if message.body is not None:
        document.setdefault("links", [])
    for mention, written in zip(message.mentions, document.get("mentions", ()), strict=False):
        if mention.user is not None:
            written["user"] = client_user(mention.user, links)
        if mention.channel is not None:
            written["channel"] = client_channel(mention.channel, links, member=False)
    for summary, written in zip(message.reactions, document.get("reactions", ()), strict=False):
        written["users"] = [client_user(user, links) for user in summary.users]
    relays = {
        "self": relay(at),
        "channel": relay(channel),
        "readReceipts": pages(at, "read_receipts"),
        "repliesCount": relay(at, "replies_count"),
        "reportCount": relay(at, "report_count"),
        "replies": pages(at, "replies"),
        "reactions": pages(at, "reactions"),
        "reports": pages(at, "reports"),
    }
    if message.parent_id is not None:
        relays["parent"] = relay(f"messages/{message.parent_id}")
    return {
        **document,
        "_relays": relays,
        "_actions": actions(at, _MESSAGE_ACTIONS),
        "_streams": {"replies": stream(at, "replies")},
    }


def client_thread(thread: Thread) -> dict[str, Any]:
    """Return a thread.

    Its topics are those of its channel: the vendor's clients listen to a thread's topics without subscribing to them,
    so that its events arrive only on topics that a chat session has subscribed to.
    """
    at, channel = f"threads/{thread.id}", f"channels/{thread.channel_id}"
    document: dict[str, Any] = {"id": thread.id, "type": thread.type.value}
    if thread.name is not None:
        document["name"] = thread.name
    return {
        **document,
        "properties": dict(thread.properties),
        "createdTime": timestamp(thread.created_time),
        "_relays": {
            "self": relay(at),
            "channel": relay(channel),
            "message": relay(f"messages/{thread.id}"),
            "messages": pages(at, "messages"),
            "members": pages(channel, "members"),
        },
        "_topics": {"self": topic(at), **{name: topic(channel, name) for name in ("messages", "keystrokes", "typing")}},
        "_actions": actions(at, ("message", "keystrokes", "read")),
        "_streams": {"messages": stream(at, "messages")},
    }


def client_reaction(reaction: Reaction, links: Links) -> dict[str, Any]:
    """Return a user's reaction to a message."""
    return {
        "emoji": write_emoji(reaction.emoji),
        "user": client_user(reaction.user, links),
        "createdTime": timestamp(reaction.created_time),
        "_relays": {"message": relay(f"messages/{reaction.message_id}")},
    }


def client_receipt(receipt: ReadReceipt, links: Links) -> dict[str, Any]:
    """Return a read receipt."""
    return {
        "user": client_user(receipt.user, links),
        "createdTime": timestamp(receipt.created_time),
        "_relays": {"message": relay(f"messages/{receipt.message_id}")},
    }


def client_report(report: MessageReport, links: Links) -> dict[str, Any]:
    """Return a user's report of a message."""
    return {
        "user": client_user(report.user, links),
        "reason": report.reason,
        "properties": dict(report.properties),
        "createdTime": timestamp(report.created_time),
    }


def client_channel_block(record: BlockRecord, links: Links) -> dict[str, Any]:
    """Return a user's block from a channel."""
    return {
        "user": client_user(record.user, links),
        "createdTime": timestamp(record.created_time),
        "_actions": {"delete": action(f"channel_blocks/{record.id}", "delete")},
    }


def client_user_block(record: BlockRecord, links: Links) -> dict[str, Any]:
    """Return a user's block of another user, with the fields of the blocked user."""
    user = client_user(record.user, links)
    return {
        **user,
        "user": user,
        "createdTime": timestamp(record.created_time),
        "_actions": {**user["_actions"], "delete": action(f"user_blocks/{record.id}", "delete")},
    }


def client_event(event: ChannelEvent, channel_id: int, links: Links) -> dict[str, Any]:
    """Return a custom event in a channel."""
    document: dict[str, Any] = {"type": event.type, "properties": dict(event.properties)}
    if event.user is not None:
        document["user"] = client_user(event.user, links)
    return {**document, "_relays": {"channel": relay(f"channels/{channel_id}")}}


def client_keystrokes(keys: str, user: User, thread_id: int) -> dict[str, Any]:
    """Return keys that a user types in a thread."""
    at = {"thread": relay(f"threads/{thread_id}"), "user": relay(f"users/{user.id}")}
    return {"username": user.name, "keys": keys, "_relays": at}


def client_notification(notification: Notification, recipient: User, links: Links) -> dict[str, Any]:
    """Return a notification."""
    data = notification.data
    about = write_notification_data(data, links) | {
        "recipient": client_user(recipient, links),
        "message": client_message(data.message, links),
    }
    if data.mentioned_channel is not None:
        about["mentionedChannel"] = client_channel(data.mentioned_channel, links, member=False)
    if data.mentioned_user is not None:
        about["mentionedUser"] = client_user(data.mentioned_user, links)
    if data.parent is not None:
        about["parent"] = client_message(data.parent, links)
    channel = notification.channel
    read = notification.read_time
    return {
        "id": notification.id,
        "title": notification.title,
        "body": notification.body,
        "channel": None if channel is None else client_channel(channel, links, member=True),
        "data": about,
        "muted": notification.muted,
        "createdTime": timestamp(notification.created_time),
        "readTime": None if read is None else timestamp(read),
    }
