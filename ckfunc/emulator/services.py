"""The services of one emulator, opened with its data."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from ckfunc.base.clock import SystemClock
from ckfunc.base.frozen import frozen
from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.actions.users import TypingUsers
from ckfunc.emulator.data import Snapshots
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.dispatch.dispatcher import STOPPED, Dispatcher
from ckfunc.emulator.dispatch.topics import Topics
from ckfunc.emulator.http.auth import Tokens
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.faults import Faults
from ckfunc.emulator.http.problems import Broken, HttpProblem, Refused, Unstorable
from ckfunc.emulator.http.request_log import RequestLog
from ckfunc.emulator.jobs import INTERRUPTED, Jobs
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.store import application, files, imports, invocations, jobs, seeds, sessions, steps
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.database_file import Checkpoints, copied, open_data
from ckfunc.emulator.store.steps import Steps, release_space
from ckfunc.emulator.store.trouble import damage, misread, reporting, trouble_with
from ckfunc.model.chat import User
from ckfunc.model.job import Seed, Seeded
from ckfunc.runtime.compiler import CompilerProcess
from ckfunc.runtime.policy import Policy
from ckfunc.runtime.pool import HostPool

T = TypeVar("T")

_LOG = logging.getLogger("ckfunc.emulator")

_LOOK_S = 0.002
_REQUESTS_END_S = 5.0
"""How long to wait for the end of requests that handlers have begun."""


@frozen
class WebPage:
    """The project's web page. `client` returns the vendor's chat client for browsers."""

    directory: Path | None
    client: Callable[[], bytes]


class Gate:
    """Holds writing requests back while all data is replaced. Belongs to the event loop's thread."""

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


@dataclass(slots=True)
class EmulatorServices:
    """The services of one emulator."""

    database: Database
    tokens: Tokens
    dispatch: Dispatcher
    jobs: Jobs
    hosts: HostPool
    data_dir: Path | None
    web: WebPage
    snapshots: Snapshots
    options: EmulatorOptions
    topics: Topics = field(default_factory=Topics)
    typing: TypingUsers = field(default_factory=TypingUsers)
    requests: RequestLog = field(default_factory=RequestLog)
    faults: Faults = field(default_factory=Faults)
    gate: Gate = field(default_factory=Gate)
    form_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """What the dashboard's forms must send, so that other sites cannot send them."""
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops: streams end."""

    def context(self, call: Call, actor: User | None = None) -> ActionContext:
        """Return the context of an action that a request asks for; `actor` is the user who does it, if any."""
        return ActionContext(self.database, self.dispatch, self.topics, call.links, caller=call.caller, actor=actor)

    def failed(self, error: Exception, task: str) -> HttpProblem:
        """Return the answer to an unexpected error: a database problem, or a bug of the emulator."""
        trouble = trouble_with(self.database.path, error)
        if trouble is None and misread(error):
            trouble = damage(f"a stored value cannot be read: {error}"[:200])
        if trouble is not None:
            return Unstorable(trouble.sentence)
        _LOG.error("%s failed", task, exc_info=error)
        return Broken(f"{type(error).__name__}: {error}")

    @asynccontextmanager
    async def storing(self, call: Call) -> AsyncIterator[None]:
        """Store the file of a form in steps before a handler stores what refers to it.

        Afterwards, delete in steps what the handler has not used or has replaced.
        """
        upload = None
        if call.is_multipart:
            with suppress(Refused):  # the handler reports it
                upload = call.upload()
        try:
            if upload is not None and len(upload.content) > files.PART_BYTES:
                await result_of(files.store_parts(self.database, upload, self.database.transaction), self.database)
            yield
            await self.database.stored(at_once=True)
        finally:
            if upload is not None:
                files.discard_unfinished(self.database, upload.key)
            await result_of(files.delete_discarded(self.database), self.database)

    async def add_seed(self, seed: Seed) -> Seeded:
        """Add what a seed holds and the database does not, in steps, after a running job. Raises Refused."""
        try:
            async with self.jobs.alone:
                return await result_of(seeds.in_steps(self.database, seed), self.database)
        except seeds.SeedRefused as problem:
            raise Refused(problem.message) from None

    async def idle(self) -> None:
        """Wait until nothing is in progress that would change the data."""
        while self.dispatch.running or self.jobs.busy:
            await asyncio.sleep(0.002)
        until = time.monotonic() + _REQUESTS_END_S
        while self.dispatch.recorder.busy and time.monotonic() < until:
            await asyncio.sleep(0.002)


async def result_of(steps: Generator[None, None, T], written: Database | None = None) -> T:
    """Take steps and return their result; other requests are answered in between.

    Steps that write to a database wait for its checkpoints: if the log grew meanwhile, requests would have to wait.
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)
        if written is not None and written.checkpoint is not None:
            await asyncio.wrap_future(written.checkpoint)


async def delete_in_steps(database: Database, steps: Steps) -> None:
    """Take the steps of a deletion, then return its disk space; other requests are answered in between."""
    for part in (steps, files.delete_discarded(database), release_space(database)):
        await result_of(part, database)


def open_services(
    opened: AsyncExitStack,
    data_dir: Path | None,
    options: EmulatorOptions,
    *,
    url: str,
    hosts: HostPool,
    cache: Path,
    on_event: Callable[[str], None],
) -> EmulatorServices:
    """Open the data of `data_dir` and start the services that use it.

    Without `data_dir`, the data is in memory. `on_event` never raises. Everything is closed with `opened`, the hosts
    too. Raises UnusableDatabase and SeedRefused.
    """
    path = None if data_dir is None else data_dir / DATABASE
    database = opened.enter_context(closing(_opened(path, options.copy_of)))
    with reporting(path):
        make_ready(database)
        if options.seed is not None:
            seeds.apply(database, options.seed)
    database.group_commits(asyncio.get_running_loop().call_soon)
    if path is not None:
        opened.callback(Checkpoints(database, path).close)
    tokens = Tokens(SystemClock(), options.token_lifetime_s)
    compiler = options.compiler or opened.enter_context(CompilerProcess())
    opened.push_async_callback(hosts.close)  # before the database
    dispatcher = Dispatcher(
        database,
        hosts=hosts,
        compiler=compiler,
        base_url=url,
        on_event=on_event,
        keep_invocations=options.keep_invocations,
        spares=options.spares,
    )
    opened.push_async_callback(dispatcher.close)
    if options.ahead is None:
        dispatcher.boot_ahead()
    background = Jobs(database, path, on_event)
    opened.push_async_callback(background.close)
    snapshots = opened.enter_context(closing(Snapshots(data_dir)))
    web = WebPage(options.web, partial(_chat_client, cache, on_event, options.policy))
    return EmulatorServices(database, tokens, dispatcher, background, hosts, data_dir, web, snapshots, options)


def _chat_client(cache: Path, on_event: Callable[[str], None], policy: Policy) -> bytes:
    # Not at the top of the module: an emulator starts without the bundler.
    from ckfunc.bundle.esbuild import chat_client

    return chat_client(cache, on_event, policy())


def _opened(path: Path | None, copy_of: Path | None) -> Database:
    return open_data(path) if copy_of is None else copied(copy_of / DATABASE)


def make_ready(database: Database) -> None:
    """Add what every emulator has, and end what an earlier emulator has left unfinished."""
    application.create_if_missing(database)
    invocations.end_abandoned(database, STOPPED)
    sessions.end_all(database)
    steps.run(imports.undo_unfinished(database, database.transaction))
    files.discard_unfinished(database)
    steps.run(files.delete_discarded(database))
    jobs.fail_abandoned(database, INTERRUPTED)
