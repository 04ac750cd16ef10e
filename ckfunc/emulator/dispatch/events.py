"""Actions that fire events: send a message, start a session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.emulator.dispatch.dispatcher import Dispatcher, FinishedRun
from ckfunc.emulator.store import application, channels, functions, messages, notifications, users
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Message, NewMessage, Notification, Thread
from ckfunc.model.execution import Determinism
from ckfunc.model.function import ConsoleLine
from ckfunc.model.user import User
from ckfunc.wire.channels import write_channel
from ckfunc.wire.links import Links
from ckfunc.wire.messages import write_message
from ckfunc.wire.notifications import write_notification
from ckfunc.wire.users import write_user

_SENT = "user.sent.message"
_NOTIFIED = "user.received.notification"

START_SESSION = "user.attempted.start_session"


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
    """Send a message from `sender`, or from the system, to an existing channel, or to a thread of it.

    `links` create the addresses in the events; `caller` is the run whose handler sent the message.
    """
    with database.transaction():
        message = messages.create(database, channel_id, new, sender, thread)
        # The channel as it is now, with this message as its last.
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
        return  # A channel can have thousands of members: without a function no event is created.
    for user, notification in notified:
        received = {
            "user": write_user(user, links),
            "notification": write_notification(notification, links),
            "userHasActiveSession": user.presence.online,
        }
        dispatcher.fire(_NOTIFIED, received, caller=caller)


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
