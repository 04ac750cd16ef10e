"""Byte streams between ckfunc and a Node process.

They are a socket pair if the system supports it, or else the process's standard pipes.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, cast

from ckfunc.base.frozen import frozen
from ckfunc.runtime.confinement import Reach
from ckfunc.runtime.processes import start_group

HAS_SOCKETS = sys.platform != "win32"
_TAIL = 8192
_BUFFER = 1024 * 1024
_CHUNK = 65536

OnOutput: TypeAlias = Callable[[int, bytes], None]
"""Called with output of a standard descriptor, 1 or 2."""


class Link(Protocol):
    """A running process, and its byte streams."""

    process: subprocess.Popen[bytes]

    def write(self, data: bytes) -> None:
        """Send without blocking. Does nothing after the link is closed."""

    def drain(self) -> None:
        """Pass on all available output of the standard descriptors, where that is possible."""

    async def last_words(self) -> str:
        """Return the end of the standard error of a process that has ended, after passing on all of it."""

    def close(self) -> None:
        """Close every descriptor."""


@frozen
class HostLaunch:
    """A process to start, and the callbacks for its bytes, which run in the event loop.

    The words "INPUT" and "OUTPUT" in `command` are replaced with the numbers of the channel's descriptors. `on_output`
    gets the output on standard descriptors, except those used as channel. `reach` confines the process.
    """

    command: list[str]
    cwd: Path
    env: dict[str, str]
    on_data: Callable[[bytes], None]
    on_end: Callable[[], None]
    on_output: OnOutput
    reach: Reach | None = None

    def start(
        self, input_fd: int, output_fd: int, *, stdin: int, pass_fds: tuple[int, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start the process, with these descriptors as its channel. Raises OSError."""
        numbers = {"INPUT": str(input_fd), "OUTPUT": str(output_fd)}
        return start_group(
            [numbers.get(word, word) for word in self.command],
            cwd=self.cwd,
            env=self.env,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            reach=self.reach,
        )


async def connect(launch: HostLaunch, *, sockets: bool = HAS_SOCKETS) -> Link:
    """Start a process and return its link. Raises OSError."""
    return await _connect_by_socket(launch) if sockets else _PipeLink(launch)


class _SocketLink(asyncio.Protocol):
    """A link whose channel is a separate descriptor, so that handlers can write to stdout and stderr."""

    process: subprocess.Popen[bytes]

    def __init__(self, launch: HostLaunch) -> None:
        self.data_received = launch.on_data  # type: ignore[assignment]  # one call less for each message
        self._on_end = launch.on_end
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()
        self._tail = _Tail(launch.on_output)
        self._open: dict[int, tuple[int, IO[bytes]]] = {}
        if sys.platform != "win32":
            self._readable = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the base class's name
        self._on_end()

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def listen(self) -> None:
        """Start to read the output of the standard descriptors."""
        for descriptor, stream in ((1, self.process.stdout), (2, self.process.stderr)):
            if sys.platform != "win32" and stream is not None:
                number = stream.fileno()
                os.set_blocking(number, False)
                self._open[number] = descriptor, stream
                self._readable.register(number, select.POLLIN)
                self._loop.add_reader(number, self._read, number)

    def drain(self) -> None:
        # Called for each message, and there is rarely any output: one poll costs less than two reads that fail.
        if sys.platform != "win32":
            for number, _ in self._readable.poll(0):
                while self._read(number):
                    pass

    async def last_words(self) -> str:
        until = self._loop.time() + 0.2
        self.drain()
        while self._open and self._loop.time() < until:  # a child of the process may hold them open
            await asyncio.sleep(0.005)
            self.drain()
        return self._tail.text()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
        for number in list(self._open):
            self._forget(number)

    def _read(self, number: int) -> bool:
        """Pass on a chunk, and return whether more may be available immediately."""
        try:
            data = os.read(number, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            self._forget(number)
            return False
        descriptor, _ = self._open[number]
        self._tail.take(descriptor, data)
        return len(data) == _CHUNK

    def _forget(self, number: int) -> None:
        if sys.platform != "win32" and (link := self._open.pop(number, None)) is not None:
            self._loop.remove_reader(number)
            self._readable.unregister(number)
            link[1].close()


class _Tail:
    """Passes on output, and stores the last kilobytes of standard error."""

    def __init__(self, on_output: OnOutput) -> None:
        self._on_output = on_output
        self._kept = bytearray()

    def take(self, descriptor: int, data: bytes) -> None:
        """Pass on some output."""
        if descriptor == 2:
            self._kept += data
            del self._kept[:-_TAIL]
        self._on_output(descriptor, data)

    def text(self) -> str:
        """Return the stored text."""
        return bytes(self._kept).decode("utf-8", "replace")


async def _connect_by_socket(launch: HostLaunch) -> _SocketLink:
    loop = asyncio.get_running_loop()
    link = _SocketLink(launch)
    ours, theirs = socket.socketpair()
    try:
        for end in (ours, theirs):
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                end.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        ours.setblocking(False)
        await loop.create_connection(lambda: link, sock=ours)
        channel = theirs.fileno()
        link.process = launch.start(channel, channel, stdin=subprocess.DEVNULL, pass_fds=(channel,))
    except BaseException:
        link.close()
        ours.close()
        raise
    finally:
        theirs.close()
    link.listen()
    return link


class _PipeLink:
    """A link whose channel is stdin and stdout, each served by a thread. It works on every system."""

    def __init__(self, launch: HostLaunch) -> None:
        self._loop = asyncio.get_running_loop()
        self._tail = _Tail(launch.on_output)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.process = launch.start(0, 1, stdin=subprocess.PIPE)
        self._errors_ended = asyncio.Event()
        targets = (
            partial(self._read, self.process.stdout, launch.on_data, launch.on_end),
            partial(self._read, self.process.stderr, partial(self._tail.take, 2), self._errors_ended.set),
            self._send,
        )
        self._threads = [threading.Thread(target=target, daemon=True) for target in targets]
        for thread in self._threads:
            thread.start()

    def write(self, data: bytes) -> None:
        self._queue.put(data)

    def drain(self) -> None:
        """Do nothing: the threads pass on the output as it arrives."""

    async def last_words(self) -> str:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._errors_ended.wait(), 0.2)
        return self._tail.text()

    def close(self) -> None:
        self._queue.put(None)
        for thread in self._threads:  # all end as soon as the process has ended
            thread.join()

    def _read(self, stream: Any, on_data: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        with contextlib.suppress(OSError, ValueError), stream:
            while data := stream.read1(_CHUNK):
                self._tell(on_data, data)
        self._tell(on_end)

    def _send(self) -> None:
        stream: Any = self.process.stdin
        with contextlib.suppress(OSError, ValueError), stream:
            while (data := self._queue.get()) is not None:
                stream.write(data)
                stream.flush()

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(callback, *arguments)
