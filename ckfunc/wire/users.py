"""Users and their sessions, to and from JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.chat import CallStatus, ChatSession, NewUser, Presence, User, UserReference, UserSession, UserType
from ckfunc.wire.links import Links
from ckfunc.wire.reading import (
    Malformed,
    choice,
    fields,
    label,
    optional,
    patched_data,
    required,
    resource,
    user_data,
)

_RELATIONS = {"channels": "channels", "notifications": "notifications", "displayPicture": "display-picture"}


def write_user(user: User, links: Links) -> dict[str, Any]:
    """Return a user as the platform shows it, in canonical spelling."""
    at = f"users/{user.id}"
    relations = {name: f"{at}/{path}" for name, path in _RELATIONS.items()}
    return {**write_embedded_user(user, links), "_links": links.to(self=at, **relations)}


def write_embedded_user(user: User, links: Links) -> dict[str, Any]:
    """Return a user as the platform shows it inside other resources: without links."""
    document: dict[str, Any] = {
        "id": user.id,
        "type": user.type.value,
        "name": user.name,
        "displayName": user.display_name,
        "displayPictureUrl": links.absolute(user.display_picture_url or "") or links.picture(user.display_name),
        "isGuest": user.is_guest,
        "presence": {"status": user.presence.status, "online": user.presence.online},
        "properties": dict(user.properties),
    }
    if user.call_status is not None:
        document["callStatus"] = user.call_status.value
    return document


def read_user(document: Any) -> User:
    """Read a user in either spelling, embedded or not; raises Malformed."""
    data = resource(document, "user")
    presence = resource(required(data, "presence", dict), "presence")
    return User(
        id=required(data, "id", int),
        name=required(data, "name", str),
        display_name=required(data, "displayName", str),
        is_guest=_is_guest(data),
        type=choice(data, "type", UserType),
        presence=Presence(required(presence, "status", str), required(presence, "online", bool)),
        properties=user_data(data),
        display_picture_url=optional(data, "displayPictureUrl", str),
        call_status=choice(data, "callStatus", CallStatus) if data.get("callStatus") is not None else None,
    )


def read_new_user(document: Any) -> NewUser:
    """Read the body that creates a user; raises Malformed."""
    data = resource(document, "user")
    return NewUser(
        name=label(data, "name"),
        display_name=label(data, "displayName"),
        is_guest=_is_guest(data),
        properties=user_data(data),
    )


def patched_user(user: User, patch: Any) -> User:
    """Return `user` with the merge patch `patch` applied; unknown fields are ignored. Raises Malformed."""
    data = fields(patch, "user", keep=("displayName", "isGuest", "guest", "presence"))
    status = user.presence.status
    if "presence" in data:
        presence = fields(data["presence"], "presence", keep=("status",))
        status = label(presence, "status") if "status" in presence else status
    return replace(
        user,
        display_name=label(data, "displayName") if "displayName" in data else user.display_name,
        is_guest=_is_guest(data, user.is_guest),
        presence=replace(user.presence, status=status),
        properties=patched_data(user.properties, data),
    )


def write_secret(secret: Any) -> dict[str, Any]:
    """Return a user's secret, any JSON value, as the platform shows it; names in it keep their spelling."""
    return {"secret": secret}


def read_secret(document: Any) -> Any:
    """Read a user's secret; it is null if the field is missing. Raises Malformed."""
    return resource(document, "secret").get("secret")


def read_reference(document: Any, label: str = "user reference") -> UserReference:
    """Read a request's reference to a user: {id} or {username}; the id takes precedence. Raises Malformed."""
    data = resource(document, label)
    if data.get("id") is not None:
        return UserReference(id=required(data, "id", int))
    if data.get("username") is not None:
        return UserReference(username=required(data, "username", str))
    raise Malformed(f"{label} has neither 'id' nor 'username'")


def _is_guest(data: Mapping[str, Any], default: bool = False) -> bool:
    # Imports and the oldest clients use `guest`. The contract says that the field is required, but the handler in the
    # API document creates users without it.
    values = [required(data, name, bool) for name in ("isGuest", "guest") if data.get(name) is not None]
    return values[0] if values else default


def write_user_session(session: UserSession, links: Links) -> dict[str, Any]:
    """Return a user session as the platform shows it, in canonical spelling."""
    return {**write_embedded_session(session, links), "_links": links.to(user=f"users/{session.user.id}")}


def write_embedded_session(session: UserSession, links: Links) -> dict[str, Any]:
    """Return a user session as the platform shows it inside chat sessions: without links."""
    document: dict[str, Any] = {
        "id": session.id,
        "user": write_embedded_user(session.user, links),
        "state": session.state.value,
        "createdTime": timestamp(session.created_time),
    }
    if session.user_agent is not None:
        document["userAgent"] = session.user_agent
    if session.end_time is not None:
        document["endTime"] = timestamp(session.end_time)
    return document


def write_chat_session(session: ChatSession, links: Links) -> dict[str, Any]:
    """Return a chat session as the platform shows it, in canonical spelling."""
    document: dict[str, Any] = {
        "id": session.id,
        "session": write_embedded_session(session.session, links),
        "state": session.state.value,
        "createdTime": timestamp(session.created_time),
    }
    if session.end_time is not None:
        document["endTime"] = timestamp(session.end_time)
    at = {"session": f"user-sessions/{session.session.id}", "channel": f"channels/{session.channel_id}"}
    return {**document, "_links": links.to(**at)}
