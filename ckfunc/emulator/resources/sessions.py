"""User sessions and chat sessions, and controls that open and close them."""

from __future__ import annotations

from typing import TypeVar

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import sessions as actions
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import page_request
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import sessions
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.model.chat import SessionState, UserReference
from ckfunc.model.page import Page
from ckfunc.wire.links import write_page
from ckfunc.wire.reading import required, resource
from ckfunc.wire.users import write_chat_session, write_user_session

T = TypeVar("T")

CONTROLLED = "ckfunc"
"""The user agent of a session opened by a control."""


def list_user_sessions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the user sessions: all, or those in a state."""
    request = page_request(call, sessions.USER_SESSIONS_SORTABLE, "user_sessions.id ASC")
    page = sessions.user_sessions_page(services.database, request, _state(call))
    return _page_reply(call, page, [write_user_session(session, call.links) for session in page.items], request)


def list_chat_sessions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the chat sessions: all, or those in a state."""
    request = page_request(call, sessions.CHAT_SESSIONS_SORTABLE, "chat_sessions.id ASC")
    page = sessions.chat_sessions_page(services.database, request, _state(call))
    return _page_reply(call, page, [write_chat_session(session, call.links) for session in page.items], request)


def open_chat_session(call: Call, services: EmulatorServices) -> Reply:
    """Let a user open a channel, as a client does: the event is fired, and messages there no longer notify the user.

    The user connects for it, unless there is an open session already.
    """
    database = services.database
    body = resource(call.json(), "session")
    user = access.referred_user(database, UserReference(username=required(body, "username", str)), "'username'")
    channel = access.channel(database, required(body, "channelId", int))
    context = services.context(call)
    session_id = sessions.open_session_of(database, user.id)
    if session_id is None:
        session_id = actions.connect(context, user, CONTROLLED)
    return Reply(write_chat_session(actions.open_chat(context, session_id, user, channel), call.links))


def close_chat_session(call: Call, services: EmulatorServices) -> Reply:
    """Let a user leave a channel; a session opened by a control ends with its last channel."""
    database = services.database
    found = sessions.get_chat(database, call.id())
    if found is None:
        raise Missing(f"there is no chat session {call.id()}")
    context = services.context(call)
    actions.close_chat(context, found)
    if found.session.user_agent == CONTROLLED and not sessions.open_chats(database, found.session.id):
        actions.disconnect(context, found.session.id, found.session.user)
    closed = sessions.get_chat(database, found.id)
    assert closed is not None  # noqa: S101 - it was found above
    return Reply(write_chat_session(closed, call.links))


def _state(call: Call) -> SessionState | None:
    text = call.first("state")
    if not text:
        return None
    try:
        return SessionState(text.upper())
    except ValueError:
        raise Refused(f"query parameter 'state' is {text[:60]!r}, not one of {', '.join(SessionState)}") from None


def _page_reply(call: Call, page: Page[T], items: list[dict[str, object]], request: PageRequest) -> Reply:
    # Unlike all other lists, these two have page links without the application.
    href = f"{call.links.base}/v1{call.path}"
    filters = tuple(pair for pair in call.query() if pair[0] == "state")
    return Reply(write_page("sessions", page, items, href, (*filters, *request.query)))


ROUTES = (
    Route("GET", "/user-sessions", list_user_sessions),
    Route("GET", "/chat-sessions", list_chat_sessions),
    Route("POST", "/emulator/sessions", open_chat_session, Access.CONTROL),
    Route("DELETE", "/emulator/sessions/{id}", close_chat_session, Access.CONTROL),
)
