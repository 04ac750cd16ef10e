"""A load generator: keep-alive connections on plain sockets, so that the client is never the bottleneck."""

from __future__ import annotations

import gc
import selectors
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Load:
    """The result of a load run; latencies in seconds, unsorted."""

    calls: int
    seconds: float
    latencies_s: list[float] = field(repr=False)
    last_body: bytes = field(repr=False)

    @property
    def per_second(self) -> float:
        return self.calls / self.seconds

    def percentile_s(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def p50_s(self) -> float:
        return self.percentile_s(0.5)


def request(url: str, method: str = "GET", body: bytes = b"", headers: dict[str, str] | None = None) -> bytes:
    """Return the bytes of one HTTP/1.1 request for `url`."""
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = [f"{method} {target} HTTP/1.1", f"host: {parts.netloc}", "accept: application/json"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body:
        lines += [f"content-length: {len(body)}", "content-type: application/json"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def once(url: str, data: bytes, timeout_s: float = 30) -> bytes:
    """Send one request on a new connection and return the body; raises RuntimeError unless the status is 2xx."""
    connection = _Connection(url, timeout_s)
    try:
        connection.send(data)
        while True:
            if (body := connection.receive()) is not None:
                return body
    finally:
        connection.close()


def press(url: str, requests: list[bytes], *, concurrency: int, seconds: float, warmup_calls: int = 0) -> Load:
    """Repeat `requests` on `concurrency` connections for `seconds`, one at a time on each connection."""
    connections = [_Connection(url) for _ in range(concurrency)]
    selector = selectors.DefaultSelector()
    for connection in connections:
        connection.socket.setblocking(False)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
    try:
        if warmup_calls:
            _turn(selector, connections, requests, until=float("inf"), calls=warmup_calls)
        gc.collect()
        gc.disable()
        return _turn(selector, connections, requests, until=time.perf_counter() + seconds, calls=0)
    finally:
        gc.enable()
        selector.close()
        for connection in connections:
            connection.close()


def _turn(
    selector: selectors.BaseSelector, connections: list[_Connection], requests: list[bytes], *, until: float, calls: int
) -> Load:
    """Run until the time is over or `calls` were made (0: no limit), then wait for active requests."""
    clock = time.perf_counter
    latencies: list[float] = []
    sent = answered = 0
    body = b""
    begin = clock()
    for connection in connections:
        connection.began = clock()
        connection.send(requests[sent % len(requests)])
        sent += 1
    while answered < sent:
        for key, _ in selector.select(30):
            connection = key.data
            answer = connection.receive()
            if answer is None:
                continue
            now = clock()
            latencies.append(now - connection.began)
            body = answer
            answered += 1
            if now < until and (not calls or sent < calls):
                connection.began = now
                connection.send(requests[sent % len(requests)])
                sent += 1
    return Load(answered, clock() - begin, latencies, body)


class _Connection:
    """One keep-alive connection; responses need a content-length or chunks."""

    def __init__(self, url: str, timeout_s: float = 30) -> None:
        parts = urlsplit(url)
        self.socket = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 80), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.began = 0.0
        self._buffer = b""
        self.send = self.socket.sendall
        self.close = self.socket.close

    def receive(self) -> bytes | None:
        """Return the body once it is complete, otherwise None."""
        try:
            data = self.socket.recv(262144)
        except BlockingIOError:
            return None
        if not data:
            raise ConnectionError(f"the server closed the connection after {self._buffer[:200]!r}")
        self._buffer = buffer = self._buffer + data if self._buffer else data
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head = buffer[:head_end].lower()
        at = head.find(b"\r\ncontent-length:")
        if at >= 0:
            end = head.find(b"\r\n", at + 2)
            size = int(head[at + 17 : end if end >= 0 else len(head)])
            if len(buffer) < head_end + 4 + size:
                return None
            body = buffer[head_end + 4 : head_end + 4 + size]
        elif buffer.endswith(b"0\r\n\r\n"):
            body = b"".join(buffer[head_end + 4 :].split(b"\r\n")[1::2])
        else:
            return None
        self._buffer = b""
        if head[9:10] != b"2":
            raise RuntimeError(f"answered {head[:20]!r}: {body[:500]!r}")
        return body
