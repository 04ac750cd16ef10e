"""Jobs, entries of imports, seeds and snapshots, to and from JSON.

A seed is JSON or YAML:

    users:
      - {name: jane@example.com, displayName: Jane, isGuest: false, properties: {}}
    channels:
      - type: PUBLIC
        name: support
        displayName: Support
        members: [jane@example.com]
        messages:
          - {user: jane@example.com, body: Hello}
          - {body: From the system}

Field names may have either spelling. Only the name of a user and the name of a channel are required; for a direct
channel, its members instead. Users, channels and messages may have an `id`; otherwise they get the next free one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import ChannelType
from ckfunc.model.job import (
    ChannelImport,
    DataSnapshot,
    Job,
    MemberImport,
    MessageImport,
    Seed,
    SeedChannel,
    Seeded,
    SeedMessage,
    SeedUser,
    UserImport,
)
from ckfunc.wire.channels import DIRECT_MEMBERS_LIMIT, MEMBERS_LIMIT, read_new_channel
from ckfunc.wire.links import Links
from ckfunc.wire.messages import BODY_LIMIT, read_external_file, read_new_message
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
from ckfunc.wire.users import read_new_user

if TYPE_CHECKING:
    from ckfunc.model.outputs import SeededJson, SnapshotJson


T = TypeVar("T")


def write_job(job: Job, links: Links) -> dict[str, Any]:
    """Return a job as the platform shows it, in canonical spelling."""
    document: dict[str, Any] = {
        "id": job.id,
        "type": job.type.value,
        "state": job.state.value,
        "createdTime": timestamp(job.created_time),
    }
    if job.ended_time is not None:
        document["endedTime"] = timestamp(job.ended_time)
    if job.file is not None:
        document["file"] = links.absolute(job.file)
    return {**document, "_links": links.to(self=f"jobs/{job.id}")}


def read_user_import(document: Any) -> UserImport:
    """Read a user to import; raises Malformed."""
    data = resource(document, "user")
    new = read_new_user(data)
    picture = optional(data, "displayPicture", dict)
    return UserImport(
        name=new.name,
        display_name=new.display_name,
        is_guest=new.is_guest,
        picture_url=None if picture is None else read_external_file(picture).url,
        properties=new.properties,
        key=_key(data),
    )


def read_channel_import(document: Any) -> ChannelImport:
    """Read a channel to import; a direct channel must have members. Raises Malformed."""
    data = resource(document, "channel")
    kind = choice(data, "type", ChannelType)
    direct = kind is ChannelType.DIRECT
    names = required(data, "members", list) if direct else optional(data, "members", list) or []
    if not all(isinstance(name, str) for name in names):
        raise Malformed("field 'members' is not a list of usernames")
    if direct and not names:
        raise Malformed("field 'members' is empty, but a direct channel needs members")
    creator = optional_label(data, "creator")
    # The creator of a channel is a member of it.
    members = tuple(dict.fromkeys(names if creator is None else [*names, creator]))
    limit = DIRECT_MEMBERS_LIMIT if direct else MEMBERS_LIMIT
    if len(members) > limit:
        raise Malformed(f"the channel has {len(members)} members; at most {limit} are allowed")
    return ChannelImport(
        type=kind,
        name=None if direct else optional_label(data, "name"),
        display_name=None if direct else optional_label(data, "displayName"),
        creator=creator,
        members=members,
        properties=user_data(data),
        key=_key(data),
    )


def read_member_import(document: Any) -> MemberImport:
    """Read a member to import; raises Malformed."""
    data = resource(document, "member")
    return MemberImport(required(data, "username", str), _key(data))


def read_message_import(document: Any) -> MessageImport:
    """Read a message to import: TEXT with `user`, or SYSTEM_TEXT. Raises Malformed."""
    data = resource(document, "message")
    kind = required(data, "type", str)
    if kind not in ("TEXT", "SYSTEM_TEXT"):
        raise Malformed(f"field 'type' is {kind[:50]!r}, not one of TEXT, SYSTEM_TEXT")
    return MessageImport(
        channel_id=required(data, "channelId", int),
        body=label(data, "body", limit=BODY_LIMIT),
        username=required(data, "user", str) if kind == "TEXT" else None,
        group_tag=optional_label(data, "groupTag"),
        properties=user_data(data),
        key=_key(data),
    )


def _key(data: Mapping[str, Any]) -> str | None:
    """Read the idempotency key, which the vendor's oldest client calls `id`."""
    return optional_label(data, "idempotencyKey") or optional_label(data, "id")


Place = tuple[str | int, ...]
"""A place in a seed: keys and indexes, outermost first."""

_SEED = ("users", "channels")
_USER = ("id", "name", "displayName", "isGuest", "guest", "properties")
_CHANNEL = ("id", "type", "name", "displayName", "creator", "members", "properties", "messages")
_MESSAGE = ("id", "user", "body", "file", "groupTag", "properties")


class MalformedSeed(Malformed):
    """A seed has an error: `mistake` describes it, `place` locates it."""

    def __init__(self, place: Place, mistake: str) -> None:
        super().__init__(f"{place_text(place)}: {mistake}" if place else mistake)
        self.place = place
        self.mistake = mistake


def place_text(place: Place) -> str:
    """Return a place as text, such as channels[2].members."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def read_seed(document: Any) -> Seed:
    """Read a seed; raises MalformedSeed for its first error."""
    data = _fields(document, (), "the seed", _SEED)
    users = _each(data, "users", (), _user)
    channels = _each(data, "channels", (), _channel)
    seen: set[str] = set()
    for index, user in enumerate(users):
        if user.name in seen:
            raise MalformedSeed(("users", index), f"duplicate user {user.name!r}")
        seen.add(user.name)
    _require_unique_ids((("users", index), user.id) for index, user in enumerate(users))
    _require_unique_ids((("channels", index), channel.id) for index, channel in enumerate(channels))
    _require_unique_ids(
        (("channels", number, "messages", index), message.id)
        for number, channel in enumerate(channels)
        for index, message in enumerate(channel.messages)
    )
    return Seed(users, channels)


def write_seeded(seeded: Seeded) -> SeededJson:
    """Return the numbers of added rows."""
    return {
        "users": seeded.users,
        "channels": seeded.channels,
        "members": seeded.members,
        "messages": seeded.messages,
    }


def read_seeded(document: Any) -> Seeded:
    """Read the numbers of added rows; raises Malformed."""
    data = resource(document, "the answer")
    return Seeded(*(required(data, name, int) for name in ("users", "channels", "members", "messages")))


def write_snapshot(snapshot: DataSnapshot) -> SnapshotJson:
    """Return a snapshot as JSON."""
    return {
        "name": snapshot.name,
        "createdTime": timestamp(snapshot.created_time),
        "sizeBytes": snapshot.size_bytes,
    }


def read_snapshot(document: Any) -> DataSnapshot:
    """Read a snapshot; raises Malformed."""
    data = resource(document, "the snapshot")
    return DataSnapshot(required(data, "name", str), moment(data, "createdTime"), required(data, "sizeBytes", int))


def _user(document: Any, place: Place) -> SeedUser:
    data = _fields(document, place, "a user", _USER)
    new = _at(place, read_new_user, {"displayName": data.get("name"), **data})
    return SeedUser(new.name, new.display_name, new.is_guest, new.properties, _id(data, place))


def _channel(document: Any, place: Place) -> SeedChannel:
    data = _fields(document, place, "a channel", _CHANNEL)
    data = {"type": ChannelType.PUBLIC.value, **data}
    for name in ("creator", "members"):
        data[name] = _as_reference(data.get(name))
    messages = _each(data, "messages", place, _message)
    channel = _at(place, read_new_channel, data)
    if channel.type is not ChannelType.DIRECT and channel.name is None:
        # With a random name, each seeding would create another channel.
        raise MalformedSeed(place, "field 'name' is missing")
    return SeedChannel(channel, messages, _id(data, place))


def _message(document: Any, place: Place) -> SeedMessage:
    data = _fields(document, place, "a message", _MESSAGE)
    if ("file" in data) == ("body" in data):
        raise MalformedSeed(place, "a message has either 'body' or 'file'")
    kind = "FILE" if "file" in data else "TEXT"
    new = _at(place, read_new_message, {**data, "type": kind, "user": _as_reference(data.get("user"))})
    return SeedMessage(new.body, new.file, new.user, new.group_tag, new.properties, _id(data, place))


def _id(data: Mapping[str, Any], place: Place) -> int | None:
    number = _at(place, lambda fields: optional(fields, "id", int), data)
    if number is not None and number < 1:
        raise MalformedSeed((*place, "id"), "an id must be at least 1")
    return number


def _require_unique_ids(ids: Iterable[tuple[Place, int | None]]) -> None:
    seen: set[int] = set()
    for place, number in ids:
        if number is not None and number in seen:
            raise MalformedSeed((*place, "id"), f"duplicate id {number}")
        seen.add(number or 0)


def _as_reference(reference: Any) -> Any:
    """Convert names of users to references."""
    if isinstance(reference, list):
        return [_as_reference(item) for item in reference]
    return {"username": reference} if isinstance(reference, str) else reference


def _fields(document: Any, place: Place, label: str, known: tuple[str, ...]) -> dict[str, Any]:
    data = dict(_at(place, lambda value: resource(value, label), document))
    for name in data:
        if name not in known:
            raise MalformedSeed(
                (*place, str(name)), f"{label} has no field {str(name)[:60]!r}, only {', '.join(known)}"
            )
    return data


def _each(data: Mapping[str, Any], name: str, place: Place, read: Callable[[Any, Place], T]) -> tuple[T, ...]:
    entries = _at(place, lambda fields: optional(fields, name, list), data) or []
    return tuple(read(entry, (*place, name, index)) for index, entry in enumerate(entries))


def _at(place: Place, read: Callable[[Any], T], document: Any) -> T:
    """Return `read(document)`; add `place` to its error."""
    try:
        return read(document)
    except MalformedSeed:
        raise
    except Malformed as error:
        raise MalformedSeed(place, str(error)) from None
