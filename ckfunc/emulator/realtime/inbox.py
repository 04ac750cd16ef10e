"""A client's frames, handled in order, in turn with other clients."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from ckfunc.emulator.realtime.socket import ClientSocket

MOST_AT_ONCE = 20
"""Frames of one client that are handled before other clients have their turn."""


class Inbox:
    """Passes each frame to `handle`. Frames wait for work that was begun; nothing is read from the client meanwhile."""

    def __init__(self, socket: ClientSocket, handle: Callable[[bytes], None]) -> None:
        self._socket = socket
        self._handle = handle
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether work is in progress."""
        return self._task is not None

    def add(self, frames: Iterable[bytes]) -> None:
        """Handle frames that arrived together, now or when it is their turn."""
        waiting = bool(self._waiting)
        self._waiting += frames
        if not waiting:
            self._go_on()

    def begin(self, work: Awaitable[None]) -> None:
        """Do what takes longer; it must not raise."""
        self._task = asyncio.ensure_future(self._until_done(work))

    def clear(self) -> None:
        """Discard what waits."""
        self._waiting.clear()

    async def _until_done(self, work: Awaitable[None]) -> None:
        try:
            await work
        finally:
            self._task = None
        self._go_on()

    def _go_on(self) -> None:
        handled = 0
        while self._waiting and self._task is None:
            if handled == MOST_AT_ONCE:
                self._loop.call_soon(self._go_on)
                break
            handled += 1
            self._handle(self._waiting.popleft())
        if self._waiting:
            self._socket.pause()
        else:
            self._socket.resume()
