"""Jobs and the entries of import files, to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import ChannelType
from ckfunc.model.job import ChannelImport, Job, MemberImport, MessageImport, UserImport
from ckfunc.wire.channels import DIRECT_MEMBERS_LIMIT, MEMBERS_LIMIT
from ckfunc.wire.links import Links
from ckfunc.wire.messages import BODY_LIMIT, read_file
from ckfunc.wire.reading import (
    Malformed,
    choice,
    label,
    optional,
    optional_label,
    required,
    resource,
    user_data,
)
from ckfunc.wire.users import read_new_user


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
        picture_url=None if picture is None else read_file({**picture, "type": None}).url,
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
