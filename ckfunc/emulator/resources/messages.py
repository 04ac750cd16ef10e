"""Messages, threads and receipts; keystrokes and custom events of channels."""

from __future__ import annotations

from dataclasses import replace

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import messages as actions
from ckfunc.emulator.actions.channels import trigger_event
from ckfunc.emulator.actions.messages import read_upload, stored
from ckfunc.emulator.http.bodies import UPLOAD_BYTES
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import cursor_reply, cursor_request, page_reply, page_request
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.services import EmulatorServices, delete_in_steps, result_of
from ckfunc.emulator.store import application, channels, messages, reading
from ckfunc.model.chat import Channel, Thread
from ckfunc.wire.applications import write_application
from ckfunc.wire.channels import (
    read_event,
    read_new_keystrokes,
    write_keystrokes,
    write_receipt,
    write_thread,
    write_unread_summary,
)
from ckfunc.wire.messages import patched_message, read_new_message, write_message

_BODY_BYTES = UPLOAD_BYTES
"""The largest body that sends a message: a file and its form, and more than enough for the longest text."""

QUERY_LIMIT = 4096
"""The longest text to search for, in characters. The platform documents no limit; SQLite's is 50,000 bytes."""


async def list_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of all messages, newest first."""
    return await _page_of(call, services)


async def list_channel_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's messages, newest first, replies included."""
    return await _page_of(call, services, channel=access.channel(services.database, call.id()))


def list_channel_reported_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's reported messages."""
    channel = access.channel(services.database, call.id())
    page = reading.reported_page(services.database, channel.id, page_request(call, messages.SORTING))
    return page_reply(call, "messages", page, write_message)


def send_channel_message(call: Call, services: EmulatorServices) -> Reply:
    """Send a message to a channel, on behalf of a user or as the system."""
    return _send(call, services, access.channel(services.database, call.id()).id)


def retrieve_message(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a message."""
    return Reply(write_message(access.message(services.database, call.id()), call.links))


async def delete_message(call: Call, services: EmulatorServices) -> Reply:
    """Delete a message with its replies, and answer with the thread that it was in."""
    message = access.message(services.database, call.id())
    thread = channels.thread_of(services.database, message)
    await delete_in_steps(services.database, actions.delete(services.context(call), message))
    return Reply(write_thread(thread, call.links))


async def delete_messages(call: Call, services: EmulatorServices) -> Reply:
    """Delete every message of the application, and answer with it."""
    await delete_in_steps(services.database, actions.delete_all(services.context(call)))
    return Reply(write_application(application.get(services.database), call.links))


def update_message(call: Call, services: EmulatorServices) -> Reply:
    """Change a message by a merge patch; a new body sets the time of its last edit."""
    message = access.message(services.database, call.id())
    changed = patched_message(message, call.json() if call.body else None, services.database.now())
    return Reply(write_message(actions.update(services.context(call), changed), call.links))


def list_message_read_receipts(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a message's read receipts."""
    message = access.message(services.database, call.id())
    page = reading.receipts_page(services.database, message.id, page_request(call, reading.RECEIPTS_SORTING))
    return page_reply(call, "receipts", page, write_receipt)


def retrieve_application_message_read_receipt_summaries(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the numbers of unread messages, for each member of each channel."""
    page = reading.summaries_page(services.database, page_request(call, reading.SUMMARIES_SORTING))
    return page_reply(call, "summaries", page, write_unread_summary)


def retrieve_thread(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a thread; a message and the thread of its replies share their id."""
    return Reply(write_thread(access.thread(services.database, call.id()), call.links))


async def list_thread_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a thread's messages, newest first."""
    return await _page_of(call, services, thread=access.thread(services.database, call.id()))


def send_thread_message(call: Call, services: EmulatorServices) -> Reply:
    """Reply in a thread, on behalf of a user or as the system."""
    thread = access.thread(services.database, call.id())
    access.check_depth(services.database, thread)
    return _send(call, services, thread.channel_id, thread)


def send_thread_keystrokes(call: Call, services: EmulatorServices) -> Reply:
    """Send keystrokes in a thread on behalf of a user. They are passed on and not stored."""
    return _keystrokes(call, services, access.thread(services.database, call.id()))


def send_channel_keystrokes(call: Call, services: EmulatorServices) -> Reply:
    """Send keystrokes in a channel on behalf of a user. They are passed on and not stored."""
    channel = access.channel(services.database, call.id())
    return _keystrokes(call, services, channels.main_thread(services.database, channel.id))


def send_channel_event(call: Call, services: EmulatorServices) -> Reply:
    """Send a custom event to a channel. It is passed on and not stored."""
    channel = access.channel(services.database, call.id())
    return Reply(trigger_event(services.context(call), channel, read_event(call.json())))


async def _page_of(
    call: Call, services: EmulatorServices, *, channel: Channel | None = None, thread: Thread | None = None
) -> Reply:
    """Answer with a page of messages: all, a channel's or a thread's."""
    # The platform's lists of threads have no filters.
    username, query = (call.first("username"), call.first("query")) if thread is None else (None, None)
    if query is not None and len(query) > QUERY_LIMIT:
        raise Refused(f"query parameter 'query' has {len(query)} characters; at most {QUERY_LIMIT} are allowed")
    searching = messages.page(
        services.database,
        cursor_request(call),
        channel_id=None if channel is None else channel.id,
        thread=thread,
        username=username,
        query=query,
    )
    page = await result_of(searching)
    parameters = (("username", username), ("query", query))
    filters = tuple((name, value) for name, value in parameters if value is not None)
    return cursor_reply(call, "messages", page, write_message, filters)


def _send(call: Call, services: EmulatorServices, channel_id: int, thread: Thread | None = None) -> Reply:
    """Send the message in a request's body to a channel, or to a thread of it, and answer with it."""
    database = services.database
    file = None
    if call.is_multipart:
        new, file = read_upload(call)
        if thread is not None:  # the platform's form for threads has no field `username`, unlike the one for channels
            new = replace(new, user=None)
    else:
        new = read_new_message(call.json())
    field = "field 'user'" if file is None else "field 'username'"
    sender = None if new.user is None else access.referred_user(database, new.user, field)
    if file is not None:
        new = stored(database, new, file)
    message = actions.send(services.context(call), channel_id, new, sender, thread)
    return Reply(write_message(message, call.links))


def _keystrokes(call: Call, services: EmulatorServices, thread: Thread) -> Reply:
    new = read_new_keystrokes(call.json())
    user = access.referred_user(services.database, new.user, "field 'user'")
    services.typing.type(services.context(call), user, thread.channel_id, thread.id, new.keys)
    return Reply(write_keystrokes(new.keys, user, thread.channel_id, call.links))


ROUTES = (
    Route("GET", "/messages", list_messages),
    Route("DELETE", "/messages", delete_messages),
    Route("GET", "/messages/{id}", retrieve_message),
    Route("DELETE", "/messages/{id}", delete_message),
    Route("PATCH", "/messages/{id}", update_message, body_bytes=_BODY_BYTES),
    Route("GET", "/channels/{id}/messages", list_channel_messages),
    Route("POST", "/channels/{id}/messages", send_channel_message, body_bytes=_BODY_BYTES, stores_file=True),
    Route("GET", "/channels/{id}/reported-messages", list_channel_reported_messages),
    Route("GET", "/messages/{id}/read-receipts", list_message_read_receipts),
    Route("GET", "/application/message-read-receipt-summaries", retrieve_application_message_read_receipt_summaries),
    Route("POST", "/channels/{id}/events", send_channel_event),
    Route("POST", "/channels/{id}/keystrokes", send_channel_keystrokes),
    Route("GET", "/threads/{id}", retrieve_thread),
    Route("GET", "/threads/{id}/messages", list_thread_messages),
    Route("POST", "/threads/{id}/messages", send_thread_message, body_bytes=_BODY_BYTES, stores_file=True),
    Route("POST", "/threads/{id}/keystrokes", send_thread_keystrokes),
)
