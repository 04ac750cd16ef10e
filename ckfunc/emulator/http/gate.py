"""A gate that holds writing requests back while all data is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

_LOOK_S = 0.002


class Gate:
    """Counts the requests that may write. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._closed = self._sealed = False
        self._opened = asyncio.Event()
        self._inside = 0

    async def enter(self, *, from_run: bool = False) -> None:
        """Wait until the gate is open; requests of runs (`from_run`) also pass while the gate waits for these runs."""
        while self._closed and (self._sealed or not from_run):
            await self._opened.wait()
        self._inside += 1

    def leave(self) -> None:
        """Record that a request has been answered."""
        self._inside -= 1

    @contextmanager
    def closed(self) -> Iterator[None]:
        """Let no more requests in."""
        self._closed = True
        try:
            yield
        finally:
            self._closed = self._sealed = False
            self._opened.set()
            self._opened = asyncio.Event()

    async def seal(self, remaining: int) -> None:
        """Wait until at most `remaining` requests are inside, then hold back requests of runs too."""
        while self._inside > remaining:
            await asyncio.sleep(_LOOK_S)
        self._sealed = True
