"""Which users, channels and messages recorded events mention: what must be there for handlers to find."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ckfunc.model.chat import Channel, ChannelType, Message, NewChannel
from ckfunc.model.job import Seed, SeedChannel, SeedMessage, SeedUser
from ckfunc.model.user import User, UserReference
from ckfunc.wire.channels import read_channel
from ckfunc.wire.messages import read_message
from ckfunc.wire.reading import Malformed
from ckfunc.wire.users import read_user

_DEEPEST = 12
"""Resources lie a few levels deep; what a client has put in `properties` may go on for ever."""
_IDS = range(1, 2**53)


@dataclass(slots=True)
class _Found:
    users: dict[int, User] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    messages: dict[int, Message] = field(default_factory=dict)
    members: dict[int, set[int]] = field(default_factory=dict)


def mentioned(events: Iterable[Mapping[str, Any]]) -> Seed:
    """Return what the events mention, with the ids that it has there; of one id, as the last event shows it.

    A channel's members are those who are seen in it. A name that somebody else has by now is left to that one.
    """
    found = _Found()
    told = list(events)
    for event in (*filter(None, map(_completed, told)), *told):  # what is told in full counts more
        _take(event, found)
    users = {one.name: one for one in found.users.values()}
    known = {one.id for one in users.values()}
    by_id = {one.id: one for one in users.values()}
    channels: dict[object, SeedChannel] = {}
    for channel_id in {**found.channels, **{one.channel_id: None for one in found.messages.values()}}:
        members = tuple(by_id[one] for one in sorted(found.members.get(channel_id, ())) if one in known)
        made = _channel(channel_id, found.channels.get(channel_id), members, by_id)
        if made is None:
            continue
        messages = (one for one in found.messages.values() if one.channel_id == channel_id)
        said = tuple(_message(one, by_id) for one in sorted(messages, key=lambda one: one.id) if _sayable(one, known))
        channels[_identity(made)] = replace(made, messages=said)
    return Seed(tuple(_user(one) for one in users.values()), tuple(channels.values()))


def _completed(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the event with all that the platform tells of its user and channel; None when it has that already.

    Who fires an event by hand leaves most of it out.
    """
    more_of: dict[str, Any] = {}
    for name, read, missing in (("user", read_user, _of_user), ("channel", read_channel, _of_channel)):
        told = event.get(name)
        if isinstance(told, dict) and _read(read, told) is None:
            more = missing(told)
            if _read(read, {**more, **told}) is not None:
                more_of[name] = {**more, **told}
    return {**event, **more_of} if more_of else None


def _of_user(told: Mapping[str, Any]) -> dict[str, Any]:
    name = told.get("name", f"user-{told.get('id')}")
    presence = {"status": "UNAVAILABLE", "online": False}
    return {"type": "PERSON", "name": name, "displayName": name, "isGuest": False, "presence": presence}


def _of_channel(told: Mapping[str, Any]) -> dict[str, Any]:
    name = told.get("name", f"channel-{told.get('id')}")
    return {
        "type": "PUBLIC",
        "name": name,
        "displayName": name,
        "createdTime": "2000-01-01T00:00:00.000Z",
        "members": [],
    }


def _take(event: Mapping[str, Any], found: _Found) -> None:
    for document in _objects(event, _DEEPEST):
        if (user := _read(read_user, document)) is not None:
            found.users.pop(user.id, None)  # the newest last: it keeps the name
            found.users[user.id] = user
        elif (message := _read(read_message, document)) is not None:
            found.messages[message.id] = message
            if message.user is not None:
                found.members.setdefault(message.channel_id, set()).add(message.user.id)
        elif (channel := _read(read_channel, document)) is not None:
            found.channels[channel.id] = channel
            seen = found.members.setdefault(channel.id, set())
            seen.update(one.id for one in (*channel.members, channel.creator) if one is not None)
    _take_part(event, found)


def _take_part(event: Mapping[str, Any], found: _Found) -> None:
    """Whoever an event shows in a channel is a member of it."""
    user, channel = _read(read_user, event.get("user")), _read(read_channel, event.get("channel"))
    if user is not None and channel is not None and channel.type is not ChannelType.DIRECT:
        found.members.setdefault(channel.id, set()).add(user.id)


def _objects(value: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Yield every object in a value, the outer ones first; what users keep in `properties` is not looked into."""
    if isinstance(value, dict):
        yield value
        inside: Iterable[Any] = (one for name, one in value.items() if name not in ("properties", "authParams"))
    else:
        inside = value if isinstance(value, list) else ()
    if depth:
        for one in inside:
            yield from _objects(one, depth - 1)


def _read(read: Any, document: Any) -> Any:
    try:
        made = read(document)
    except (Malformed, RecursionError):
        return None
    return made if made.id in _IDS else None


def _user(user: User) -> SeedUser:
    return SeedUser(user.name, user.display_name or user.name, user.is_guest, user.properties, user.id)


def _channel(
    channel_id: int, channel: Channel | None, members: tuple[User, ...], users: Mapping[int, User]
) -> SeedChannel | None:
    named = tuple(UserReference(username=one.name) for one in members)
    if channel is None:  # known from a message alone
        return SeedChannel(NewChannel(ChannelType.PUBLIC, f"channel-{channel_id}", members=named), (), channel_id)
    direct = channel.type is ChannelType.DIRECT
    if direct and not members:
        return None
    creator = None if direct or channel.creator is None or channel.creator.id not in users else channel.creator
    new = NewChannel(
        channel.type,
        None if direct else channel.name or f"channel-{channel_id}",
        None if direct else channel.display_name,
        None if creator is None else UserReference(username=users[creator.id].name),
        named,
        channel.properties,
    )
    return SeedChannel(new, (), channel_id)


def _identity(made: SeedChannel) -> object:
    """Return what no two channels share."""
    new = made.channel
    if new.type is ChannelType.DIRECT:
        return frozenset(one.username for one in new.members)
    return new.type, new.name


def _sayable(message: Message, known: set[int]) -> bool:
    return message.user is None or message.user.id in known


def _message(message: Message, users: Mapping[int, User]) -> SeedMessage:
    sender = None if message.user is None else UserReference(username=users[message.user.id].name)
    return SeedMessage(message.body, message.file, sender, message.group_tag, message.properties, message.id)
