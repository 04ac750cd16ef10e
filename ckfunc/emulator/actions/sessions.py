"""Start and end user sessions and chat sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.dispatch.dispatcher import Dispatcher, FinishedRun
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store import application, messages, receipts, sessions, users
from ckfunc.emulator.store.database import Database
from ckfunc.model.application import ConsoleLine
from ckfunc.model.chat import Channel, ChatSession, User, UserSession
from ckfunc.model.execution import Determinism
from ckfunc.model.triggers import START_SESSION
from ckfunc.wire.channels import write_channel
from ckfunc.wire.clients import client_current_user
from ckfunc.wire.users import write_user

_STARTED = "user.started.chat_session"

MOST_CHATS = 10
"""The most open chat sessions of one user session. Source: the vendor's documentation of its client."""


@dataclass(frozen=True, slots=True)
class SessionDecision:
    """Whether a session may start. `reason` is set if not; `run` is the run of the function, if there is one."""

    allowed: bool
    reason: str | None
    user: User | None
    run: FinishedRun | None


async def attempt_start_session(
    database: Database,
    dispatcher: Dispatcher,
    event: Mapping[str, Any],
    *,
    on_console: Callable[[ConsoleLine], None] | None = None,
    determinism: Determinism | None = None,
) -> SessionDecision:
    """Decide whether a session of the event's `username` may start.

    `on_console` and `determinism` are passed to the dispatcher's `run`.

    A function that throws denies the session. Otherwise the user must exist, or is created as a guest if guests are
    allowed (for a function that did not create the user, this is inferred).
    """
    run = await dispatcher.run(START_SESSION, event, on_console=on_console, determinism=determinism)
    username = event["username"]
    if run is not None and run.outcome.error is not None:
        return SessionDecision(False, run.outcome.error.message, None, run)
    user = users.find_by_name(database, username)
    if user is None and application.settings(database).guest_users:
        user = users.create(database, name=username, display_name=username, is_guest=True)
    if user is None:
        return SessionDecision(False, f"there is no user {username!r}, and guest users are disabled", None, run)
    return SessionDecision(True, None, user, run)


def connect(context: ActionContext, user: User, user_agent: str | None, token: str | None = None) -> int:
    """Open a user session, and return its id. A client that has the token can continue the session later."""
    session_id = sessions.open_session(context.database, user.id, user_agent, token)
    _presence_changed(context, user)
    return session_id


def reconnect(context: ActionContext, session: UserSession) -> None:
    """Continue a user session, whether it had ended or not."""
    sessions.continue_session(context.database, session)
    _presence_changed(context, session.user)


def disconnect(context: ActionContext, session_id: int, user: User) -> None:
    """End a user session with its chat sessions."""
    database = context.database
    before = sessions.channels_of(database, session_id)
    sessions.close_session(database, session_id)
    for channel_id in before:
        _left(context, channel_id, user)
    _presence_changed(context, user)


def open_chat(context: ActionContext, session_id: int, user: User, channel: Channel) -> ChatSession:
    """Open a chat session of a user in a channel, within an open user session. Raises Refused."""
    database, links = context.database, context.links
    if sessions.open_chats(database, session_id) >= MOST_CHATS:
        raise Refused(f"a device has at most {MOST_CHATS} open chat sessions; end another one first")
    present = sessions.is_present(database, channel.id, user.id)
    opened = sessions.start_chat(database, session_id, channel.id)
    context.fire(
        _STARTED,
        lambda: {
            "user": write_user(opened.session.user, links),
            "channel": write_channel(channel, links),
            "channelUnread": receipts.has_unread(database, channel.id, user.id),
            "channelMessagesCount": messages.count_in_channel(database, channel.id),
        },
    )
    if not present:
        context.publish_user(f"channels/{channel.id}", "participants", "channel.participant.active", user)
    return opened


def close_chat(context: ActionContext, chat: ChatSession) -> None:
    """End a chat session."""
    sessions.end_chat(context.database, chat.id)
    _left(context, chat.channel_id, chat.session.user)


def _left(context: ActionContext, channel_id: int, user: User) -> None:
    if not sessions.is_present(context.database, channel_id, user.id):
        context.publish_user(f"channels/{channel_id}", "participants", "channel.participant.inactive", user)


def _presence_changed(context: ActionContext, user: User) -> None:
    """Publish a user's presence, if it is no longer as it was in `user`."""
    now = users.get(context.database, user.id)
    if now is not None and now.presence != user.presence:
        publish_presence(context, now)


def publish_presence(context: ActionContext, user: User) -> None:
    """Publish a user's presence to those who share a channel with the user, and in these channels."""
    context.publish_to(user.id, "self", "user.self.updated", lambda: client_current_user(user, context.links))
    tell_contacts(context, user, "contact.presence.changed")
    for channel_id in users.channel_ids(context.database, user.id):
        context.publish_user(f"channels/{channel_id}", "participants", "participant.presence.changed", user)


def tell_contacts(context: ActionContext, user: User, event: str) -> None:
    """Publish an event about a user to those who share a channel with the user."""
    for user_id in users.contact_ids(context.database, user.id):
        context.publish_user(f"users/{user_id}", "contacts", event, user)
