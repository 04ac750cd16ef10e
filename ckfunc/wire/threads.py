"""Threads, keystrokes and custom channel events, to and from JSON."""

from __future__ import annotations

from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import ChannelEvent, NewKeystrokes, Thread, ThreadType
from ckfunc.model.user import User
from ckfunc.wire.links import Links, linked_id
from ckfunc.wire.reading import choice, label, moment, optional, required, resource, user_data
from ckfunc.wire.users import read_reference, read_user, write_embedded_user

KEYS_LIMIT = 64 * 1024
"""How many characters of keystrokes are taken at once. The platform documents no limit; this one is ours."""


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


def read_new_keystrokes(document: Any) -> NewKeystrokes:
    """Read the body that sends keystrokes for a user; no keys at all are an empty text. Raises Malformed."""
    found = resource(document, "keystrokes")
    keys = required(found, "keys", str)
    if keys.strip():
        keys = label(found, "keys", limit=KEYS_LIMIT)
    return NewKeystrokes(keys, read_reference(required(found, "user", dict), "field 'user'"))


def write_keystrokes(keys: str, user: User, channel_id: int, links: Links) -> dict[str, Any]:
    """Return keystrokes as the platform repeats them, in canonical spelling."""
    at = links.to(user=f"users/{user.id}", channel=f"channels/{channel_id}")
    return {"keys": keys, "username": user.name, "_links": at}


def read_event(document: Any) -> ChannelEvent:
    """Read a custom channel event, or the body that sends one, in either spelling; raises Malformed."""
    found = resource(document, "event")
    user = optional(found, "user", dict)
    return ChannelEvent(
        type=label(found, "type"),
        properties=required(found, "properties", dict),
        user=None if user is None else read_user(user),
    )


def write_event(event: ChannelEvent, links: Links) -> dict[str, Any]:
    """Return a custom channel event as the platform shows it, in canonical spelling."""
    document: dict[str, Any] = {"type": event.type, "properties": dict(event.properties)}
    if event.user is not None:
        document["user"] = write_embedded_user(event.user, links)
    return {**document, "_links": links.to()}
