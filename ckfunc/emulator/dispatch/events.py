"""Actions with events: send a message, start a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.emulator.dispatch.dispatcher import Dispatcher, FinishedRun
from ckfunc.emulator.store import application, channels, functions, messages, notifications, users
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Message, NewMessage, Notification, Thread
from ckfunc.model.execution import Steady
from ckfunc.model.function import ConsoleLine
from ckfunc.model.user import User
from ckfunc.wire.channels import write_channel
from ckfunc.wire.links import Links
from ckfunc.wire.messages import write_message
from ckfunc.wire.notifications import write_notification
from ckfunc.wire.users import write_user

_SENT = "user.sent.message"
_NOTIFIED = "user.received.notification"


def send_message(
    database: Database,
    dispatcher: Dispatcher,
    links: Links,
    channel_id: int,
    new: NewMessage,
    sender: User | None,
    *,
    thread: Thread | None = None,
    caller: int | None = None,
) -> Message:
    """Send a message of `sender`, or of the system, to a channel that exists, or to a thread of it.

    `links` make the addresses in the events; `caller` is the run whose handler sent it.
    """
    with database.transaction():
        message = messages.create(database, channel_id, new, sender, thread)
        # As it is now: with this message as its last.
        channel = channels.by_ids(database, [channel_id])[channel_id]
        notified = notifications.create_for_message(database, channel, message)
    if message.user is not None:
        sent = {
            "user": write_user(message.user, links),
            "channel": write_channel(channel, links),
            "message": write_message(message, links),
        }
        dispatcher.fire(_SENT, sent, caller=caller)
    _fire_notified(database, dispatcher, links, notified, caller)
    return message


def _fire_notified(
    database: Database,
    dispatcher: Dispatcher,
    links: Links,
    notified: tuple[tuple[User, Notification], ...],
    caller: int | None,
) -> None:
    if functions.find_by_type(database, _NOTIFIED) is None:
        return  # a channel can have thousands of members: no event is made for nobody
    for user, notification in notified:
        received = {
            "user": write_user(user, links),
            "notification": write_notification(notification, links),
            "userHasActiveSession": user.presence.online,
        }
        dispatcher.fire(_NOTIFIED, received, caller=caller)


START_SESSION = "user.attempted.start_session"


@dataclass(frozen=True, slots=True)
class SessionDecision:
    """Whether a session may start; `reason` says why not, `user` is who starts it, `run` is the function's, if any."""

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
    steady: Steady | None = None,
) -> SessionDecision:
    """Decide about a session of the event's `username`, before there is one.

    `on_console` and `steady` are as the dispatcher's `run` takes them.

    A throw of the function denies it. Then the user must exist, or is made as a guest where guests are allowed
    (after a function that did not make the user, that is inferred).
    """
    run = await dispatcher.run(START_SESSION, event, on_console=on_console, steady=steady)
    username = event["username"]
    if run is not None and run.outcome.error is not None:
        return SessionDecision(False, run.outcome.error.message, None, run)
    user = users.find_by_name(database, username)
    if user is None and application.settings(database).guest_users:
        user = users.create(database, name=username, display_name=username, is_guest=True)
    if user is None:
        return SessionDecision(False, f"there is no user {username!r}, and guest users are disabled", None, run)
    return SessionDecision(True, None, user, run)
