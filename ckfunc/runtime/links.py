"""How bytes travel between ckfunc and a Node process: a socket pair where there is one, else its own pipes."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

from ckfunc.runtime.processes import kill_group, start_group

HAS_SOCKETS = sys.platform != "win32"
_TAIL = 8192
_BUFFER = 1024 * 1024


class Link(Protocol):
    """A running process and the bytes to and from it."""

    process: subprocess.Popen[bytes]

    def write(self, data: bytes) -> None:
        """Send; never blocks, and does nothing once the link is closed."""

    async def last_words(self) -> str:
        """Return the end of what the ended process wrote to its standard error, "" where that is not kept."""

    def close(self) -> None:
        """Let go of every descriptor."""


async def connect(
    command: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    on_data: Callable[[bytes], None],
    on_end: Callable[[], None],
    sockets: bool = HAS_SOCKETS,
) -> Link:
    """Start `command INPUT_FD OUTPUT_FD …` and return its link; the callbacks run in the loop. Raises OSError.

    `command` holds the two words "INPUT" and "OUTPUT" where the numbers of the descriptors go.
    """
    if sockets:
        return await _connect_by_socket(command, cwd, env, on_data, on_end)
    return _PipeLink(_numbered(command, 0, 1), cwd, env, on_data, on_end)


def _numbered(command: list[str], given: int, taken: int) -> list[str]:
    numbers = {"INPUT": str(given), "OUTPUT": str(taken)}
    return [numbers.get(word, word) for word in command]


class _SocketLink(asyncio.Protocol):
    """The channel is a descriptor of its own, so that a handler may write to stdout and stderr as it likes."""

    process: subprocess.Popen[bytes]

    def __init__(self, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        self.data_received = on_data  # type: ignore[assignment]  # one call less for each message
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self.tail = _Tail()
        self.errors: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class's name
        self._on_end()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def last_words(self) -> str:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.tail.ended.wait(), 0.2)
        return bytes(self.tail.kept).decode("utf-8", "replace")

    def close(self) -> None:
        for transport in (self._transport, self.errors):
            if transport is not None:
                transport.close()


class _Tail(asyncio.Protocol):
    """Keeps the last few kilobytes, however much there is."""

    def __init__(self) -> None:
        self.kept = bytearray()
        self.ended = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.kept += data
        del self.kept[:-_TAIL]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class's name
        self.ended.set()


async def _connect_by_socket(
    command: list[str], cwd: Path, env: dict[str, str], on_data: Callable[[bytes], None], on_end: Callable[[], None]
) -> _SocketLink:
    loop = asyncio.get_running_loop()
    link = _SocketLink(on_data, on_end)
    ours, theirs = socket.socketpair()
    try:
        for end in (ours, theirs):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        ours.setblocking(False)
        await loop.create_connection(lambda: link, sock=ours)
        link.process = start_group(
            _numbered(command, theirs.fileno(), theirs.fileno()),
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(theirs.fileno(),),
        )
    except BaseException:
        link.close()
        ours.close()
        raise
    finally:
        theirs.close()
    try:
        link.errors, _ = await loop.connect_read_pipe(lambda: link.tail, link.process.stderr)
    except BaseException:
        kill_group(link.process)
        link.process.wait()
        link.close()
        raise
    return link


class _PipeLink:
    """The channel is stdin and stdout, each served by a thread: what every system has."""

    def __init__(
        self,
        command: list[str],
        cwd: Path,
        env: dict[str, str],
        on_data: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_data = on_data
        self._on_end = on_end
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.process = start_group(
            command, cwd=cwd, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._read, self._send)]
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> None:
        self._queue.put(data)

    async def last_words(self) -> str:
        return ""

    def close(self) -> None:
        self._queue.put(None)
        for thread in self._threads:  # both end at once when the process has
            thread.join()

    def _read(self) -> None:
        stream: Any = self.process.stdout
        with contextlib.suppress(OSError, ValueError), stream:
            while data := stream.read1(65536):
                self._tell(self._on_data, data)
        self._tell(self._on_end)

    def _send(self) -> None:
        stream: Any = self.process.stdin
        with contextlib.suppress(OSError, ValueError), stream:
            while (data := self._queue.get()) is not None:
                stream.write(data)
                stream.flush()

    def _tell(self, callback: Callable[..., None], *arguments: bytes) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(callback, *arguments)
