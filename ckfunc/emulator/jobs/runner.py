"""How jobs are done: in the order in which they came, each on a thread and a connection of its own.

A database in memory has one connection. There a job is done at once, on the event loop, and the rest waits for it.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store import jobs
from ckfunc.emulator.store.database import Database, connect
from ckfunc.emulator.store.jobs import JobFailed
from ckfunc.emulator.store.trouble import trouble_with
from ckfunc.model.job import Job, JobType

STOPPED = "the emulator stopped before this job ended"
MOST_WAITING = 20
"""Jobs that may wait for their turn. Each keeps its file in memory."""

# A thread that never waits holds the others up: each of their system calls costs them a turn of some milliseconds.
_PAUSE_S = 0.001

_LOG = logging.getLogger("ckfunc.emulator")


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a job's work gets."""

    job_id: int
    database: Database
    stopping: threading.Event
    beside: bool
    """Whether it runs beside the event loop."""

    def pause(self) -> None:
        """Let others have their turn; call it every few milliseconds, and never within a transaction.

        Raises JobFailed when the emulator stops.
        """
        if self.stopping.is_set():
            raise JobFailed(STOPPED)
        if self.beside:
            time.sleep(_PAUSE_S)

    def finish(self, file: str | None = None) -> None:
        """Say that the job is done; call it within the transaction that makes its work real."""
        jobs.finish(self.database, self.job_id, file)


Work = Callable[[Attempt], None]


class Jobs:
    """Does the jobs. Its methods belong to the event loop's thread; `path` is the database's file, None in memory."""

    def __init__(self, database: Database, path: Path | None, on_event: Callable[[str], None]) -> None:
        self._database = database
        self._path = path
        self._on_event = on_event
        self._waiting: deque[tuple[Job, Work]] = deque()
        self._working: asyncio.Task[None] | None = None
        self._stopping = threading.Event()

    def start(self, kind: JobType, work: Work) -> Job:
        """Store a job that will be done in its turn. Raises Refused when too many are waiting."""
        if len(self._waiting) >= MOST_WAITING:
            raise Refused(f"{MOST_WAITING} jobs are waiting already; try again when some have ended")
        job = jobs.create(self._database, kind)
        self._waiting.append((job, work))
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work())
        return job

    @property
    def busy(self) -> bool:
        """Whether a job waits or is being done."""
        return self._working is not None and not self._working.done()

    async def close(self) -> None:
        """Stop; jobs that are not done FAIL."""
        self._stopping.set()
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        while self._waiting:
            job, work = self._waiting.popleft()
            failure = await self._attempt(job, work)
            if failure is not None:
                # What cannot be stored stays RUNNING until the next start.
                with suppress(sqlite3.DatabaseError):
                    jobs.fail(self._database, job.id, failure)
            told = "FINISHED" if failure is None else f"FAILED: {failure}"
            self._on_event(f"job {job.id} {job.type.value} {told}")

    async def _attempt(self, job: Job, work: Work) -> str | None:
        """Do a job; return why it failed, or None."""
        try:
            jobs.begin(self._database, job.id)
            if self._path is None:
                await asyncio.sleep(0)  # the request is answered first
                work(Attempt(job.id, self._database, self._stopping, beside=False))
            else:
                await asyncio.to_thread(self._beside, self._path, job, work)
        except JobFailed as error:
            return str(error)
        except Exception as error:
            trouble = trouble_with(self._path, error)
            if trouble is not None:
                return f"the emulator's database cannot be used: {trouble.sentence}"
            _LOG.exception("job %s failed", job.id)
            return f"the emulator failed to do this: {type(error).__name__}: {error}"
        return None

    def _beside(self, path: Path, job: Job, work: Work) -> None:
        with closing(connect(path)) as database:
            work(Attempt(job.id, database, self._stopping, beside=True))
