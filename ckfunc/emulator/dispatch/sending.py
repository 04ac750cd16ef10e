"""What follows from a message: it is stored, whoever it concerns is notified, and the events of both are fired."""

from __future__ import annotations

from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.store import channels, functions, messages, notifications
from ckfunc.emulator.store.database import Database
from ckfunc.model.chat import Message, NewMessage, Notification, Thread
from ckfunc.model.user import User
from ckfunc.wire.channels import write_channel
from ckfunc.wire.links import Links
from ckfunc.wire.messages import write_message
from ckfunc.wire.notifications import write_notification
from ckfunc.wire.users import write_user

_SENT = "user.sent.message"
_NOTIFIED = "user.received.notification"


def send(
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
