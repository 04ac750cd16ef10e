"""Users, channels and messages that events mention, as a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ckfunc.model.job import Seed
from ckfunc.wire.dialects import canonical
from ckfunc.wire.seeds import MalformedSeed, read_seed

Document = dict[str, Any]
"""A seed as JSON, in camelCase: {"users": […], "channels": [{…, "messages": […]}]}."""

_DEEPEST = 12
"""Resources are nested a few levels deep; client data may be nested without end."""
_MOST_ID = 2**53 - 1
_USER_KEYS = ("user", "invitingUser", "creator", "reactor", "sender")
_USER_FIELDS = {"displayName": str, "isGuest": bool, "properties": dict}
_CHANNEL_FIELDS = {"name": str, "displayName": str, "properties": dict}
_CHANNEL_TYPES = ("PUBLIC", "PRIVATE", "DIRECT")
_NOT_RESOURCES = ("properties", "authParams", "_links")


def joined(*documents: Mapping[str, Any]) -> Document:
    """Return one seed out of several; of the same name or id, the first one counts."""
    users: list[Document] = []
    channels: list[Document] = []
    for document in documents:
        for one in document.get("users") or ():
            _add_user(users, one)
        for one in document.get("channels") or ():
            _add_channel(channels, one)
    return {"users": users, "channels": channels}


def seed_of(events: Iterable[Mapping[str, Any]]) -> Seed:
    """Return what events mention, with the ids that it has there; see `mentioned`.

    References to users without a description are left out, and so are events that can't be read.
    """
    readable = [one for one in events if _read(mentioned(one)) is not None]
    return _read(mentioned(*readable)) or Seed()


def mentioned(*events: Mapping[str, Any]) -> Document:
    """Return a seed of the resources in events: on the platform, the ids in an event exist.

    Of the same name or id, the last event counts. A channel without a type is public, and a user or channel without a
    name gets one made from its id. A channel's members are its `members`, the users of its events, unless they are
    invited, and the senders of its messages.
    """
    found = _Found()
    for event in reversed(events):
        found.take(canonical(_cut(event, _DEEPEST)))
    return found.document()


class _Found:
    """The resources of several events, each once. Users in channels are documents until all names are known."""

    def __init__(self) -> None:
        self._users: list[Document] = []
        self._channels: list[Document] = []
        self._message_ids: set[int] = set()

    def take(self, event: Document) -> None:
        """Add the resources of an event, older than those before."""
        seen = _Event(event)
        for one in seen.users:
            _add_user(self._users, _user(one))
        sender = event.get("user")
        if not _is_user("user", sender) or "invitingUser" in event:
            sender = None
        of_messages = [{"id": one.get("channelId")} for one in seen.messages]
        for one in (*seen.channels, *(other for other in of_messages if _id(other) is not None)):
            channel = _add_channel(self._channels, _channel(one))
            members = channel.setdefault("members", [])
            members += [member for member in _list(one.get("members")) if isinstance(member, dict)]
            direct = channel.get("type") == "DIRECT"
            if direct and not members:
                members += seen.users
            elif sender is not None and not direct:
                members.append(sender)
            for message in seen.messages:
                if message.get("channelId") in (None, channel["id"]):
                    self._add_message(channel, message)

    def _add_message(self, channel: Document, message: Document) -> None:
        there, wanted = channel.setdefault("messages", []), _id(message)
        if wanted in self._message_ids or any(_id(one) == wanted for one in there):
            return
        if wanted is not None:
            self._message_ids.add(wanted)
        there.append(message)
        if channel.get("type") != "DIRECT" and "channelId" in message and _is_user("user", message.get("user")):
            channel["members"].append(message["user"])

    def document(self) -> Document:
        """Return all of them as a seed."""
        names = {one["id"]: _name(one) for one in self._users if "id" in one}

        def named(user: Document) -> str:
            return names.get(_id(user) or 0) or _name(user)

        users = [{**one, "name": _name(one)} for one in self._users]
        channels = [made for one in self._channels if (made := _completed(one, named)) is not None]
        return {"users": users, "channels": channels}


class _Event:
    """The users, channels and messages in one event, as they stand in it."""

    def __init__(self, event: Document) -> None:
        self.users: list[Document] = []
        self.channels: list[Document] = []
        self.messages: list[Document] = []
        self._look_into(event)

    def _look(self, key: str, one: Any) -> None:
        if isinstance(one, list):
            for inner in one:
                self._look(key, inner)
        if not isinstance(one, dict):
            return
        if _is_channel(key, one):
            self.channels.append(one)
        elif _is_message(key, one):
            self.messages.append(one)
        elif _is_user(key, one):
            self.users.append(one)
        self._look_into(one)

    def _look_into(self, document: Document) -> None:
        for name, one in document.items():
            if name not in _NOT_RESOURCES:
                self._look(name, one)


def _read(document: Document) -> Seed | None:
    """Return a seed without the references to users that are not in it; None when it is malformed."""
    names = {one["name"] for one in document["users"]}
    for channel in document["channels"]:
        channel["members"] = [one for one in channel["members"] if one in names]
        if channel.get("creator") not in names:
            channel.pop("creator", None)
        if "messages" in channel:
            channel["messages"] = [one for one in channel["messages"] if one.get("user") in (None, *names)]
    channels = [one for one in document["channels"] if one["type"] != "DIRECT" or one["members"]]
    try:
        return read_seed({**document, "channels": channels})
    except MalformedSeed:
        return None


def _cut(value: Any, depth: int) -> Any:
    """Return a value without what is nested deeper than `depth` levels; properties stay whole."""
    if isinstance(value, dict):
        return {name: one if name == "properties" else _cut(one, depth - 1) for name, one in value.items() if depth > 0}
    if isinstance(value, list):
        return [_cut(one, depth - 1) for one in value] if depth > 0 else []
    return value


def _completed(channel: Document, named: Callable[[Document], str]) -> Document | None:
    """Return a channel with names for its users; None for a direct channel of nobody."""
    made = {**channel, "type": channel.get("type", "PUBLIC")}
    made["members"] = list(dict.fromkeys(map(named, channel["members"])))
    if made["type"] == "DIRECT":
        for name in ("name", "displayName", "creator"):
            made.pop(name, None)
        if not made["members"]:
            return None
    else:
        made.setdefault("name", f"channel-{channel['id']}")
    if "creator" in made:
        made["creator"] = named(made["creator"])
    messages = [one for message in made.pop("messages", ()) for one in _message(message, named)]
    if messages:
        made["messages"] = sorted(messages, key=lambda one: one.get("id") or 0)
    return made


def _message(one: Document, named: Callable[[Document], str]) -> Iterator[Document]:
    made = {name: one[name] for name in ("groupTag", "properties") if one.get(name)}
    if (message_id := _id(one)) is not None:
        made["id"] = message_id
    if _is_user("user", one.get("user")):
        made["user"] = named(one["user"])
    if one.get("body"):
        yield {**made, "body": one["body"]}
    elif isinstance(one.get("file"), dict):
        yield {**made, "file": one["file"]}


def _user(one: Document) -> Document:
    return {**_fields(one, _USER_FIELDS), **_fields(one, {"name": str})}


def _channel(one: Document) -> Document:
    made = _fields(one, _CHANNEL_FIELDS)
    if one.get("type") in _CHANNEL_TYPES:
        made["type"] = one["type"]
    if _is_user("creator", one.get("creator")):
        made["creator"] = one["creator"]
    return made


def _fields(one: Document, kinds: Mapping[str, type]) -> Document:
    """Return the id, and the fields that have the right types; empty texts are left out."""
    made = {name: one[name] for name, kind in kinds.items() if isinstance(one.get(name), kind) and one[name] != ""}
    return made if (known := _id(one)) is None else {"id": known, **made}


def _id(one: Mapping[str, Any]) -> int | None:
    found = one.get("id")
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found <= _MOST_ID else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _name(user: Mapping[str, Any]) -> str:
    return str(user.get("name") or f"user-{user.get('id', 1)}")


def _is_user(key: str, one: Any) -> bool:
    if not isinstance(one, dict) or ("id" in one and _id(one) is None):
        return False
    named = isinstance(one.get("name"), str)
    return (key in _USER_KEYS and ("id" in one or named)) or ("presence" in one and named)


def _is_channel(key: str, one: Document) -> bool:
    return _id(one) is not None and (key == "channel" or one.get("type") in _CHANNEL_TYPES)


def _is_message(key: str, one: Document) -> bool:
    return (key == "message" and ("body" in one or "file" in one)) or ("channelId" in one and "nestedLevel" in one)


def _add_user(there: list[Document], one: Mapping[str, Any]) -> None:
    """Add a user unless it is there; one that is there without an id, or without a name, takes this one's."""
    for known in there:
        if "id" in one and known.get("id") == one["id"]:
            if "name" not in known:
                known.update(one)
            return
        if "name" in one and known.get("name") == one["name"]:
            if "id" not in known and "id" in one and not any(other.get("id") == one["id"] for other in there):
                known["id"] = one["id"]
            return
    there.append(dict(one))


def _add_channel(there: list[Document], one: Mapping[str, Any]) -> Document:
    """Return the channel that is there, with the fields of this one that it doesn't have, or else add this one."""
    for known in there:
        same_id = "id" in one and known.get("id") == one["id"]
        same_name = bool(one.get("name")) and known.get("name") == one["name"]
        if same_id or (same_name and not ("id" in one and "id" in known)):
            for name, value in one.items():
                known.setdefault(name, value)
            return known
    there.append(dict(one))
    return there[-1]
