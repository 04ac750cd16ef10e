"""User sessions and chat sessions, to and from JSON."""

from __future__ import annotations

from typing import Any

from ckfunc.base.clock import timestamp
from ckfunc.model.user import ChatSession, UserSession
from ckfunc.wire.links import Links, linked_id
from ckfunc.wire.reading import moment, optional, optional_moment, required, resource
from ckfunc.wire.users import read_user, write_embedded_user


def write_user_session(session: UserSession, links: Links) -> dict[str, Any]:
    """Return a user session as the platform shows it on its own, in canonical spelling."""
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
