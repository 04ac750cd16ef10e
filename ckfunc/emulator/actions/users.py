"""Change, block and delete users; start and end their sessions; publish typing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Protocol

from ckfunc.base.frozen import frozen
from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.actions.messages import publish_deleted
from ckfunc.emulator.dispatch.dispatcher import Dispatcher, FinishedRun
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store import (
    application,
    channels,
    deletion,
    files,
    memberships,
    messages,
    reading,
    sessions,
    users,
)
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import StoredFile
from ckfunc.emulator.store.steps import Steps
from ckfunc.model.application import ConsoleLine
from ckfunc.model.chat import BlockRecord, Channel, ChatSession, NewUser, User, UserSession
from ckfunc.model.execution import Determinism
from ckfunc.model.triggers import START_SESSION
from ckfunc.wire.channels import write_channel
from ckfunc.wire.clients import client_current_user, client_keystrokes, client_user, client_user_block
from ckfunc.wire.users import write_user

_STARTED = "user.started.chat_session"

TYPING_PAUSE_S = 5.0
"""The time without keystrokes after which a user no longer types. The platform documents none; this one is ours."""

MOST_CHATS = 10
"""The most open chat sessions of one user session. Source: the vendor's documentation of its client."""


@frozen
class SessionDecision:
    """Whether a session may start. `reason` is set if not; `run` is the run of the function, if there is one."""

    allowed: bool
    reason: str | None
    user: User | None
    run: FinishedRun | None


def update(context: ActionContext, user: User, changed: User) -> None:
    """Store a changed user."""
    users.update(context.database, changed)
    _publish(context, changed)
    if changed.presence != user.presence:
        _publish_presence(context, changed)


def set_display_picture(context: ActionContext, user: User, picture: StoredFile | str) -> User:
    """Replace a user's display picture, with a file or with an address; return the changed user."""
    with context.database.transaction():
        stored = picture if isinstance(picture, str) else users.PICTURES + files.add(context.database, picture)
        users.set_display_picture(context.database, user, stored)
    changed = users.by_ids(context.database, [user.id])[user.id]
    _publish(context, changed)
    return changed


def delete(context: ActionContext, user: User) -> Steps:
    """Delete a user with everything that the user has made, in steps."""
    contacts = users.contact_ids(context.database, user.id)
    yield from deletion.delete_user(context.database, user, partial(publish_deleted, context))
    document = client_current_user(user, context.links)
    context.publish_to(user.id, "self", "user.self.deleted", lambda: document)
    if context.actor is not None and context.actor.id != user.id:
        context.publish_to(context.actor.id, "self", "user.self.deleted", lambda: client_user(user, context.links))
    for user_id in contacts:
        context.publish_user(f"users/{user_id}", "contacts", "contact.user.deleted", user)
    context.topics.disconnect(user.id)


def block(context: ActionContext, user: User, blocked: User) -> None:
    """Block a user for another one."""
    record = memberships.USER_BLOCKS.add(context.database, user.id, blocked.id)
    # Clients 1.x take a user as the answer, and clients 2.x listen for a record: one resource has the fields of both.
    write = partial(client_user_block, record, context.links)
    context.publish_to(user.id, "users", "user.user_blocklist_item.created", write)


def unblock(context: ActionContext, record: BlockRecord) -> None:
    """End a block."""
    memberships.USER_BLOCKS.remove(context.database, record.id)
    context.publish_to(record.owner_id, "users", "user.user.unblocked", lambda: client_user(record.user, context.links))


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
        user = users.create(database, NewUser(username, username, is_guest=True))
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
            "channelUnread": reading.has_unread(database, channel.id, user.id),
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


def _publish(context: ActionContext, changed: User) -> None:
    context.publish_to(changed.id, "self", "user.self.updated", lambda: client_current_user(changed, context.links))
    _tell_contacts(context, changed, "contact.user.updated")


def _left(context: ActionContext, channel_id: int, user: User) -> None:
    if not sessions.is_present(context.database, channel_id, user.id):
        context.publish_user(f"channels/{channel_id}", "participants", "channel.participant.inactive", user)


def _presence_changed(context: ActionContext, user: User) -> None:
    """Publish a user's presence, if it is no longer as it was in `user`."""
    now = users.get(context.database, user.id)
    if now is not None and now.presence != user.presence:
        _publish_presence(context, now)


def _publish_presence(context: ActionContext, user: User) -> None:
    """Publish a user's presence to those who share a channel with the user, and in these channels."""
    context.publish_to(user.id, "self", "user.self.updated", lambda: client_current_user(user, context.links))
    _tell_contacts(context, user, "contact.presence.changed")
    for channel_id in users.channel_ids(context.database, user.id):
        context.publish_user(f"channels/{channel_id}", "participants", "participant.presence.changed", user)


def _tell_contacts(context: ActionContext, user: User, event: str) -> None:
    """Publish an event about a user to those who share a channel with the user."""
    for user_id in users.contact_ids(context.database, user.id):
        context.publish_user(f"users/{user_id}", "contacts", event, user)


class PendingCall(Protocol):
    """A call in the future."""

    def cancel(self) -> None:
        """Make sure that the call does not happen."""


class TypingUsers:
    """Users who are typing, each in a thread of a channel. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self.call_later: Callable[..., PendingCall] | None = None
        """Calls a function with arguments after some seconds. Default: that of the event loop."""
        self._ends: dict[tuple[int, int], PendingCall] = {}

    @property
    def user_ids(self) -> Collection[int]:
        """The ids of the users who are typing."""
        return {user_id for user_id, _ in self._ends}

    def type(self, context: ActionContext, user: User, channel_id: int, thread_id: int, keys: str) -> None:
        """Pass on a user's keystrokes. Without any, the user has stopped typing."""
        of = f"channels/{channel_id}"
        context.publish(of, "keystrokes", "thread.keystrokes.created", lambda: client_keystrokes(keys, user, thread_id))
        if not keys:
            self.stop(context, user, channel_id)
            return
        key = user.id, channel_id
        running = self._ends.pop(key, None)
        if running is not None:
            running.cancel()
        else:
            sessions.begin_typing(context.database, user.id, channel_id)
            _publish_typing(context, user, channel_id, "started")
        call_later = self.call_later or asyncio.get_running_loop().call_later
        self._ends[key] = call_later(TYPING_PAUSE_S, self.stop, context, user, channel_id)

    def stop(self, context: ActionContext, user: User, channel_id: int) -> None:
        """Publish that a user has stopped typing in a channel, unless the user did not type."""
        running = self._ends.pop((user.id, channel_id), None)
        if running is not None:
            running.cancel()
            sessions.end_typing(context.database, user.id, channel_id)
            _publish_typing(context, user, channel_id, "stopped")

    def close(self) -> None:
        """Forget all users."""
        for running in self._ends.values():
            running.cancel()
        self._ends.clear()


def _publish_typing(context: ActionContext, user: User, channel_id: int, change: str) -> None:
    context.publish_user(f"channels/{channel_id}", "typing", f"thread.typing.{change}", user)
    for member_id in channels.member_ids(context.database, channel_id):
        if member_id != user.id:
            context.publish_user(f"users/{member_id}", "participants", f"participant.typing.{change}", user)
