"""The page of sessions: who is connected, since when, with which client."""

from __future__ import annotations

from ckfunc.emulator.actions import sessions as actions
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Denied, Missing, Refused
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import sessions
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.ui.forms import back, form_route, page_route
from ckfunc.emulator.ui.rendering import page
from ckfunc.model.user import SessionState

_PAGE_SESSIONS = 50


def show_sessions(call: Call, services: EmulatorServices) -> Reply:
    """Show user sessions, newest first, with the channels that are open in them."""
    state = call.first("state") or ""
    if state and state not in list(SessionState):
        raise Refused(f"query parameter 'state' is {state[:60]!r}, not one of {', '.join(SessionState)}")
    request = PageRequest(call.number("page", 0, least=0), _PAGE_SESSIONS, "id DESC")
    found = sessions.user_sessions_page(services.database, request, SessionState(state) if state else None)
    return page(
        call,
        services,
        "sessions",
        section="sessions",
        title="Sessions",
        found=found,
        state=state,
        channels={one.id: sessions.channels_of(services.database, one.id) for one in found.items},
    )


def end_session(call: Call, services: EmulatorServices) -> Reply:
    """End a user session; a client is disconnected."""
    session = sessions.get(services.database, call.id())
    if session is None:
        raise Missing(f"there is no session {call.id()}")
    connection = services.topics.connections.get(session.id)
    if connection is not None:
        connection.end(Denied("the session was ended in the dashboard"))
    elif session.end_time is None:
        actions.disconnect(services.context(call), session.id, session.user)
    return back(call, "/ui/sessions")


ROUTES = (
    page_route("/ui/sessions", show_sessions),
    form_route("/ui/sessions/{id}/end", end_session),
)
