"""Users, with their channels, messages, notifications, secrets and sessions."""

from __future__ import annotations

from typing import TypeVar

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import users as actions
from ckfunc.emulator.http.bodies import UPLOAD_BYTES
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import (
    Write,
    cursor_reply,
    cursor_request,
    page_reply,
    page_request,
    property_conditions,
)
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices, delete_in_steps, result_of
from ckfunc.emulator.store import application, channels, messages, notifications, reading, sessions, users
from ckfunc.emulator.store.steps import run
from ckfunc.model.chat import SessionState, UserReference
from ckfunc.model.page import Page
from ckfunc.wire.applications import write_application
from ckfunc.wire.channels import write_channel, write_notification
from ckfunc.wire.messages import read_external_file, write_message
from ckfunc.wire.reading import NAME_LIMIT, required, resource
from ckfunc.wire.users import (
    patched_user,
    read_new_user,
    read_secret,
    write_chat_session,
    write_secret,
    write_user,
    write_user_session,
)

T = TypeVar("T")

_UNREAD = {None: "TRUE", True: reading.HAS_UNREAD, False: f"NOT {reading.HAS_UNREAD}"}

CONTROLLED = "ckfunc"
"""The user agent of a session opened by a control."""


async def list_users(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of users: of that name, with such properties, with or without unread messages."""
    searching = users.page(
        services.database,
        page_request(call, users.SORTING),
        name=call.first("name"),
        properties=property_conditions(call),
        condition=_UNREAD[call.flag("unread")],
    )
    page = await result_of(searching)
    return page_reply(call, "users", page, write_user, call.pairs("name", "properties", "unread"))


def check_user_exists(call: Call, services: EmulatorServices) -> Reply:
    """Answer 200 or 404, without a body, depending on whether a user of that name exists."""
    name = call.first("name")
    if not name:
        raise Refused("query parameter 'name' is missing")
    access.existing(users.find_by_name(services.database, name), "user", repr(name[:100]))
    return Reply()


def create_user(call: Call, services: EmulatorServices) -> Reply:
    """Create a person; the name must be free."""
    new = read_new_user(call.json())
    if users.find_by_name(services.database, new.name) is not None:
        raise Refused(f"field 'name' is {new.name[:100]!r}, but another user already has that name")
    return Reply(write_user(users.create(services.database, new), call.links))


def retrieve_user(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a user."""
    return Reply(write_user(access.user(services.database, call.id()), call.links))


def update_user(call: Call, services: EmulatorServices) -> Reply:
    """Change a user by a merge patch."""
    user = access.user(services.database, call.id())
    changed = patched_user(user, call.json() if call.body else None)
    actions.update(services.context(call), user, changed)
    return Reply(write_user(changed, call.links))


async def delete_user(call: Call, services: EmulatorServices) -> Reply:
    """Delete a user with everything that the user has made, and answer with the application."""
    user = access.user(services.database, call.id())
    await delete_in_steps(services.database, actions.delete(services.context(call), user))
    return Reply(write_application(application.get(services.database), call.links))


def update_user_display_picture(call: Call, services: EmulatorServices) -> Reply:
    """Replace a user's display picture, with an uploaded one or one hosted elsewhere."""
    user = access.user(services.database, call.id())
    picture = call.upload() if call.is_multipart else read_external_file(call.json()).url
    return Reply(write_user(actions.set_display_picture(services.context(call), user, picture), call.links))


def list_user_channels(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a user's channels."""
    user = access.user(services.database, call.id())
    page = run(channels.page(services.database, page_request(call, channels.SORTING), member_id=user.id))
    return page_reply(call, "channels", page, write_channel)


def list_user_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the messages that a user has sent; with `unread`, of those that the user has not read.

    The platform documents both filters, and not their combination. A user's own messages are never unread, so the
    filter selects the messages that the unread count counts.
    """
    user = access.user(services.database, call.id())
    unread = call.flag("unread")
    if unread:
        page = reading.unread_page(services.database, user.id, cursor_request(call))
    else:
        page = run(messages.page(services.database, cursor_request(call), username=user.name))
    return cursor_reply(call, "messages", page, write_message, (("unread", "true"),) if unread else ())


def count_user_unread_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the number of unread messages in a user's channels."""
    user = access.user(services.database, call.id())
    return Reply({"count": reading.unread_count(services.database, user.id)})


def list_user_notifications(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a user's notifications, newest first."""
    user = access.user(services.database, call.id())
    page = notifications.page(services.database, user.id, cursor_request(call))
    return cursor_reply(call, "notifications", page, write_notification)


def retrieve_user_secret(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a user's secret of that name."""
    user = access.user(services.database, call.id())
    secret = users.get_secret(services.database, user.id, _secret_name(call))
    if secret is None:
        raise Missing(f"user {user.id} has no secret {_secret_name(call)[:100]!r}")
    return Reply(write_secret(secret[0]))


def set_user_secret(call: Call, services: EmulatorServices) -> Reply:
    """Store a user's secret, any JSON value, in place of the previous one; answer with the user."""
    user = access.user(services.database, call.id())
    users.put_secret(services.database, user.id, _secret_name(call), read_secret(call.json()))
    return Reply(write_user(user, call.links))


def remove_user_secret(call: Call, services: EmulatorServices) -> Reply:
    """Delete a user's secret, and answer with the user."""
    user = access.user(services.database, call.id())
    if not users.remove_secret(services.database, user.id, _secret_name(call)):
        raise Missing(f"user {user.id} has no secret {_secret_name(call)[:100]!r}")
    return Reply(write_user(user, call.links))


def list_user_sessions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the user sessions: all, or those in a state."""
    request = page_request(call, sessions.USER_SESSIONS_SORTING)
    page = sessions.user_sessions_page(services.database, request, call.choice("state", SessionState))
    return _sessions_reply(call, page, write_user_session)


def list_chat_sessions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the chat sessions: all, or those in a state."""
    request = page_request(call, sessions.CHAT_SESSIONS_SORTING)
    page = sessions.chat_sessions_page(services.database, request, call.choice("state", SessionState))
    return _sessions_reply(call, page, write_chat_session)


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
    chat_session = access.existing(sessions.get_chat(database, call.id()), "chat session", call.id())
    context = services.context(call)
    actions.close_chat(context, chat_session)
    if chat_session.session.user_agent == CONTROLLED and not sessions.open_chats(database, chat_session.session.id):
        actions.disconnect(context, chat_session.session.id, chat_session.session.user)
    closed = sessions.get_chat(database, chat_session.id)
    assert closed is not None  # noqa: S101 - it was found above
    return Reply(write_chat_session(closed, call.links))


def _secret_name(call: Call) -> str:
    name = call.parameters["name"]
    if len(name) > NAME_LIMIT:
        raise Refused(f"the secret's name has {len(name)} characters; at most {NAME_LIMIT} are allowed")
    return name


def _sessions_reply(call: Call, page: Page[T], write: Write[T]) -> Reply:
    # Unlike all other lists, these two have page links without the application.
    href = f"{call.links.base}/v1{call.path}"
    return page_reply(call, "sessions", page, write, call.pairs("state"), href)


ROUTES = (
    Route("GET", "/users", list_users),
    Route("HEAD", "/users", check_user_exists),
    Route("POST", "/users", create_user),
    Route("GET", "/users/{id}", retrieve_user),
    Route("PATCH", "/users/{id}", update_user),
    Route("DELETE", "/users/{id}", delete_user),
    Route(
        "POST", "/users/{id}/display-picture", update_user_display_picture, body_bytes=UPLOAD_BYTES, stores_file=True
    ),
    Route("GET", "/users/{id}/channels", list_user_channels),
    Route("GET", "/users/{id}/messages", list_user_messages),
    Route("GET", "/users/{id}/messages/unread/count", count_user_unread_messages),
    Route("GET", "/users/{id}/notifications", list_user_notifications),
    Route("GET", "/users/{id}/secrets/{name}", retrieve_user_secret),
    Route("PUT", "/users/{id}/secrets/{name}", set_user_secret),
    Route("DELETE", "/users/{id}/secrets/{name}", remove_user_secret),
    Route("GET", "/user-sessions", list_user_sessions),
    Route("GET", "/chat-sessions", list_chat_sessions),
    Route("POST", "/emulator/sessions", open_chat_session, Access.CONTROL),
    Route("DELETE", "/emulator/sessions/{id}", close_chat_session, Access.CONTROL),
)
