"""Pages of users and their sessions: search, create, edit, delete, end."""

from __future__ import annotations

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import users as actions
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Denied, Refused
from ckfunc.emulator.services import EmulatorServices, delete_in_steps
from ckfunc.emulator.store import channels, conversations, sessions, users
from ckfunc.emulator.store.conversations import Listed
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.emulator.ui.pages import back, form_route, page, page_route, posted_object, redirect
from ckfunc.model.chat import SessionState
from ckfunc.wire.users import patched_user, read_new_user

_PAGE_ROWS = 50


def show_users(call: Call, services: EmulatorServices) -> Reply:
    """Show users, or those whose name contains a text."""
    query = (call.first("query") or "")[:200]
    request = PageRequest(call.number("page", 0, least=0), _PAGE_ROWS, users.SORTING.order_by())
    matches = users.search(services.database, request, query)
    return page(call, services, "users", title="Users", matches=matches, query=query)


def show_user(call: Call, services: EmulatorServices) -> Reply:
    """Show a user with a form to edit it, and the user's channels."""
    user = access.user(services.database, call.id())
    request = PageRequest(0, _PAGE_ROWS, channels.SORTING.order_by())
    own = conversations.channels_page(services.database, user.id, Listed.OWN, request)
    return page(call, services, "user", section="users", title=user.display_name, user=user, channels=own)


def create_user(call: Call, services: EmulatorServices) -> Reply:
    """Create a user."""
    form = call.form()
    name = form.get("name", "").strip()
    body = {"name": name, "displayName": form.get("display-name", "").strip() or name, "isGuest": False}
    new = read_new_user(body)
    if users.find_by_name(services.database, new.name) is not None:
        raise Refused(f"the name {new.name[:100]!r} is taken")
    user = users.create(services.database, new)
    return redirect(f"/ui/users/{user.id}")


def edit_user(call: Call, services: EmulatorServices) -> Reply:
    """Change a user's display name, presence status and properties."""
    user = access.user(services.database, call.id())
    form = call.form()
    changed = patched_user(
        patched_user(user, {"properties": None}),
        {"displayName": form.get("display-name", ""), "properties": posted_object(form, "properties")},
    )
    actions.update(services.context(call), user, changed)
    return redirect(f"/ui/users/{user.id}")


async def delete_user(call: Call, services: EmulatorServices) -> Reply:
    """Delete a user with everything that the user has made."""
    user = access.user(services.database, call.id())
    await delete_in_steps(services.database, actions.delete(services.context(call), user))
    return redirect("/ui/users")


def show_sessions(call: Call, services: EmulatorServices) -> Reply:
    """Show user sessions, newest first, with the channels that are open in them."""
    state = call.choice("state", SessionState, any_case=False)
    request = PageRequest(call.number("page", 0, least=0), _PAGE_ROWS, "id DESC")
    session_page = sessions.user_sessions_page(services.database, request, state)
    return page(
        call,
        services,
        "sessions",
        title="Sessions",
        session_page=session_page,
        state=state or "",
        channels={session.id: sessions.channels_of(services.database, session.id) for session in session_page.items},
    )


def end_session(call: Call, services: EmulatorServices) -> Reply:
    """End a user session; a client is disconnected."""
    session = access.existing(sessions.get(services.database, call.id()), "session", call.id())
    connection = services.topics.connections.get(session.id)
    if connection is not None:
        connection.end(Denied("the session was ended in the dashboard"))
    elif session.end_time is None:
        actions.disconnect(services.context(call), session.id, session.user)
    return back(call, "/ui/sessions")


ROUTES = (
    page_route("/ui/users", show_users),
    form_route("/ui/users", create_user),
    page_route("/ui/users/{id}", show_user),
    form_route("/ui/users/{id}", edit_user),
    form_route("/ui/users/{id}/delete", delete_user),
    page_route("/ui/sessions", show_sessions),
    form_route("/ui/sessions/{id}/end", end_session),
)
