"""Readers and writers of the wire that only tests need: the client side of the emulator's documents."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ckfunc.model.chat import (
    ChatSession,
    Invite,
    Membership,
    NewChannel,
    NewMessage,
    NewUser,
    Notification,
    NotificationData,
    NotificationType,
    ReadReceipt,
    Thread,
    ThreadType,
    UserReference,
    UserSession,
)
from ckfunc.model.job import Job, JobState, JobType
from ckfunc.model.page import CursorPage
from ckfunc.wire.channels import read_channel
from ckfunc.wire.links import T
from ckfunc.wire.messages import read_message, write_file
from ckfunc.wire.reading import Malformed, choice, moment, optional, optional_moment, required, resource, user_data
from ckfunc.wire.users import read_user


def linked_id(document: Mapping[str, Any], relation: str) -> int:
    """Read an id that is only in a link, as the last segment of its address. Raises Malformed."""
    links = document.get("_links")
    link = links.get(relation) if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    tail = href.rpartition("/")[2] if isinstance(href, str) else ""
    if not (tail.isascii() and tail.isdecimal()):
        raise Malformed(f"the link {relation!r} is missing, or names no id")
    return int(tail)


def write_reference(reference: UserReference) -> dict[str, Any]:
    """Return how a request names a user."""
    return {"id": reference.id} if reference.id is not None else {"username": reference.username}


def read_user_session(document: Any) -> UserSession:
    """Read a user session in either spelling, embedded or not; raises Malformed."""
    found = resource(document, "user session")
    return UserSession(
        id=required(found, "id", int),
        user=read_user(required(found, "user", dict)),
        created_time=moment(found, "createdTime"),
        user_agent=optional(found, "userAgent", str),
        end_time=optional_moment(found, "endTime"),
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
        document["members"] = [write_reference(member) for member in channel.members]
    if channel.properties:
        document["properties"] = dict(channel.properties)
    return document


def read_membership(document: Any) -> Membership:
    """Read a membership in either spelling; raises Malformed."""
    found = resource(document, "membership")
    return Membership(linked_id(found, "channel"), linked_id(found, "user"), moment(found, "createdTime"))


def read_invite(document: Any) -> Invite:
    """Read an invite in either spelling; raises Malformed."""
    found = resource(document, "invite")
    return Invite(linked_id(found, "channel"), linked_id(found, "invitee"), moment(found, "createdTime"))


def read_thread(document: Any) -> Thread:
    """Read a thread in either spelling; raises Malformed."""
    found = resource(document, "thread")
    return Thread(
        id=required(found, "id", int),
        type=choice(found, "type", ThreadType),
        channel_id=linked_id(found, "channel"),
        created_time=moment(found, "createdTime"),
        name=optional(found, "name", str),
        properties=user_data(found),
    )


def read_receipt(document: Any) -> ReadReceipt:
    """Read a read receipt in either spelling; raises Malformed."""
    found = resource(document, "receipt")
    return ReadReceipt(
        linked_id(found, "message"), read_user(required(found, "user", dict)), moment(found, "createdTime")
    )


def read_job(document: Any) -> Job:
    """Read a job in either spelling; raises Malformed."""
    found = resource(document, "job")
    return Job(
        id=required(found, "id", int),
        type=choice(found, "type", JobType),
        state=choice(found, "state", JobState),
        created_time=moment(found, "createdTime"),
        ended_time=optional_moment(found, "endedTime"),
        file=optional(found, "file", str),
    )


def read_cursor_page(document: Any, name: str, read: Callable[[Any], T]) -> CursorPage[T]:
    """Read a cursor page in either spelling, each item with `read`; its cursor is taken from its links."""
    found = resource(document, "page")
    embedded = optional(found, "_embedded", dict) or {}
    links = optional(found, "_links", dict) or {}
    cursor = _cursor_of(links.get("next") or links.get("self"))
    return CursorPage(
        items=tuple(read(item) for item in embedded.get(name) or []),
        size=required(resource(required(found, "page", dict), "page"), "size", int),
        start=cursor.get("start"),
        next=cursor.get("next"),
        has_next="next" in links,
    )


def _cursor_of(link: Any) -> dict[str, int]:
    href = link.get("href") if isinstance(link, dict) else None
    found = parse_qs(urlsplit(href).query) if isinstance(href, str) else {}
    try:
        return {name: int(found[name][0]) for name in ("start", "next") if name in found}
    except ValueError:
        raise Malformed("a page link has a cursor that is no number") from None


def write_new_message(message: NewMessage) -> dict[str, Any]:
    """Return the body that sends a message, in canonical spelling."""
    document: dict[str, Any] = {"type": "TEXT" if message.file is None else "FILE"}
    if message.file is None:
        document["body"] = message.body
    else:
        document["file"] = {name: value for name, value in write_file(message.file).items() if name != "type"}
    if message.user is not None:
        document["user"] = write_reference(message.user)
    if message.group_tag is not None:
        document["groupTag"] = message.group_tag
    if message.properties:
        document["properties"] = dict(message.properties)
    return document


def read_notification(document: Any) -> Notification:
    """Read a notification in either spelling; raises Malformed."""
    found = resource(document, "notification")
    channel = optional(found, "channel", dict)
    return Notification(
        id=required(found, "id", int),
        recipient_id=_recipient(found),
        title=required(found, "title", str),
        body=required(found, "body", str),
        data=_notification_data(found.get("data")),
        created_time=moment(found, "createdTime"),
        channel=None if channel is None else read_channel(channel),
        muted=optional(found, "muted", bool) or False,
        read_time=optional_moment(found, "readTime"),
    )


def _recipient(found: Any) -> int:
    """Read the id of the recipient, which a notification has in its links alone."""
    links = optional(found, "_links", dict) or {}
    link = links.get("recipient")
    href = link.get("href") if isinstance(link, dict) else None
    tail = href.rpartition("/")[2] if isinstance(href, str) else ""
    if not (tail.isascii() and tail.isdecimal()):
        raise Malformed("a notification has no link to its recipient")
    return int(tail)


def write_new_user(user: NewUser) -> dict[str, Any]:
    """Return the body that creates a user, in canonical spelling."""
    return {
        "name": user.name,
        "displayName": user.display_name,
        "isGuest": user.is_guest,
        "properties": dict(user.properties),
    }


def read_chat_session(document: Any) -> ChatSession:
    """Read a chat session in either spelling; raises Malformed."""
    found = resource(document, "chat session")
    return ChatSession(
        id=required(found, "id", int),
        session=read_user_session(required(found, "session", dict)),
        channel_id=linked_id(found, "channel"),
        created_time=moment(found, "createdTime"),
        end_time=optional_moment(found, "endTime"),
    )


def _notification_data(document: Any) -> NotificationData:
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
