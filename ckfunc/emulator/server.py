"""The HTTP server: uvicorn with limits on connections, requests and waits."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import uvicorn
from httptools import HttpParserError
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ckfunc.emulator.http.faults import CONNECTION
from ckfunc.emulator.http.problems import HttpProblem, Refused

MOST_TARGET_BYTES = 64 * 1024
"""The longest path with its query."""
MOST_HEADER_BYTES = 64 * 1024
"""The largest total size of a request's headers. An excess is noticed before twice as much has been read."""
MOST_HEADERS = 128
MOST_PIPELINED = 128
"""Requests that wait on one connection for the answer to an earlier one; more are not read yet."""
MOST_FRAMING_BYTES = 64 * 1024
"""The size allowed for chunk sizes, chunk extensions and trailers, in addition to the size of the body."""
MOST_CONNECTIONS = 512
WANTED_FILES = 10_240
"""The number of files that the process may open, if the system allows it: each client needs one."""
HEAD_TIMEOUT_S = 30.0
"""The time in which the head of a request must arrive."""
SILENCE_TIMEOUT_S = 60.0
"""The longest pause in a body that is not complete."""
IDLE_TIMEOUT_S = 120.0
"""The time that a connection may stay idle: longer than clients keep theirs, so that no request is lost in between."""

_HEAD_SLICE_BYTES = 4 * 1024
_BODY_SLICE_BYTES = 64 * 1024
_LINGER_S = 2.0
_LINGER_BYTES = 8 * 1024 * 1024
_TICK_S = 0.1
_TICKS_BETWEEN_CHECKS = 10
_GRACE_S = 1.0
_LOOK_S = 0.002


class TargetTooLong(HttpProblem):
    """414: the path with its query is too long."""

    status = 414


class HeadTooLarge(HttpProblem):
    """431: the headers are too large, or too many."""

    status = 431


class TooSlow(HttpProblem):
    """408: the rest of the request did not arrive in time."""

    status = 408


class TooManyConnections(HttpProblem):
    """503: every connection that the emulator allows is in use."""

    status = 503


def most_connections() -> int:
    """Return how many connections are served at once: at most half of the files that this process may open."""
    return min(MOST_CONNECTIONS, max(most_files() // 2, 16))


if sys.platform == "win32":

    def most_files() -> int:
        """Return how many files this process may open."""
        return WANTED_FILES

    def allow_files() -> None:
        """Let this process open as many files as it needs for its clients; there is no limit."""

else:
    import resource

    def most_files() -> int:
        """Return how many files this process may open."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return WANTED_FILES if files == resource.RLIM_INFINITY else files

    def allow_files() -> None:
        """Let this process open as many files as it needs for its clients, if the system allows it."""
        files, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = WANTED_FILES if most == resource.RLIM_INFINITY else min(most, WANTED_FILES)
        if files != resource.RLIM_INFINITY and files < wanted:
            with suppress(ValueError, OSError):  # macOS allows less than it says
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class LimitedConnection(HttpToolsProtocol):
    """uvicorn's HTTP protocol with joined writes and limits.

    A request beyond a limit is answered with a problem document, and its connection is closed.
    """

    _most: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # like uvicorn's own
        """Serve a connection. If there are too many, the one that has been idle the longest is closed."""
        self._refusal: HttpProblem | None = None
        self._discarded_bytes: int | None = None
        self._unparsed = b""
        self._in_head = self._in_body = False
        self._head_bytes = self._body_bytes = self._framed_bytes = 0
        self._heard_s = self._began_s = self.loop.time()
        super().connection_made(JoinedWrites(transport))  # type: ignore[arg-type]  # it has what uvicorn uses
        if LimitedConnection._most is None:
            LimitedConnection._most = most_connections()
        if len(self.connections) > LimitedConnection._most:
            self._make_room(LimitedConnection._most)

    def _make_room(self, most: int) -> None:
        others = (
            connection
            for connection in self.connections
            if isinstance(connection, LimitedConnection) and connection is not self and connection.idle
        )
        longest = min(others, key=lambda connection: connection._heard_s, default=None)
        if longest is not None:
            self.connections.discard(longest)
            longest.transport.close()
        else:
            self.refuse(TooManyConnections(f"{most} connections are in use"))

    @property
    def idle(self) -> bool:
        """Whether nothing is being received, answered or refused."""
        if self._in_head or self._in_body or self._refusal is not None:
            return False
        return (self.cycle is None or self.cycle.response_complete) and not self.pipeline and not self._unparsed

    def data_received(self, data: bytes) -> None:
        """Receive bytes from the client."""
        if self._discarded_bytes is not None:
            self._discarded_bytes += len(data)
            if self._discarded_bytes > _LINGER_BYTES:
                self.transport.close()
            return
        self._heard_s = self.loop.time()
        if len(data) <= _HEAD_SLICE_BYTES and not self._unparsed:
            self._take(data)
        else:
            self._unparsed += data
            self._go_on()

    def _go_on(self) -> None:
        """Parse received bytes, until too many requests wait for their answers."""
        data, at = self._unparsed, 0
        while at < len(data) and self._discarded_bytes is None and not self.transport.is_closing():
            if len(self.pipeline) >= MOST_PIPELINED:
                break
            end = at + (_BODY_SLICE_BYTES if self._in_body else _HEAD_SLICE_BYTES)
            self._take(data[at:end])
            at = end
        self._unparsed = data[at:]
        if self._unparsed and self._discarded_bytes is None:
            self.flow.pause_reading()

    def on_response_complete(self) -> None:
        """Continue with the next request of the connection. No more is read while one waits.

        Other than uvicorn's method, it starts no timer for each response: see `check_time`.
        """
        if not self.pipeline:
            self.transport.flush()  # type: ignore[attr-defined]  # see connection_made
        if self.transport.is_closing():
            return
        self._heard_s = self.loop.time()
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        if self.pipeline or self._unparsed:
            self.flow.pause_reading()
        if self._unparsed and not self.pipeline:
            self.loop.call_soon(self._go_on)

    def _take(self, data: bytes) -> None:
        in_head, in_body = self._in_head, self._in_body
        if in_head:
            self._head_bytes += len(data)
        elif in_body:
            self._framed_bytes += len(data)
        super().data_received(data)
        if self._discarded_bytes is not None:
            return
        if (
            self._in_head
            and in_head
            and (self._head_bytes > len(self.url) + MOST_HEADER_BYTES or len(self.headers) > MOST_HEADERS)
        ):
            self.refuse(self._too_large())
        elif self._in_body and in_body and self._framed_bytes - 2 * self._body_bytes > MOST_FRAMING_BYTES:
            self.refuse(Refused("the chunks of the body are too small, or their extensions and trailers too long"))

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the protocol of WebSockets, which joins its own writes."""
        self.transport = self.transport.released()  # type: ignore[attr-defined]  # see connection_made
        super().handle_websocket_upgrade()
        self._discarded_bytes = 0  # nothing that follows is HTTP

    def _too_large(self) -> HttpProblem:
        if len(self.headers) > MOST_HEADERS:
            return HeadTooLarge(f"the request has more than {MOST_HEADERS} headers")
        return HeadTooLarge(f"the headers of the request are larger than {MOST_HEADER_BYTES // 1024} KiB")

    def on_message_begin(self) -> None:
        """Record that a request begins."""
        self._in_head = True
        self._head_bytes = 0
        self._began_s = self._heard_s
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Receive a piece of the request's target."""
        super().on_url(url)
        if len(self.url) > MOST_TARGET_BYTES:
            self._stop(TargetTooLong(f"the path and its query are longer than {MOST_TARGET_BYTES // 1024} KiB"))

    def on_headers_complete(self) -> None:
        """Answer a request whose head is complete, unless it is too large."""
        # A head that arrived in one piece is never larger than one slice.
        if len(self.headers) > MOST_HEADERS or (
            self._head_bytes and sum(len(name) + len(value) + 4 for name, value in self.headers) > MOST_HEADER_BYTES
        ):
            self._stop(self._too_large())
        self._in_head, self._in_body = False, True
        self._body_bytes = self._framed_bytes = 0
        super().on_headers_complete()
        if not (self.parser.should_upgrade() and self._should_upgrade()):  # an upgrade reads its headers again
            self.headers = []  # trailers would be added to the headers of a request that is being answered
            self.scope["extensions"] = {CONNECTION: Exchange(self.cycle)}  # type: ignore[dict-item]  # not a dict

    def on_body(self, body: bytes) -> None:
        """Receive a piece of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Record that a request is complete."""
        self._in_body = False
        super().on_message_complete()

    def _stop(self, problem: HttpProblem) -> None:
        """Refuse the request that is being parsed. Raises HttpParserError, which ends the parser."""
        self._refusal = problem
        raise HttpParserError(problem.explanation)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's own sentence
        """Answer a request that is not HTTP, or was refused while it was parsed."""
        self.refuse(self._refusal or Refused("the request is not valid HTTP/1.1"))

    def refuse(self, problem: HttpProblem) -> None:
        """Answer with a problem, unless an earlier answer is in progress, and close the connection.

        What the client still sends is read and discarded for a moment, because resetting the connection would lose the
        answer.
        """
        self._refusal = problem
        self._discarded_bytes = 0
        waiting = self.cycle is not None and not self.cycle.response_complete
        own = waiting and self._in_body and not self.pipeline and not self.cycle.response_started
        if waiting:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.pipeline.clear()
        self._unparsed = b""
        self._unset_keepalive_if_required()
        if waiting and not own:
            self.transport.close()
            return
        content = json.dumps(problem.document(), ensure_ascii=False).encode("utf-8", "replace")
        self.transport.write(
            b"%scontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%s"
            % (STATUS_LINE[problem.status], len(content), content)
        )
        self.flow.resume_reading()
        self.loop.call_later(_LINGER_S, self.transport.close)

    def check_time(self, now_s: float) -> None:
        """Refuse a request that arrives too slowly, and close a connection that is idle for too long."""
        if self._discarded_bytes is not None or self.transport.is_closing():
            return
        if self._in_head:
            if now_s - self._began_s > HEAD_TIMEOUT_S:
                self.refuse(TooSlow(f"the head of the request did not arrive within {HEAD_TIMEOUT_S:.0f} seconds"))
        elif self._in_body:
            if now_s - self._heard_s > SILENCE_TIMEOUT_S and not self.flow.read_paused:
                self.refuse(TooSlow(f"nothing of the body arrived for {SILENCE_TIMEOUT_S:.0f} seconds"))
        elif self.idle and now_s - self._heard_s > IDLE_TIMEOUT_S:
            self.transport.close()


class Exchange:
    """A request and its answer."""

    __slots__ = ("_cycle",)

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle

    def close(self) -> None:
        """Close the connection without an answer."""
        self._cycle.transport.close()

    def take_body(self, limit_bytes: int) -> bytes | None:
        """Return the body if all of it has arrived and it is not too large; otherwise None, and it is still there."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or len(cycle.body) > limit_bytes:
            return None
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    async def respond(self, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> None:
        """Send a complete answer, unless the client has left. Raises ValueError for a header with a line break.

        For an answer in one piece, this is less work than two ASGI messages.
        """
        cycle = self._cycle
        if cycle.flow.write_paused and not cycle.disconnected:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        parts = [STATUS_LINE[status]]
        for name, value in (*cycle.default_headers, *headers):
            if b"\r" in value or b"\n" in value:
                raise ValueError(f"the header {name!r} has a line break")
            parts += name, b": ", value, b"\r\n"
        parts += (b"\r\n", body) if cycle.keep_alive else (b"connection: close\r\n\r\n", body)
        cycle.response_started = cycle.response_complete = True
        cycle.scope.pop("extensions")  # this object, which refers to the cycle: garbage collections would be frequent
        cycle.message_event.set()
        cycle.transport.write(b"".join(parts))
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


class JoinedWrites:
    """A transport that joins the writes of one turn of the loop; everything else is passed on.

    For small answers the system calls are most of the work: this doubles the throughput of one core.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._waiting: list[bytes] = []
        self._call_soon = asyncio.get_running_loop().call_soon
        for name in ("get_extra_info", "is_closing", "pause_reading", "resume_reading", "set_protocol"):
            setattr(self, name, getattr(transport, name))

    def write(self, data: bytes) -> None:
        """Send `data` soon, after earlier writes."""
        if not self._waiting:
            self._call_soon(self.flush)
        self._waiting.append(data)

    def close(self) -> None:
        """Send pending writes, then close."""
        self.flush()
        self._transport.close()

    def released(self) -> asyncio.Transport:
        """Send pending writes, and return the transport itself."""
        self.flush()
        return self._transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def flush(self) -> None:
        """Send pending writes, unless the client has left."""
        data, self._waiting = b"".join(self._waiting), []
        if data and not self._transport.is_closing():  # a closed transport of uvloop raises RuntimeError
            self._transport.write(data)


class HttpServer(uvicorn.Server):
    """Serve until `end` is called. `accept` returns the protocol for a new WebSocket, `close` closes all of them."""

    def __init__(
        self, app: Any, accept: Callable[[], asyncio.Protocol], close: Callable[[float], Awaitable[None]]
    ) -> None:
        self._close_clients = close
        allow_files()
        super().__init__(
            uvicorn.Config(
                app,
                loop="none",
                http=LimitedConnection,
                ws=lambda **_config: accept(),  # type: ignore[arg-type]  # called like the class of a protocol
                lifespan="off",
                interface="asgi3",
                access_log=False,
                log_config=None,
                log_level="critical",
                server_header=False,
                proxy_headers=False,
            )
        )
        self._ended = asyncio.Event()

    def end(self) -> None:
        """Stop serving soon."""
        self.should_exit = True
        self._ended.set()

    async def main_loop(self) -> None:
        """Do uvicorn's periodic work ten times a second, until the end."""
        count = 0
        while not await self.on_tick(count):
            count += 1
            if count % _TICKS_BETWEEN_CHECKS == 0:
                self._check_times()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_S)

    def _check_times(self) -> None:
        """Check all connections for requests that arrive too slowly."""
        now_s = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            if isinstance(connection, LimitedConnection):
                connection.check_time(now_s)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and give requests in progress a moment to finish."""
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        await self._close_clients(_GRACE_S)
        state = self.server_state
        for connection in list(state.connections):
            connection.shutdown()
        until = asyncio.get_running_loop().time() + _GRACE_S
        while (state.connections or state.tasks) and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(_LOOK_S)
        for task in state.tasks:
            task.cancel()
