"""Users, channels and messages that events mention, as a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ckfunc.model.job import Seed
from ckfunc.wire.dialects import canonical
from ckfunc.wire.jobs import MalformedSeed, read_seed

Document = dict[str, Any]
"""A seed as JSON, in camelCase: {"users": […], "channels": [{…, "messages": […]}]}."""

_DEEPEST = 12
"""Nesting depth that is searched: resources are a few levels deep, client data may be arbitrarily deep."""
_MOST_ID = 2**53 - 1
_USER_KEYS = ("user", "invitingUser", "creator", "reactor", "sender")
_USER_FIELDS = {"displayName": str, "isGuest": bool, "properties": dict, "name": str}
_CHANNEL_FIELDS = {"name": str, "displayName": str, "properties": dict}
_CHANNEL_TYPES = ("PUBLIC", "PRIVATE", "DIRECT")
_NOT_RESOURCES = ("properties", "authParams", "_links")


def joined(*documents: Mapping[str, Any]) -> Document:
    """Return several seeds merged into one. Of resources with the same name or id, the first one wins."""
    users: list[Document] = []
    channels: list[Document] = []
    for document in documents:
        for user in document.get("users") or ():
            _add_user(users, user)
        for channel in document.get("channels") or ():
            _add_channel(channels, channel)
    return {"users": users, "channels": channels}


def seed_of(events: Iterable[Mapping[str, Any]]) -> Seed:
    """Return the resources that events mention as a seed, with their ids; see `mentioned`.

    References to users that no event describes are left out, and so are malformed events.
    """
    readable = [event for event in events if _read(mentioned(event)) is not None]
    return _read(mentioned(*readable)) or Seed()


def mentioned(*events: Mapping[str, Any]) -> Document:
    """Return the resources in events as a seed document, because on the platform they exist.

    Of resources with the same name or id, the last event wins. A channel without a type is public; a user or channel
    without a name gets one from its id. The members of a channel are its `members`, the users of its events, unless
    they are only invited, and the senders of its messages.
    """
    collector = _Collector()
    for event in reversed(events):
        collector.add(canonical(_cut(event, _DEEPEST)))
    return collector.document()


class _Collector:
    """Collects the resources of events, without duplicates. Users in channels are documents until names are known."""

    def __init__(self) -> None:
        self._users: list[Document] = []
        self._channels: list[Document] = []
        self._message_ids: set[int] = set()

    def add(self, event: Document) -> None:
        """Add the resources of an event that is older than those before."""
        resources = _Event(event)
        for user in resources.users:
            _add_user(self._users, _fields(user, _USER_FIELDS))
        sender = event.get("user")
        if not _is_user("user", sender) or "invitingUser" in event:
            sender = None
        of_messages = [{"id": message.get("channelId")} for message in resources.messages]
        for channel_ in (*resources.channels, *(other for other in of_messages if _id(other) is not None)):
            channel = _add_channel(self._channels, _channel(channel_))
            members = channel.setdefault("members", [])
            members += [member for member in _list(channel_.get("members")) if isinstance(member, dict)]
            direct = channel.get("type") == "DIRECT"
            if direct and not members:
                members += resources.users
            elif sender is not None and not direct:
                members.append(sender)
            for message in resources.messages:
                if message.get("channelId") in (None, channel["id"]):
                    self._add_message(channel, message)

    def _add_message(self, channel: Document, message: Document) -> None:
        existing, message_id = channel.setdefault("messages", []), _id(message)
        if message_id in self._message_ids or any(_id(other) == message_id for other in existing):
            return
        if message_id is not None:
            self._message_ids.add(message_id)
        existing.append(message)
        if channel.get("type") != "DIRECT" and "channelId" in message and _is_user("user", message.get("user")):
            channel["members"].append(message["user"])

    def document(self) -> Document:
        """Return all resources as a seed document."""
        names = {user["id"]: _name(user) for user in self._users if "id" in user}

        def named(user: Document) -> str:
            return names.get(_id(user) or 0) or _name(user)

        users = [{**user, "name": _name(user)} for user in self._users]
        channels = [result for channel in self._channels if (result := _completed(channel, named)) is not None]
        return {"users": users, "channels": channels}


class _Event:
    """The users, channels and messages in an event, unchanged."""

    def __init__(self, event: Document) -> None:
        self.users: list[Document] = []
        self.channels: list[Document] = []
        self.messages: list[Document] = []
        self._search(event)

    def _classify(self, key: str, value: Any) -> None:
        if isinstance(value, list):
            for inner in value:
                self._classify(key, inner)
        if not isinstance(value, dict):
            return
        if _is_channel(key, value):
            self.channels.append(value)
        elif _is_message(key, value):
            self.messages.append(value)
        elif _is_user(key, value):
            self.users.append(value)
        self._search(value)

    def _search(self, document: Document) -> None:
        for name, value in document.items():
            if name not in _NOT_RESOURCES:
                self._classify(name, value)


def _read(document: Document) -> Seed | None:
    """Return a document as a seed, without references to unknown users; None if it is malformed."""
    names = {user["name"] for user in document["users"]}
    for channel in document["channels"]:
        channel["members"] = [member for member in channel["members"] if member in names]
        if channel.get("creator") not in names:
            channel.pop("creator", None)
        if "messages" in channel:
            channel["messages"] = [message for message in channel["messages"] if message.get("user") in (None, *names)]
    channels = [channel for channel in document["channels"] if channel["type"] != "DIRECT" or channel["members"]]
    try:
        return read_seed({**document, "channels": channels})
    except MalformedSeed:
        return None


def _cut(value: Any, depth: int) -> Any:
    """Return a value without parts deeper than `depth` levels. Properties are not cut."""
    if isinstance(value, dict):
        return {
            name: item if name == "properties" else _cut(item, depth - 1) for name, item in value.items() if depth > 0
        }
    if isinstance(value, list):
        return [_cut(item, depth - 1) for item in value] if depth > 0 else []
    return value


def _completed(channel: Document, named: Callable[[Document], str]) -> Document | None:
    """Return a channel with names of its users, or None for a direct channel without members."""
    result = {**channel, "type": channel.get("type", "PUBLIC")}
    result["members"] = list(dict.fromkeys(map(named, channel["members"])))
    if result["type"] == "DIRECT":
        for name in ("name", "displayName", "creator"):
            result.pop(name, None)
        if not result["members"]:
            return None
    else:
        result.setdefault("name", f"channel-{channel['id']}")
    if "creator" in result:
        result["creator"] = named(result["creator"])
    messages = [part for message in result.pop("messages", ()) for part in _message(message, named)]
    if messages:
        result["messages"] = sorted(messages, key=lambda message: message.get("id") or 0)
    return result


def _message(message: Document, named: Callable[[Document], str]) -> Iterator[Document]:
    result = {name: message[name] for name in ("groupTag", "properties") if message.get(name)}
    if (message_id := _id(message)) is not None:
        result["id"] = message_id
    if _is_user("user", message.get("user")):
        result["user"] = named(message["user"])
    if message.get("body"):
        yield {**result, "body": message["body"]}
    elif isinstance(message.get("file"), dict):
        yield {**result, "file": message["file"]}


def _channel(channel: Document) -> Document:
    result = _fields(channel, _CHANNEL_FIELDS)
    if channel.get("type") in _CHANNEL_TYPES:
        result["type"] = channel["type"]
    if _is_user("creator", channel.get("creator")):
        result["creator"] = channel["creator"]
    return result


def _fields(document: Document, kinds: Mapping[str, type]) -> Document:
    """Return the id, and the fields with valid types, without empty texts."""
    result = {
        name: document[name]
        for name, kind in kinds.items()
        if isinstance(document.get(name), kind) and document[name] != ""
    }
    return result if (document_id := _id(document)) is None else {"id": document_id, **result}


def _id(document: Mapping[str, Any]) -> int | None:
    value = document.get("id")
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MOST_ID else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _name(user: Mapping[str, Any]) -> str:
    return str(user.get("name") or f"user-{user.get('id', 1)}")


def _is_user(key: str, value: Any) -> bool:
    if not isinstance(value, dict) or ("id" in value and _id(value) is None):
        return False
    named = isinstance(value.get("name"), str)
    return (key in _USER_KEYS and ("id" in value or named)) or ("presence" in value and named)


def _is_channel(key: str, document: Document) -> bool:
    return _id(document) is not None and (key == "channel" or document.get("type") in _CHANNEL_TYPES)


def _is_message(key: str, document: Document) -> bool:
    return (key == "message" and ("body" in document or "file" in document)) or (
        "channelId" in document and "nestedLevel" in document
    )


def _add_user(users: list[Document], user: Mapping[str, Any]) -> None:
    """Add a user, or complete the id or the name of an existing one."""
    for known in users:
        if "id" in user and known.get("id") == user["id"]:
            if "name" not in known:
                known.update(user)
            return
        if "name" in user and known.get("name") == user["name"]:
            if "id" not in known and "id" in user and not any(other.get("id") == user["id"] for other in users):
                known["id"] = user["id"]
            return
    users.append(dict(user))


def _add_channel(channels: list[Document], channel: Mapping[str, Any]) -> Document:
    """Add a channel, or complete the missing fields of an existing one. Returns the channel in the list."""
    for other in channels:
        same_id = "id" in channel and other.get("id") == channel["id"]
        same_name = bool(channel.get("name")) and other.get("name") == channel["name"]
        if same_id or (same_name and not ("id" in channel and "id" in other)):
            for name, value in channel.items():
                other.setdefault(name, value)
            return other
    channels.append(dict(channel))
    return channels[-1]
