"""Run an emulator: its lock, its port, and the thread that serves it."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import socket
import sys
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import wait
from contextlib import AsyncExitStack, ExitStack, suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

from ckfunc.base.clock import Clock
from ckfunc.base.errors import Busy, CkfuncError, SystemRefusal
from ckfunc.base.interrupts import wait_for_interrupt
from ckfunc.emulator.data_directory import (
    DATABASE,
    UnusableDirectory,
    find_running,
    lock_directory,
    remove_address,
    write_address,
)
from ckfunc.emulator.http.auth import is_loopback
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.store.trouble import UnwritableDatabase
from ckfunc.model.execution import HandlerError
from ckfunc.runtime.pool import HostPool

if sys.platform != "win32":
    import uvloop

if TYPE_CHECKING:
    from ckfunc.emulator.services import EmulatorServices

T = TypeVar("T")

_ANY = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to

STARTING_S = 5.0
"""How long an emulator may hold its data directory without answering: while it starts, and while it ends."""

_SWITCH_S = 0.0005
"""How long a thread that reads a large body may keep the event loop from going on after each system call.

A request makes up to 20 of them. Python's own interval is 5 ms.
"""


class Emulator:
    """A local platform with its own thread.

    `data_dir` None keeps everything in memory. Packages are installed into `cache`.
    """

    def __init__(self, data_dir: Path | None, options: EmulatorOptions | None = None, *, cache: Path) -> None:
        self._data_dir = data_dir
        self._options = options or EmulatorOptions()
        self._cache = cache
        host = self._options.host
        self._host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        self._on_event = _harmless(self._options.on_event)
        self._services: EmulatorServices | None = None
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None
        self._finish = False
        self.url = ""
        """The base URL, once started."""

    def start(self) -> str:
        """Serve in a background thread, and return the base URL once it answers.

        Raises Busy if the port or the data directory is taken, UnusableDatabase and SeedRefused.
        """
        with ExitStack() as held:
            listener = held.enter_context(self._listen())
            if self._data_dir is not None:
                held.enter_context(lock_directory(self._data_dir))
            port = listener.getsockname()[1]
            shown = "127.0.0.1" if self._host in _ANY else self._host
            self.url = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
            opened = held.pop_all()
        thread = threading.Thread(target=self._run, args=(listener, opened), name="ckfunc-emulator", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the process limit is reached
            opened.close()
            raise
        self._thread = thread
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            self._thread = None
            raise self._failure
        return self.url

    def stop(self, *, finish: bool = False) -> None:
        """Stop serving and end every Node process; does nothing if the emulator is not running.

        Runs in progress are cancelled, unless `finish` waits for them and for the runs that they cause. Raises the
        error that ended the emulator earlier, if any.
        """
        if self._thread is None:
            return
        if self._loop is not None and self._end is not None and self._thread.is_alive():
            self._finish = finish
            with suppress(RuntimeError):  # the loop has just ended on its own
                self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._thread = None
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run_forever(self, on_ready: Callable[[str], None]) -> None:
        """Serve until SIGINT, SIGTERM or SIGHUP; `on_ready` gets the base URL. Call it on the main thread."""
        wait_for_interrupt(
            lambda: on_ready(self.start()),
            needed=lambda: self._thread is not None and self._thread.is_alive(),
            on_end=self.stop,
        )

    def within(self, work: Callable[[EmulatorServices], Awaitable[T]]) -> T:
        """Run work on the emulator's thread, with its services, and wait for the result. Call it from another thread.

        An interrupt cancels the work.
        """
        if self._services is None or self._loop is None:
            raise RuntimeError("the emulator is not running")
        services = self._services

        async def done() -> T:
            return await work(services)

        doing = asyncio.run_coroutine_threadsafe(done(), self._loop)
        try:
            # A wait without a time limit cannot be interrupted by Ctrl-C on Windows.
            while not wait((doing,), 0.5).done:
                pass
            return doing.result()
        finally:
            doing.cancel()

    def snapshot(self) -> bytes:
        """Return all data of an in-memory emulator, after waiting for runs in progress."""
        self._require_memory()

        async def taken(services: EmulatorServices) -> bytes:
            await services.idle()
            return services.database.snapshot()

        return self.within(taken)

    def restore(self, snapshot: bytes) -> None:
        """Restore all data to a snapshot, as if nothing had happened since: ids are used again.

        Processes of functions stay warm, and tokens stay valid. Requests that handlers of earlier runs still send are
        refused.
        """
        self._require_memory()

        async def put_back(services: EmulatorServices) -> None:
            await services.idle()
            services.database.restore(snapshot)
            services.dispatch.data_replaced()
            services.topics.disconnect_all("the emulator's data was restored")

        self.within(put_back)

    def _require_memory(self) -> None:
        if self._data_dir is not None:
            raise ValueError("only an emulator in memory has snapshots")

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        # With the protocol named, asyncio turns Nagle's algorithm off: an answer is not delayed by 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if hasattr(signal, "SIGHUP"):  # POSIX: a port in TIME_WAIT is free; on Windows this would share a taken one
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and socket.has_dualstack_ipv6():  # the URL names 127.0.0.1
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.bind((self._host, self._options.port))
            listener.listen(2048)
        except (OSError, OverflowError, UnicodeError, TypeError) as error:  # TypeError: a host that is not text
            listener.close()
            raise self._cannot_listen(error) from None
        return listener

    def _cannot_listen(self, error: Exception) -> Busy:
        """Return the error for a failure to listen, with a hint for the host or the port."""
        host, number = self._host, getattr(error, "errno", None)
        hint: str | None
        if isinstance(error, socket.gaierror | UnicodeError | TypeError):
            reason = f"{host!r} is not an address of this machine"
            hint = "choose another host, such as 127.0.0.1 or ::1"
        elif number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            reason = getattr(error, "strerror", None) or str(error)
            hint = "choose an address of this machine, such as 127.0.0.1"
        elif number == errno.EACCES:
            reason, hint = "Permission denied", "choose another port, from 1024 on (0 takes any free one)"
        elif isinstance(error, OverflowError):
            reason, hint = "no such port", "choose a port from 0 to 65535"
        else:
            reason = getattr(error, "strerror", None) or str(error)
            hint = SystemRefusal.advice(number or 0)
            if hint is None and self._options.port:  # otherwise the system chose the port
                hint = "choose another --port (0 takes any free one), or stop what uses it"
        shown = f"[{host}]" if ":" in host else host
        return Busy(f"cannot listen on {shown}:{self._options.port}: {reason}", hint=hint)

    def _run(self, listener: socket.socket, opened: ExitStack) -> None:
        with opened:
            try:
                sys.setswitchinterval(_SWITCH_S)
                with asyncio.Runner(loop_factory=_new_loop) as runner:
                    runner.run(self._serve(listener))
            except BaseException as error:
                self._failure = error
            finally:
                self._ready.set()

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        async with AsyncExitStack() as opened:
            options, hosts = self._options, self._host_pool()
            opened.push_async_callback(hosts.close)
            if options.ahead is not None:
                environment = await asyncio.to_thread(options.ahead, self.url)
                if not isinstance(environment, HandlerError):
                    hosts.boot_ahead(environment)
                # Node needs the loop to boot, and importing the rest takes equally long.
                await asyncio.to_thread(import_module, "ckfunc.emulator.services")
            from ckfunc.emulator.services import open_services

            services = open_services(
                opened, self._data_dir, options, url=self.url, hosts=hosts, cache=self._cache, on_event=self._on_event
            )
            # Meanwhile, the process of the first function boots.
            await asyncio.to_thread(import_module, "ckfunc.emulator.asgi")
            from ckfunc.emulator.asgi import server_of

            server = server_of(services, loopback_only=is_loopback(self._host))
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            while not server.started and not serving.done():
                await asyncio.sleep(0.001)
            if self._data_dir is not None:
                write_address(self._data_dir, self.url, services.database.id)
                opened.callback(remove_address, self._data_dir)
            self._services = services
            self._ready.set()
            ending = asyncio.create_task(self._end.wait())
            await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
            ending.cancel()
            if self._finish and not serving.done():
                await services.dispatch.finish()
            server.end()
            await serving

    def _host_pool(self) -> HostPool:
        options = self._options
        owner = options.owner or self._data_dir
        return HostPool(
            limits=options.limits,
            cache=self._cache,
            on_event=self._on_event,
            spares=options.spares,
            inspect_port=options.inspect_port,
            owner=None if owner is None else str(owner.resolve()),
            policy=options.policy,
            on_coverage=options.on_coverage,
        )


if sys.platform == "win32":

    def _new_loop() -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

else:

    def _new_loop() -> asyncio.AbstractEventLoop:
        """Return an event loop of uvloop, which does the same work in less time. It is not available on Windows."""
        return uvloop.new_event_loop()


def _harmless(tell: Callable[[str], None] | None) -> Callable[[str], None]:
    """Return a function that calls `tell` and never raises: a closed terminal does not break a run."""

    def safe(text: str) -> None:
        if tell is not None:
            try:
                tell(text)
            except Exception:
                logging.getLogger("ckfunc.emulator").exception("an event could not be displayed")

    return safe


def start_embedded(data: Path, options: EmulatorOptions, cache: Path, clock: Clock) -> tuple[str, Emulator | None]:
    """Start an emulator of `data`, and return its address and the emulator.

    If another process starts one at the same time, return its address, and None. If `data` cannot be written to, the
    emulator serves a copy and refuses changes, unless a port or a seed was given. Raises Busy after STARTING_S, and
    UnwritableDatabase if the data cannot be read either.
    """
    emulator = Emulator(data, options, cache=cache)
    read_only = False
    until_s = clock.monotonic_s() + STARTING_S
    while True:
        try:
            return emulator.start(), emulator
        except (UnusableDirectory, UnwritableDatabase) as problem:
            if read_only or options.port or options.seed is not None or not problem.unwritable:
                raise
            emulator, read_only = _read_only(data, options, cache, problem), True
        except Busy:
            # The process that holds the directory is about to answer, or about to release it.
            if (running := find_running(data)) is not None:
                return running, None
            if clock.monotonic_s() > until_s:
                raise
            clock.sleep(0.05)


def _read_only(data: Path, options: EmulatorOptions, cache: Path, problem: CkfuncError) -> Emulator:
    """Return an emulator that serves a copy of the data and refuses every change, for the reason in `problem`."""
    if options.on_event is not None:
        options.on_event(f"emulator: read-only: {problem.message}")
    reason = problem.sentence
    copy_of = data if (data / DATABASE).is_file() else None
    return Emulator(None, replace(options, copy_of=copy_of, unwritable=reason, spares=False), cache=cache)
