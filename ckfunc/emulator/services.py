"""The services of one emulator, shared by everything that answers requests."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from ckfunc.emulator.actions.context import ActionContext
from ckfunc.emulator.actions.users import TypingUsers
from ckfunc.emulator.data import Snapshots
from ckfunc.emulator.dispatch.dispatcher import Dispatcher
from ckfunc.emulator.dispatch.topics import Topics
from ckfunc.emulator.http.auth import Tokens
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.faults import Faults
from ckfunc.emulator.http.problems import Broken, HttpProblem, Refused, Unstorable
from ckfunc.emulator.http.request_log import RequestLog
from ckfunc.emulator.jobs import Jobs
from ckfunc.emulator.options import ConversationDrafts, DraftCase, WorkingCopy
from ckfunc.emulator.store import files, seeds
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import Steps, release_space
from ckfunc.emulator.store.trouble import damage, misread, trouble_with
from ckfunc.model.job import Seed, Seeded
from ckfunc.runtime.pool import HostPool

T = TypeVar("T")

_LOG = logging.getLogger("ckfunc.emulator")

_LOOK_S = 0.002
_REQUESTS_END_S = 5.0
"""How long to wait for the end of requests that handlers have begun."""


@dataclass(frozen=True, slots=True)
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
    topics: Topics = field(default_factory=Topics)
    typing: TypingUsers = field(default_factory=TypingUsers)
    requests: RequestLog = field(default_factory=RequestLog)
    faults: Faults = field(default_factory=Faults)
    gate: Gate = field(default_factory=Gate)
    draft_case: DraftCase | None = None
    """Drafts test cases for runs; None if the emulator does not belong to a command."""
    conversations: Callable[[], ConversationDrafts] | None = None
    """Returns what makes test cases of conversations; None if no data is saved."""
    working_copy: Callable[[], WorkingCopy] | None = None
    """Returns the project's working copy; None outside of a project."""
    unwritable: str | None = None
    """Why nothing may be changed: requests that would change something are refused with this reason."""
    form_key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    """What the dashboard's forms must send, so that other sites cannot send them."""
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server stops: streams end."""

    def context(self, call: Call) -> ActionContext:
        """Return the context of an action that a request asks for."""
        return ActionContext(self.database, self.dispatch, self.topics, call.links, caller=call.caller)

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
