"""Threads: replies to messages, and a channel's keystrokes and custom events."""

from __future__ import annotations

from ckfunc.emulator.actions import access
from ckfunc.emulator.actions.channels import trigger_event
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.resources import messages
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import threads
from ckfunc.emulator.store.threads import DEEPEST
from ckfunc.model.chat import Thread, ThreadType
from ckfunc.wire.channels import (
    read_event,
    read_new_keystrokes,
    write_keystrokes,
    write_thread,
)


def retrieve_thread(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a thread; a message and the thread of its replies share their id."""
    return Reply(write_thread(access.thread(services.database, call.id()), call.links))


async def list_thread_messages(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a thread's messages, newest first."""
    return await messages.page_of(call, services, thread=access.thread(services.database, call.id()))


def send_thread_message(call: Call, services: EmulatorServices) -> Reply:
    """Reply in a thread, on behalf of a user or as the system."""
    thread = access.thread(services.database, call.id())
    if thread.type is ThreadType.MESSAGE:
        level = access.message(services.database, thread.id).nested_level
        if level >= DEEPEST:
            raise Refused(f"message {thread.id} is {level} replies deep, which is the limit")
    return messages.send(call, services, thread.channel_id, thread)


def send_thread_keystrokes(call: Call, services: EmulatorServices) -> Reply:
    """Send keystrokes in a thread on behalf of a user. They are passed on and not stored."""
    return _keystrokes(call, services, access.thread(services.database, call.id()))


def send_channel_keystrokes(call: Call, services: EmulatorServices) -> Reply:
    """Send keystrokes in a channel on behalf of a user. They are passed on and not stored."""
    channel = access.channel(services.database, call.id())
    return _keystrokes(call, services, threads.main(services.database, channel.id))


def send_channel_event(call: Call, services: EmulatorServices) -> Reply:
    """Send a custom event to a channel. It is passed on and not stored."""
    channel = access.channel(services.database, call.id())
    return Reply(trigger_event(services.context(call), channel, read_event(call.json())))


def _keystrokes(call: Call, services: EmulatorServices, thread: Thread) -> Reply:
    new = read_new_keystrokes(call.json())
    user = access.referred_user(services.database, new.user, "field 'user'")
    services.typing.type(services.context(call), user, thread.channel_id, thread.id, new.keys)
    return Reply(write_keystrokes(new.keys, user, thread.channel_id, call.links))


ROUTES = (
    Route("POST", "/channels/{id}/events", send_channel_event),
    Route("POST", "/channels/{id}/keystrokes", send_channel_keystrokes),
    Route("GET", "/threads/{id}", retrieve_thread),
    Route("GET", "/threads/{id}/messages", list_thread_messages),
    Route("POST", "/threads/{id}/messages", send_thread_message, body_bytes=messages.BODY_BYTES),
    Route("POST", "/threads/{id}/keystrokes", send_thread_keystrokes),
)
