"""Server-sent events that tell an open page when to refresh."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui.rendering import HEADERS

_LOOK_S = 0.3
"""The shortest time between two refreshes."""
_SILENCE_S = 15.0
"""After this time without an event a comment is sent, so that a lost connection is noticed."""


def stream_changes(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with a stream that has an event after each change of what pages show."""
    return Reply(headers=HEADERS, content_type="text/event-stream", stream=_changes(services))


async def _changes(services: EmulatorServices) -> AsyncIterator[bytes]:
    # The page may have been rendered before a change that was made before this stream began.
    yield b"data: connected\n\n"
    seen, silent_s = _state(services), 0.0
    while not services.ending.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(services.ending.wait(), _LOOK_S)
        now = _state(services)
        if now != seen:
            seen, silent_s = now, 0.0
            yield b"data: changed\n\n"
        elif (silent_s := silent_s + _LOOK_S) > _SILENCE_S:
            silent_s = 0.0
            yield b":\n\n"


def _state(services: EmulatorServices) -> tuple[object, ...]:
    return *services.database.changes, services.dispatch.printed_lines, services.requests.count
