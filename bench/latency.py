"""A loopback proxy that adds latency and counts requests."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_REQUEST_LINE = re.compile(rb"^(GET|HEAD|POST|PUT|PATCH|DELETE) (\S+) HTTP/1\.1\r\n", re.MULTILINE)


@dataclass
class Far:
    """The proxy's address and traffic: requests such as "GET /v1/runtime", times of the first and the last."""

    url: str
    delay_s: float = 0.0
    requests: list[str] = field(default_factory=list)
    first: float = 0.0
    last: float = 0.0

    def forget(self) -> None:
        self.requests.clear()
        self.first = self.last = 0.0


@contextmanager
def far(port: int) -> Iterator[Far]:
    """Run a proxy for the server on loopback `port`; `delay_s` is added to every round trip."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    state = Far("")

    async def open_server() -> asyncio.Server:
        return await loop.create_server(lambda: _Side(state, port), "127.0.0.1", 0)

    async def close(server: asyncio.Server) -> None:
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    server = asyncio.run_coroutine_threadsafe(open_server(), loop).result()
    state.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield state
    finally:
        asyncio.run_coroutine_threadsafe(close(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class _Side(asyncio.Protocol):
    """One side of a connection: forwards data to the other side after half a round trip, in order."""

    def __init__(self, state: Far, port: int | None, other: _Side | None = None) -> None:
        self.state = state
        self.port = port
        self.other = other
        self.transport: asyncio.Transport | None = None
        self._waiting: deque[bytes] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.port is not None:
            self._connecting = asyncio.ensure_future(self._connect(self.port))
        else:
            self._flush()

    async def _connect(self, port: int) -> None:
        self.other = _Side(self.state, None, self)
        await asyncio.get_running_loop().create_connection(lambda: self.other or self, "127.0.0.1", port)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        if self.port is not None:
            self.state.requests += [b" ".join(found.groups()).decode() for found in _REQUEST_LINE.finditer(data)]
            self.state.first = self.state.first or now
        asyncio.get_running_loop().call_later(self.state.delay_s / 2, self._pass_on, data)

    def _pass_on(self, data: bytes) -> None:
        if self.port is None:
            self.state.last = time.perf_counter()
        if self.other is not None:
            self.other._waiting.append(data)
            self.other._flush()

    def _flush(self) -> None:
        while self.transport is not None and self._waiting:
            self.transport.write(self._waiting.popleft())

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.other is not None and self.other.transport is not None:
            asyncio.get_running_loop().call_later(self.state.delay_s / 2, self.other.transport.close)
