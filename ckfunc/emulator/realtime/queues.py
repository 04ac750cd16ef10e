"""Queues of frames: the inbox of each client, and the outbox of all.

A client's frames are handled in order, in turn with other clients. Frames to clients are held until the writes of a
turn are stored.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

from ckfunc.emulator.realtime.socket import ClientSocket
from ckfunc.emulator.store.database import Database

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


Release = Callable[[sqlite3.Error | None], None]
"""Sends a client's frames, or discards them if what they report could not be stored. Never raises."""


class Outbox:
    """The clients with frames that are held. Clients never learn of what may still be undone."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._held: list[Release] = []

    def hold(self, release: Release) -> None:
        """Release a client's frames when what was written is stored, at the latest at the end of this turn."""
        if not self._held:
            self._database.when_settled(self._release)
        self._held.append(release)

    def flush(self) -> None:
        """Store what this turn has written so far, and release all frames."""
        if self._held:
            self._database.commit()
            self._release(self._database.failure)

    def _release(self, failure: sqlite3.Error | None) -> None:
        held, self._held = self._held, []
        for release in held:
            release(failure)
