"""A loopback proxy between ckfunc and an emulator that injects faults on demand.

It also replaces the credentials: the client secret and the tokens that ckfunc sees are the proxy's own, exchanged
for the emulator's on the way, so that a test can look for them everywhere.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import Enum
from typing import Any, Self
from urllib.parse import urlsplit

CLIENT_ID = "client-of-the-tests"
CLIENT_SECRET = "cnrySecret5b7f/+e1 Q"
TOKEN = "cnryToken93ac"
_NO_LINGERING = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
HELD_S = 30.0
"""The longest wait for a missing response if neither side closes the connection."""


class End(Enum):
    """The end of an exchange: a response, a closed connection, a reset during the response, or no end at all."""

    ANSWER = "answer"
    CLOSE = "close"
    RESET = "reset"
    HOLD = "hold"


@dataclass(frozen=True)
class Fault:
    """A fault of one request. With `forwards`, the emulator still receives and processes the request."""

    name: str
    forwards: bool
    end: End = End.ANSWER
    status: int = 200
    retry_after: Callable[[], str] | None = None
    body: Callable[[bytes], bytes] | None = None
    """The response body, made from the emulator's (b"" if it got no request); None: an error document."""


def _soon() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


FAULTS = (
    Fault("dropped before it was sent", False, End.CLOSE),
    Fault("done, and the answer lost", True, End.CLOSE),
    Fault("done, and reset in the middle of the answer", True, End.RESET),
    Fault("429 with Retry-After in seconds", False, status=429, retry_after=lambda: "1"),
    Fault("429 with Retry-After as a date", False, status=429, retry_after=_soon),
    Fault("429 although it was done", True, status=429),
    Fault("500", False, status=500),
    Fault("500 although it was done", True, status=500),
    Fault("503", False, status=503),
    Fault("503 although it was done", True, status=503),
    Fault("silence", False, End.HOLD),
    Fault("done, and silence", True, End.HOLD),
    Fault("a page of HTML with status 200", False, body=lambda _: b"<html><body>Sign in to the hotel</body></html>"),
    Fault("done, and garbage with status 200", True, body=lambda _: b"\x00\xff\xfe not what you asked for"),
    Fault("done, and JSON cut off in the middle", True, body=lambda whole: whole[: len(whole) // 2]),
)


@dataclass
class Exchange:
    """A forwarded request and its outcome. `label` numbers equal requests, without ids: "PUT /v1/x#1"."""

    label: str
    method: str
    path: str
    token: str
    """The token of the request, or "" for none; each deploying process has its own."""
    body: bytes = field(repr=False)
    forwarded: bool = False
    done: bool = False
    """Whether the emulator answered with a success."""
    status: int | None = None
    """The status that the client received; None without a complete response."""
    fault: str | None = None

    @property
    def is_write(self) -> bool:
        """Return whether the request changes the application."""
        return self.method != "GET" and not self.path.startswith("/oauth/")


@dataclass(frozen=True)
class _Message:
    """A request or a response: its first line, its headers with lower-case names, and its body."""

    first: str
    headers: dict[str, str]
    body: bytes

    def raw(self) -> bytes:
        lines = [self.first, *(f"{name}: {value}" for name, value in self.headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])


class Proxy:
    """A context manager. Hooks are called with each request, in the thread of its connection.

    They may wait, and may end the connection by raising OSError. `before` is called before the request is forwarded,
    `done` after the emulator has processed it, and `after` when the client has the response.
    """

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._tokens: dict[str, str] = {}
        self._sockets: set[socket.socket] = set()
        self._faults: dict[str, Fault] = {}
        self._closed = threading.Event()
        self.requests: list[Exchange] = []
        self.before: Callable[[Exchange], None] | None = None
        self.done: Callable[[Exchange], None] | None = None
        self.after: Callable[[Exchange], None] | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept, name="proxy", daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        # On some systems, closing a listener does not end its accept().
        with socket.create_connection(self._listener.getsockname()):
            pass
        self._threads[0].join()
        self._listener.close()
        self.hang_up()
        for thread in self._threads[1:]:
            thread.join()

    # -- test controls -------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Remove all requests, faults and hooks."""
        self.before = self.done = self.after = None
        with self._lock:
            self.requests = []
            self._counts.clear()
            self._faults.clear()

    def inject(self, fault: Fault, label: str) -> None:
        """Inject a fault once, into the request with this label."""
        with self._lock:
            self._faults[label] = fault

    def hang_up(self) -> None:
        """Close every connection."""
        with self._lock:
            for socket in self._sockets:
                _cut(socket)

    def labels(self) -> list[str]:
        """Return the labels of all requests so far, in order."""
        with self._lock:
            return [request.label for request in self.requests]

    def writes(self) -> list[Exchange]:
        """Return the writing requests so far."""
        with self._lock:
            return [request for request in self.requests if request.is_write]

    # -- connections ---------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            if self._closed.is_set():
                client.close()
                return
            thread = threading.Thread(target=self._serve, args=(client,), name="proxy connection", daemon=True)
            self._threads = [thread for thread in self._threads if thread.is_alive()] + [thread]
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(self._upstream) as server:
            for connection in (client, server):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._sockets |= {client, server}
            try:
                while (request := _read(client)) is not None and self._exchange(request, client, server):
                    pass
            except OSError:
                pass  # the client went away, or a hook or `hang_up` cut the connection
            finally:
                with self._lock:
                    self._sockets -= {client, server}

    def _exchange(self, request: _Message, client: socket.socket, server: socket.socket) -> bool:
        """Forward one request; return whether the connection stays open."""
        exchange, fault = self._noted(request)
        if self.before:
            self.before(exchange)
        answer = None
        if fault is None or fault.forwards:
            exchange.forwarded = True
            server.sendall(self._for_the_emulator(request).raw())
            answer = _read(server)
            if answer is None:
                return False
            exchange.done = 200 <= answer.status < 300
            answer = self._for_the_client(exchange, answer)
            if self.done:
                self.done(exchange)
        goes_on = self._answered(exchange, fault, answer, client)
        if self.after:
            self.after(exchange)
        return goes_on

    def _answered(
        self, exchange: Exchange, fault: Fault | None, answer: _Message | None, client: socket.socket
    ) -> bool:
        if fault is None:
            assert answer is not None
            client.sendall(answer.raw())
            exchange.status = answer.status
            return True
        if fault.end is End.RESET:
            assert answer is not None
            client.sendall(answer.raw()[: -len(answer.body) // 2 or None])
            # With a linger time of 0, closing the socket sends a reset.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
            return False
        if fault.end is End.HOLD:
            client.settimeout(HELD_S)
            client.recv(1)  # until the client hangs up
            return False
        if fault.end is End.CLOSE:
            return False
        client.sendall(_spoiled(fault, answer).raw())
        exchange.status = fault.status
        return True

    def _noted(self, request: _Message) -> tuple[Exchange, Fault | None]:
        method, path, _ = request.first.split(" ", 2)
        name = f"{method} {re.sub(r'/[0-9]+(?=/|$)', '/{id}', path.partition('?')[0])}"
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        with self._lock:
            self._counts[name] += 1
            label = f"{name}#{self._counts[name]}"
            fault = self._faults.pop(label, None)
            exchange = Exchange(
                label, method, path, token if token in self._tokens else "", request.body, fault=fault and fault.name
            )
            self.requests.append(exchange)
        return exchange, fault

    # -- credentials ---------------------------------------------------------------------------------------------

    def _for_the_emulator(self, request: _Message) -> _Message:
        given = request.headers.get("authorization", "")
        kind, _, value = given.partition(" ")
        if kind == "Basic" and value == _basic(CLIENT_ID, CLIENT_SECRET):
            given = f"Basic {_basic('emulator', 'emulator')}"
        elif kind == "Bearer":
            given = f"Bearer {self._tokens.get(value, value)}"
        return _Message(request.first, {**request.headers, "authorization": given}, request.body)

    def _for_the_client(self, exchange: Exchange, answer: _Message) -> _Message:
        headers, body = dict(answer.headers), answer.body
        headers.pop("x-ckfunc-emulator", None)  # to ckfunc, this is the platform
        if exchange.path == "/oauth/token" and exchange.done:
            document: dict[str, Any] = json.loads(body)
            with self._lock:
                token = f"{TOKEN}-{len(self._tokens)}"
                self._tokens[token] = document["access_token"]
            body = json.dumps({**document, "access_token": token}).encode()
        return _Message(answer.first, {**headers, "content-length": str(len(body))}, body)


def _basic(name: str, secret: str) -> str:
    return base64.b64encode(f"{name}:{secret}".encode()).decode()


def _spoiled(fault: Fault, answer: _Message | None) -> _Message:
    if fault.body is None:
        body = json.dumps({"error": "Trouble", "message": f"answered {fault.status}"}).encode()
    else:
        body = fault.body(answer.body if answer else b"")
    headers = {"content-type": "application/json", "content-length": str(len(body))}
    if fault.retry_after is not None:
        headers["retry-after"] = fault.retry_after()
    return _Message(f"HTTP/1.1 {fault.status} Because", headers, body)


def _read(connection: socket.socket) -> _Message | None:
    """Read a whole message; return None if the peer has closed the connection."""
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        if not (more := connection.recv(65536)):
            return None
        data += more
    first, *lines = data[:end].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    assert "transfer-encoding" not in headers, "neither ckfunc nor the emulator sends chunks"
    body = bytearray(data[end + 4 :])
    missing = int(headers.get("content-length", "0")) - len(body)
    while missing > 0:
        if not (more := connection.recv(min(missing, 1 << 20))):
            return None
        body += more
        missing -= len(more)
    return _Message(first, headers, bytes(body))


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # it is already closed
        connection.shutdown(socket.SHUT_RDWR)
