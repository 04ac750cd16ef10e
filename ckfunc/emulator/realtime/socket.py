"""The WebSocket of one client: handshake, frames in and out, limits.

It is served by uvicorn in place of uvicorn's own WebSocket protocols: messages are handled when they arrive, without a
task or a queue for each connection. A client's frames are handled in order, in turn with other clients. Frames to
clients are held until the writes of a turn are stored.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol, cast
from urllib.parse import parse_qs

from websockets.exceptions import PayloadTooBig
from websockets.frames import CloseCode, Frame, Opcode, apply_mask  # type: ignore[attr-defined]  # the compiled one
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from ckfunc.emulator.store.database import Database
from ckfunc.wire.stomp import MOST_FRAME_BYTES

PATH = "/rtm/websocket"
SUBPROTOCOL = Subprotocol("v12.stomp")

MOST_UNSENT_BYTES = 4 * 1024 * 1024
"""How much may wait for a client that does not read; a client with more is disconnected."""

MOST_AT_ONCE = 20
"""Frames of one client that are handled before other clients have their turn."""

_WHOLE_TEXT, _MASKED = 0x81, 0x80
"""The first byte of a message that is not fragmented, and a bit of the second. Source: RFC 6455 section 5.2."""
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_LINGER_S = 5.0
"""The time in which a client can read what was sent before the connection is closed."""


class SocketListener(Protocol):
    """What handles the messages of a socket."""

    def opened(self, request: SocketRequest) -> None:
        """Handle the start of the connection."""

    def received(self, messages: Sequence[bytes]) -> None:
        """Handle the messages that arrived together."""

    def too_large(self) -> None:
        """Handle a message that is too large to be read."""

    def lost(self) -> None:
        """Handle the end of the connection."""


class SocketRequest:
    """The request that opened a connection."""

    def __init__(self, request: Request) -> None:
        path, _, query = request.path.partition("?")
        self.path = path
        self.api_key = (parse_qs(query).get("api-key") or [""])[0]
        self.host = _last(request, "Host") or ""
        self.origin = _last(request, "Origin")


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
        releases, self._held = self._held, []
        for release in releases:
            release(failure)


class ClientSocket(asyncio.Protocol):
    """The server's side of a WebSocket."""

    def __init__(
        self, listener: Callable[[ClientSocket], SocketListener], ended: Callable[[ClientSocket], None]
    ) -> None:
        self._ended = ended
        self._protocol = ServerProtocol(select_subprotocol=_subprotocol, max_size=MOST_FRAME_BYTES)
        self._listener = listener(self)
        self._opened = self._ending = self._lingering = self._paused = False
        self._plain = False
        """Whether the library has read nothing but the handshake so far, and no part of a message."""
        self._unread = b""
        self._parts: list[bytes] = []
        self._unsent: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Serve a connection."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, _exc: Exception | None) -> None:
        """Tell the listener that the connection has ended."""
        self._ended(self)
        self._ending = True
        self._unsent.clear()
        if self._opened:
            self._opened = False
            self._listener.lost()

    def data_received(self, data: bytes) -> None:
        """Receive bytes from the client."""
        if self._plain:
            data = self._take_plain(data)
            if not data:
                return
        protocol = self._protocol
        protocol.receive_data(data)
        for event in protocol.events_received():
            if isinstance(event, Request):
                self._accept(event)
                self._plain = self._opened and data.endswith(b"\r\n\r\n")
            elif isinstance(event, Frame) and event.opcode in _DATA and not self._ending:
                self._take(event)
        if isinstance(protocol.parser_exc, PayloadTooBig) and not self._ending:
            self._listener.too_large()
        if protocol.state is not State.OPEN:
            self._ending = True
            self._unsent.clear()
        self._flush()

    def eof_received(self) -> None:
        """Handle the end of what the client sends: the transport closes."""
        self._protocol.receive_eof()
        self._flush()

    def shutdown(self) -> None:
        """Close the connection, because the server stops."""
        self.close(CloseCode.SERVICE_RESTART)
        self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self._transport.abort()

    def pause(self) -> None:
        """Read no more from the client."""
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def send(self, *parts: bytes) -> None:
        """Send a message, given in parts, with the next `flush`."""
        if not self._ending:
            # Written without the library's state machine: this is most of the work of a busy server. Parts are joined
            # later, so that the messages for many clients share the part that they have in common.
            self._unsent += (_header(sum(map(len, parts))), *parts)

    def flush(self) -> bool:
        """Send the messages so far; return whether the client keeps up with reading."""
        if not self._unsent:
            return True
        data, self._unsent = b"".join(self._unsent), []
        self._transport.write(data)
        return self._transport.get_write_buffer_size() <= MOST_UNSENT_BYTES

    def discard(self) -> None:
        """Discard the messages since the last `flush`."""
        self._unsent.clear()

    def close(self, code: int = CloseCode.NORMAL_CLOSURE) -> None:
        """Close the connection when everything was sent, or after a moment."""
        if self._ending:
            return
        self._ending = True
        self.resume()
        self.flush()
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code)
        self._flush()
        self._linger()

    def _accept(self, request: Request) -> None:
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if response.status_code != 101:
            self._ending = True
            self._flush()
            self._transport.close()
            return
        self._opened = True
        self._flush()
        self._listener.opened(SocketRequest(request))

    def _take_plain(self, data: bytes) -> bytes:
        """Receive whole text messages of up to 64 KiB, which is what clients send; return what the library must read.

        Reading them here is half of the work of a busy server. From the first other frame on, such as a ping, a part of
        a message or a mistake, the library reads everything.
        """
        data = self._unread + data if self._unread else data
        messages: list[bytes] = []
        start, end = 0, len(data)
        while start < end:
            if data[start] != _WHOLE_TEXT or (end > start + 1 and not _MASKED <= data[start + 1] < _MASKED + 127):
                self._plain = False
                break
            if end < start + 6:
                break
            size, head = data[start + 1] - _MASKED, start + 6
            if size == 126:
                if end < start + 8:
                    break
                size, head = int.from_bytes(data[start + 2 : start + 4], "big"), start + 8
            stop = head + size
            if end < stop:
                break
            messages.append(apply_mask(data[head:stop], data[head - 4 : head]))
            start = stop
        self._unread = data[start:] if self._plain else b""
        if messages and not self._ending:
            self._listener.received(messages)
        return b"" if self._plain else data[start:]

    def _take(self, frame: Frame) -> None:
        data = bytes(frame.data)
        if frame.fin and not self._parts:
            self._listener.received((data,))
            return
        self._parts.append(data)
        if frame.fin:
            whole, self._parts = b"".join(self._parts), []
            self._listener.received((whole,))

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            elif self._protocol.close_rcvd is not None or not self._opened:
                self._transport.close()
            else:  # closing now would reset the connection if the client still sends, and lose what it has not read
                self._linger()

    def _linger(self) -> None:
        """Close the connection after a moment, unless the client closes it first."""
        if not self._lingering:
            self._lingering = True
            asyncio.get_running_loop().call_later(_LINGER_S, self._transport.abort)


def _subprotocol(_protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Return the subprotocol; None for a client that does not offer it, because CONNECT negotiates the version too."""
    return SUBPROTOCOL if SUBPROTOCOL in offered else None


def _header(length: int) -> bytes:
    """Return the header of an unmasked text frame. Source: RFC 6455 section 5.2."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")


def _last(request: Request, name: str) -> str | None:
    values = request.headers.get_all(name)
    return values[-1] if values else None
