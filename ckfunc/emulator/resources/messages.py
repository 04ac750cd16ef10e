"""Messages, as JSON or as a form with a file, and receipts."""

from __future__ import annotations

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions import messages as actions
from ckfunc.emulator.actions.messages import read_upload, stored
from ckfunc.emulator.http.bodies import UPLOAD_BYTES
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import cursor_reply, cursor_request, page_reply, page_request
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.services import EmulatorServices, delete_in_steps, result_of
from ckfunc.emulator.store import application, messages, receipts, threads
from ckfunc.model.chat import Channel, Thread
from ckfunc.wire.applications import write_application
from ckfunc.wire.channels import write_receipt, write_thread, write_unread_summary
from ckfunc.wire.messages import patched_message, read_new_message, write_message

BODY_BYTES = UPLOAD_BYTES
"""The largest body that sends a message: a file and its form, and more than enough for the longest text."""

QUERY_LIMIT = 4096
"""The longest text to search for, in characters. The platform documents no limit; SQLite's is 50,000 bytes."""


async def list_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of all messages, newest first."""
    return await page_of(call, services)


async def list_channel_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's messages, newest first, replies included."""
    return await page_of(call, services, channel=access.channel(services.database, call.id()))


def list_channel_reported_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a channel's reported messages."""
    channel = access.channel(services.database, call.id())
    request = page_request(call, messages.SORTABLE, messages.DEFAULT_ORDER)
    page = messages.reported_page(services.database, channel.id, request)
    return page_reply(
        call, "messages", page, [write_message(message, call.links) for message in page.items], request=request
    )


def send_channel_message(call: Call, services: EmulatorServices) -> Reply:
    """Send a message to a channel, on behalf of a user or as the system."""
    return send(call, services, access.channel(services.database, call.id()).id)


def retrieve_message(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a message."""
    return Reply(write_message(access.message(services.database, call.id()), call.links))


async def delete_message(call: Call, services: EmulatorServices) -> Reply:
    """Delete a message with its replies, and answer with the thread that it was in."""
    message = access.message(services.database, call.id())
    thread = threads.of_message(services.database, message)
    await delete_in_steps(services.database, actions.delete(services.context(call), message))
    return Reply(write_thread(thread, call.links))


async def delete_messages(call: Call, services: EmulatorServices) -> Reply:
    """Delete every message of the application, and answer with it."""
    await delete_in_steps(services.database, actions.delete_all(services.context(call)))
    return Reply(write_application(application.get(services.database), call.links))


def update_message(call: Call, services: EmulatorServices) -> Reply:
    """Change a message by a merge patch; a new body sets the time of its last edit."""
    found = access.message(services.database, call.id())
    changed = patched_message(found, call.json() if call.body else None, services.database.now())
    return Reply(write_message(actions.update(services.context(call), changed), call.links))


async def page_of(
    call: Call, services: EmulatorServices, *, channel: Channel | None = None, thread: Thread | None = None
) -> Reply:
    """Answer with a page of messages: all, a channel's or a thread's."""
    username, query = call.first("username"), call.first("query")
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
    items = [write_message(message, call.links) for message in page.items]
    given = (("username", username), ("query", query))
    filters = tuple((name, value) for name, value in given if value is not None)
    return cursor_reply(call, "messages", page, items, filters)


def send(call: Call, services: EmulatorServices, channel_id: int, thread: Thread | None = None) -> Reply:
    """Send the message in a request's body to a channel, or to a thread of it, and answer with it."""
    database = services.database
    file = None
    if call.is_multipart:
        new, file = read_upload(call)
    else:
        new = read_new_message(call.json())
    field = "field 'user'" if file is None else "field 'username'"
    sender = None if new.user is None else access.referred_user(database, new.user, field)
    if file is not None:
        new = stored(database, new, file)
    message = actions.send(services.context(call), channel_id, new, sender, thread)
    return Reply(write_message(message, call.links))


def list_message_read_receipts(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a message's read receipts."""
    message = access.message(services.database, call.id())
    request = page_request(call, receipts.SORTABLE, receipts.DEFAULT_ORDER)
    page = receipts.page(services.database, message.id, request)
    items = [write_receipt(receipt, call.links) for receipt in page.items]
    return page_reply(call, "receipts", page, items, request=request)


def retrieve_application_message_read_receipt_summaries(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of the numbers of unread messages, for each member of each channel."""
    request = page_request(call, receipts.SUMMARIES_SORTABLE, receipts.SUMMARIES_ORDER)
    page = receipts.summaries_page(services.database, request)
    items = [write_unread_summary(summary, call.links) for summary in page.items]
    return page_reply(call, "summaries", page, items, request=request)


ROUTES = (
    Route("GET", "/messages", list_messages),
    Route("DELETE", "/messages", delete_messages),
    Route("GET", "/messages/{id}", retrieve_message),
    Route("DELETE", "/messages/{id}", delete_message),
    Route("PATCH", "/messages/{id}", update_message, body_bytes=BODY_BYTES),
    Route("GET", "/channels/{id}/messages", list_channel_messages),
    Route("POST", "/channels/{id}/messages", send_channel_message, body_bytes=BODY_BYTES),
    Route("GET", "/channels/{id}/reported-messages", list_channel_reported_messages),
    Route("GET", "/messages/{id}/read-receipts", list_message_read_receipts),
    Route(
        "GET",
        "/application/message-read-receipt-summaries",
        retrieve_application_message_read_receipt_summaries,
    ),
)
