"""Messages, and what follows from sending one: notifications and events."""

from __future__ import annotations

from datetime import UTC, datetime

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.cursors import cursor_reply, cursor_request
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import MEBIBYTE, Route
from ckfunc.emulator.resources import references
from ckfunc.emulator.resources.services import Services
from ckfunc.emulator.store import functions, messages, notifications, users
from ckfunc.model.channel import Channel
from ckfunc.model.message import Message
from ckfunc.model.notification import Notification
from ckfunc.model.user import User
from ckfunc.wire.channels import write_channel
from ckfunc.wire.messages import patched_message, read_new_message, write_message
from ckfunc.wire.notifications import write_notification
from ckfunc.wire.users import write_user

_NOTIFIED = "user.received.notification"


def list_messages(call: Call, services: Services) -> Reply:
    """Answer with a page of all messages, newest first."""
    return _list(call, services, None)


def list_channel_messages(call: Call, services: Services) -> Reply:
    """Answer with a page of a channel's messages, newest first."""
    return _list(call, services, references.channel(services.database, call.id()))


def send_channel_message(call: Call, services: Services) -> Reply:
    """Send a message to a channel, on behalf of a user or as the system."""
    database = services.database
    channel = references.channel(database, call.id())
    new = read_new_message(call.json())
    sender = None if new.user is None else references.referred_user(database, new.user, "field 'user'")
    with database.transaction():
        message = messages.create(database, channel.id, new, sender)
        # As it is now: with this message as its last.
        channel = references.channel(database, channel.id)
        others = [one for one in users.members(database, channel.id) if sender is None or one.id != sender.id]
        made = notifications.create_for_message(database, channel, message, [one.id for one in others])
    _fire(call, services, channel, message, list(zip(others, made, strict=True)))
    return Reply(write_message(message, call.links))


def retrieve_message(call: Call, services: Services) -> Reply:
    """Answer with a message."""
    return Reply(write_message(references.message(services.database, call.id()), call.links))


def update_message(call: Call, services: Services) -> Reply:
    """Change a message by a merge patch; a new body sets the time of its last edit."""
    found = references.message(services.database, call.id())
    changed = patched_message(found, call.json() if call.body else None, datetime.now(UTC))
    messages.update(services.database, changed)
    return Reply(write_message(changed, call.links))


def _list(call: Call, services: Services, channel: Channel | None) -> Reply:
    username, query = call.first("username"), call.first("query")
    page = messages.page(
        services.database,
        cursor_request(call),
        channel_id=None if channel is None else channel.id,
        username=username,
        query=query,
    )
    items = [write_message(one, call.links) for one in page.items]
    given = (("username", username), ("query", query))
    filters = tuple((name, value) for name, value in given if value is not None)
    return cursor_reply(call, "messages", page, items, filters)


def _fire(
    call: Call, services: Services, channel: Channel, message: Message, notified: list[tuple[User, Notification]]
) -> None:
    """Fire the events of a message that was stored: of its sender, if it has one, and of everybody who was notified."""
    links = call.links
    if message.user is not None:
        sent = {
            "user": write_user(message.user, links),
            "channel": write_channel(channel, links),
            "message": write_message(message, links),
        }
        services.dispatch.fire("user.sent.message", sent, caller=call.caller)
    if functions.find_by_type(services.database, _NOTIFIED) is None:
        return  # a channel can have thousands of members: no event is made for nobody
    for user, notification in notified:
        received = {
            "user": write_user(user, links),
            "notification": write_notification(notification, links),
            "userHasActiveSession": user.presence.online,
        }
        services.dispatch.fire(_NOTIFIED, received, caller=call.caller)


# As many characters as a message may have, each escaped as two halves of a surrogate pair, and as much for the rest.
_BODY_BYTES = 16 * MEBIBYTE

ROUTES = (
    Route("GET", "/messages", list_messages),
    Route("GET", "/messages/{id}", retrieve_message),
    Route("PATCH", "/messages/{id}", update_message, body_bytes=_BODY_BYTES),
    Route("GET", "/channels/{id}/messages", list_channel_messages),
    Route("POST", "/channels/{id}/messages", send_channel_message, body_bytes=_BODY_BYTES),
)
