"""Users, channels and messages that an event mentions, as a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ckfunc.wire.dialects import canonical

Document = dict[str, Any]
"""A seed as JSON, in camelCase: {"users": […], "channels": [{…, "messages": […]}]}."""

_USER_KEYS = ("user", "invitingUser", "creator", "reactor", "sender")
_USER_FIELDS = ("id", "name", "displayName", "isGuest", "properties")
_CHANNEL_TYPES = ("PUBLIC", "PRIVATE", "DIRECT")


def joined(*documents: Mapping[str, Any]) -> Document:
    """Return one seed out of several; what is there under the same name or id counts as it is in the first."""
    users: list[Document] = []
    channels: list[Document] = []
    for document in documents:
        for one in document.get("users") or ():
            _add(users, one)
        for one in document.get("channels") or ():
            _add_channel(channels, one)
    return {"users": users, "channels": channels}


def mentioned(event: Mapping[str, Any]) -> Document:
    """Return a seed of what an event speaks of as there: it is the platform's rule that the ids in an event exist.

    A channel without a type is taken for a public one, and a user or channel without a name gets one made of its id.
    """
    found = _Found()
    document = canonical(event)
    found.look_into(document)
    for message in found.messages:  # events about messages alone name no channel
        if isinstance(message.get("channelId"), int):
            _add_channel(found.channels, {"id": message["channelId"]})
    sender = document.get("user")
    for channel in found.channels:
        _complete(channel, found, sender if isinstance(sender, dict) and "invitingUser" not in document else None)
    return {"users": found.users, "channels": found.channels}


class _Found:
    """Collects what is mentioned, each once."""

    def __init__(self) -> None:
        self.users: list[Document] = []
        self.channels: list[Document] = []
        self.messages: list[Document] = []

    def look(self, key: str, one: Any) -> None:
        """Take the value of `key`, and what is inside it."""
        if isinstance(one, list):
            for inner in one:
                self.look(key, inner)
        if not isinstance(one, dict):
            return
        if _is_channel(key, one):
            self._channel(one)
        elif _is_message(key, one):
            self.messages.append(one)
        elif _is_user(key, one):
            _add(self.users, _user(one))
        self.look_into(one)

    def look_into(self, document: Document) -> None:
        """Look at everything in a document but data of the user's own."""
        for name, one in document.items():
            if name not in ("properties", "authParams", "_links"):
                self.look(name, one)

    def _channel(self, one: Document) -> None:
        kept: Document = {
            name: one[name] for name in ("id", "type", "name", "displayName", "properties") if name in one
        }
        if isinstance(one.get("creator"), dict):
            kept["creator"] = _name(one["creator"])
        if isinstance(one.get("members"), list):
            kept["members"] = [_name(member) for member in one["members"] if isinstance(member, dict)]
        _add_channel(self.channels, kept)


def _complete(channel: Document, found: _Found, sender: Document | None) -> None:
    channel.setdefault("type", "PUBLIC")
    direct = channel["type"] == "DIRECT"
    if not direct and not channel.get("name"):
        channel["name"] = f"channel-{channel.get('id', 1)}"
    members = channel.setdefault("members", [])
    if sender is not None and _is_user("user", sender) and (name := _name(sender)) not in members and not direct:
        members.append(name)
    if direct and not members:
        members.extend(user["name"] for user in found.users)
    messages: list[Document] = []
    for message in found.messages:
        belongs = message.get("channelId") in (None, channel.get("id"))
        if belongs and not any(one.get("id") == message.get("id") for one in messages):
            messages.extend(_message(message))
    if messages:
        channel["messages"] = sorted(messages, key=lambda one: one.get("id") or 0)


def _message(one: Document) -> Iterator[Document]:
    made = {name: one[name] for name in ("id", "body", "groupTag", "properties") if one.get(name)}
    if isinstance(one.get("user"), dict):
        made["user"] = _name(one["user"])
    if "body" in made:
        yield made
    elif isinstance(one.get("file"), dict):
        yield {**made, "file": one["file"]}


def _user(one: Document) -> Document:
    return {**{name: one[name] for name in _USER_FIELDS if one.get(name) is not None}, "name": _name(one)}


def _name(user: Document) -> str:
    return str(user.get("name") or f"user-{user.get('id', 1)}")


def _is_user(key: str, one: Document) -> bool:
    by_key = key in _USER_KEYS and ("id" in one or "name" in one)
    return by_key or ("presence" in one and "name" in one)


def _is_channel(key: str, one: Document) -> bool:
    return isinstance(one.get("id"), int) and (key == "channel" or one.get("type") in _CHANNEL_TYPES)


def _is_message(key: str, one: Document) -> bool:
    return (key == "message" and ("body" in one or "file" in one)) or ("channelId" in one and "nestedLevel" in one)


def _add(there: list[Document], one: Mapping[str, Any]) -> None:
    """Add a user unless it is there; one that is there without an id takes this one's."""
    for known in there:
        if known["name"] == one["name"]:
            if "id" not in known and "id" in one and not any(other.get("id") == one["id"] for other in there):
                known["id"] = one["id"]
            return
        if "id" in one and known.get("id") == one["id"]:
            return
    there.append(dict(one))


def _add_channel(there: list[Document], one: Mapping[str, Any]) -> None:
    """Add a channel unless it is there; one that is there takes from this one what it lacks."""
    for known in there:
        same_id = "id" in one and known.get("id") == one["id"]
        same_name = bool(one.get("name")) and known.get("name") == one["name"]
        if same_id or (same_name and not ("id" in one and "id" in known)):
            for name, value in one.items():
                known.setdefault(name, value)
            return
    there.append(dict(one))
