"""The dashboard: its routes, its files, and live updates of open pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import HttpProblem, Missing
from ckfunc.emulator.http.routing import Access, Route, Router
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui import channels, chat, data, functions, invocations, requests, users
from ckfunc.emulator.ui.pages import HEADERS, asset, problem_page

_ASSETS = {
    "htmx.min.js": "text/javascript; charset=utf-8",
    "ui.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "ui.css": "text/css; charset=utf-8",
    "htmx-LICENSE.txt": "text/plain; charset=utf-8",
}

_LOOK_S = 0.3
"""The shortest time between two refreshes."""
_SILENCE_S = 15.0
"""After this time without an event a comment is sent, so that a lost connection is noticed."""


class LiveUpdates:
    """Wakes all open pages after a change of what they show. One task looks for changes, while a page is open."""

    def __init__(self) -> None:
        self._streams: set[asyncio.Queue[bytes]] = set()
        self._watching: asyncio.Task[None] | None = None

    def stream_changes(self, _call: Call, services: EmulatorServices) -> Reply:
        """Answer with a stream that has an event after each change."""
        return Reply(headers=HEADERS, content_type="text/event-stream", stream=self._changes(services))

    async def _changes(self, services: EmulatorServices) -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._streams.add(queue)
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch(services))
        try:
            # The page may have been rendered before a change that was made before this stream began.
            yield b"data: connected\n\n"
            while text := await queue.get():
                yield text
        finally:
            self._streams.discard(queue)

    async def _watch(self, services: EmulatorServices) -> None:
        seen, silent_s = _state(services), 0.0
        while self._streams and not services.ending.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(services.ending.wait(), _LOOK_S)
            now = _state(services)
            if now != seen:
                seen, silent_s = now, 0.0
                self._send(b"data: changed\n\n")
            elif (silent_s := silent_s + _LOOK_S) > _SILENCE_S:
                silent_s = 0.0
                self._send(b":\n\n")
        self._send(b"")

    def _send(self, text: bytes) -> None:
        for queue in self._streams:
            queue.put_nowait(text)


def retrieve_asset(call: Call, _services: EmulatorServices) -> Reply:
    """Answer with a script or stylesheet."""
    name = call.parameters["name"]
    if name not in _ASSETS:
        raise Missing("there is no such file")
    return asset(name, _ASSETS[name])


ROUTES = (
    Route("GET", "/ui/assets/{name}", retrieve_asset, Access.CONTROL),
    *functions.ROUTES,
    *invocations.ROUTES,
    *chat.ROUTES,
    *users.ROUTES,
    *channels.ROUTES,
    *requests.ROUTES,
    *data.ROUTES,
)


class Dashboard:
    """The routes of the dashboard, and its page for errors."""

    def __init__(self) -> None:
        live = Route("GET", "/ui/live", LiveUpdates().stream_changes, Access.CONTROL)
        self.router = Router((*ROUTES, live), "page")

    def problem_page(self, problem: HttpProblem) -> Reply:
        """Return the page of an error."""
        return problem_page(problem)


def _state(services: EmulatorServices) -> tuple[object, ...]:
    return *services.database.changes, services.dispatch.printed_lines, services.requests.count, services.faults.version
