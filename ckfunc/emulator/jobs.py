"""Imports and exports in the background, one after another, in small steps.

Each job has a thread and a connection of its own. A database in memory has one connection: its jobs run on the event
loop, between other requests. JSON arrays of any length are read one entry at a time, and written in batches.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from ckfunc.base.documents import json_error
from ckfunc.base.frozen import frozen
from ckfunc.emulator.http.bodies import DECODER, check_values
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store import files, imports, jobs
from ckfunc.emulator.store.database import Database, connect
from ckfunc.emulator.store.database_file import checkpoint, is_long, log_of
from ckfunc.emulator.store.files import StoredFile
from ckfunc.emulator.store.jobs import JobFailed
from ckfunc.emulator.store.steps import Steps
from ckfunc.emulator.store.trouble import trouble_with
from ckfunc.model.job import Job, JobType
from ckfunc.wire.reading import Malformed

T = TypeVar("T")

INTERRUPTED = "the emulator stopped before this job ended"
MOST_WAITING = 20
"""Jobs that may wait for their turn. Each holds its file in memory."""

# A thread that never pauses delays the others: each of their system calls would wait some milliseconds.
_PAUSE_S = 0.001

_BATCH_ROWS = 500

_BLANKS = re.compile(r"[ \t\r\n]*")

_LOG = logging.getLogger("ckfunc.emulator")


@frozen
class Attempt:
    """What the work of a job receives."""

    job_id: int
    database: Database
    loop: asyncio.AbstractEventLoop | None
    """The event loop, if the work runs on another thread."""
    main: Database
    """The connection of the event loop."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Run a transaction during which the event loop stands still; keep it to a few milliseconds.

        Otherwise the loop would meet a locked database, and SQLite sleeps for up to 100 ms between two tries.
        """
        if self.loop is None:
            with self.database.transaction():
                yield
            return
        begun, over = threading.Event(), threading.Event()

        def stand_still() -> None:
            self.main.commit()  # it would lock the database for as long as it stands still
            begun.set()
            over.wait()

        self.loop.call_soon_threadsafe(stand_still)
        begun.wait()
        try:
            with self.database.transaction():
                yield
        finally:
            over.set()


Work = Callable[[Attempt], Steps]


class Jobs:
    """Run the jobs. Its methods belong to the event loop's thread; `path` is the database's file, None in memory."""

    def __init__(self, database: Database, path: Path | None, on_event: Callable[[str], None]) -> None:
        self._database = database
        self._path = path
        self._on_event = on_event
        self._waiting: deque[tuple[Job, Work]] = deque()
        self._working: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self.alone = asyncio.Lock()
        """Held while much data is added: by a job, or by a seed."""

    def start(self, kind: JobType, work: Work) -> Job:
        """Store a job that will run in its turn. Raises Refused if too many are waiting."""
        if len(self._waiting) >= MOST_WAITING:
            raise Refused(f"{MOST_WAITING} jobs are already waiting; try again when some have ended")
        job = jobs.create(self._database, kind)
        self._waiting.append((job, work))
        if self._working is None or self._working.done():
            self._working = asyncio.get_running_loop().create_task(self._work())
        return job

    @property
    def busy(self) -> bool:
        """Whether a job waits or runs."""
        return self._working is not None and not self._working.done()

    async def close(self) -> None:
        """Stop; unfinished jobs FAIL."""
        self._stopping.set()
        if self._working is not None:
            await self._working

    async def _work(self) -> None:
        while self._waiting:
            job, work = self._waiting.popleft()
            async with self.alone:
                failure = await self._attempt(job, work)
            if failure is not None:
                # A failure that cannot be stored leaves the job RUNNING until the next start.
                with suppress(sqlite3.DatabaseError):
                    jobs.fail(self._database, job.id, failure)
            result = "FINISHED" if failure is None else f"FAILED: {failure}"
            self._on_event(f"job {job.id} {job.type.value} {result}")

    async def _attempt(self, job: Job, work: Work) -> str | None:
        """Run a job; return the reason if it failed, or None."""
        try:
            jobs.begin(self._database, job.id)
            if self._path is None:
                await self._on_the_loop(job, work)
            else:
                await asyncio.to_thread(self._on_a_thread, self._path, job, work, asyncio.get_running_loop())
        except JobFailed as error:
            return str(error)
        except Exception as error:
            trouble = trouble_with(self._path, error)
            if trouble is not None:
                return f"the emulator's database cannot be used: {trouble.sentence}"
            _LOG.exception("job %s failed", job.id)
            return f"the emulator failed to run this job: {type(error).__name__}: {error}"
        return None

    async def _on_the_loop(self, job: Job, work: Work) -> None:
        await asyncio.sleep(0)  # the request is answered first
        for _ in self._steps(Attempt(job.id, self._database, None, self._database), work):
            await asyncio.sleep(0)

    def _on_a_thread(self, path: Path, job: Job, work: Work, loop: asyncio.AbstractEventLoop) -> None:
        log = log_of(path)
        with closing(connect(path)) as database:
            # SQLite's own checkpoints run within commits, while the event loop stands still.
            database.execute("PRAGMA wal_autocheckpoint = 0")
            for _ in self._steps(Attempt(job.id, database, loop, self._database), work):
                if is_long(log):
                    checkpoint(path)
                time.sleep(_PAUSE_S)

    def _steps(self, attempt: Attempt, work: Work) -> Steps:
        """Take the steps of a job; if one fails, undo what the others have written."""
        yield from imports.undo_unfinished(attempt.database, attempt.turn)  # an earlier undo that did not finish
        with closing(work(attempt)) as steps:
            try:
                for _ in steps:
                    self._continue()
                    yield
            except Exception:
                steps.close()
                for _ in imports.undo_unfinished(attempt.database, attempt.turn):
                    self._continue()  # the next start undoes the rest
                    yield
                raise

    def _continue(self) -> None:
        if self._stopping.is_set():
            raise JobFailed(INTERRUPTED)


def entries(content: bytes, read: Callable[[Any], T]) -> Iterator[T]:
    """Yield the entries of a JSON array, each read with `read`. Raises JobFailed, naming the entry."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JobFailed(f"the file is not UTF-8 (byte {error.start})") from None
    for number, (document, source) in enumerate(_documents(text), 1):
        try:
            check_values(document, source)
            yield read(document)
        except (Malformed, Refused) as error:
            raise JobFailed(f"entry {number}: {error}") from None


def is_array(content: bytes) -> bool:
    """Return whether a file begins like a JSON array."""
    return content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def export(attempt: Attempt, name: str, rows: Callable[[Database], Iterator[dict[str, Any]]]) -> Steps:
    """Write `rows` to a file, as a JSON array with a line for each, and finish the job with it."""
    content = bytearray()
    for number, row in enumerate(rows(attempt.database), 1):
        line = json.dumps(row, ensure_ascii=False).encode("utf-8", "replace")
        content += (b",\n" if content else b"[\n") + line
        if number % _BATCH_ROWS == 0:
            yield
    content += b"\n]\n" if content else b"[\n]\n"
    file = StoredFile(f"{name}-{attempt.job_id}.json", "application/json", bytes(content))
    yield from files.store_parts(attempt.database, file, attempt.turn)
    with attempt.turn():
        jobs.finish(attempt.database, attempt.job_id, files.FILE_URL + files.add(attempt.database, file))


def _documents(text: str) -> Iterator[tuple[Any, str]]:
    """Yield the array's entries, each with its source text."""
    at = _after_blanks(text, 0)
    if text[at : at + 1] != "[":
        raise JobFailed("the file is not a JSON array")
    at = _after_blanks(text, at + 1)
    closed = text[at : at + 1] == "]"
    while not closed:
        try:
            document, end = DECODER.raw_decode(text, at)
        except RecursionError:
            raise JobFailed("the file is nested too deeply") from None
        except ValueError as error:
            raise JobFailed(f"the file is not JSON: {json_error(error)}") from None
        yield document, text[at:end]
        at = _after_blanks(text, end)
        closed = text[at : at + 1] == "]"
        if not closed and text[at : at + 1] != ",":
            line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
            raise JobFailed(
                f"the file is not JSON: a comma or a closing bracket is expected at line {line}, column {column}"
            )
        at = at + 1 if closed else _after_blanks(text, at + 1)
    if _after_blanks(text, at + (text[at : at + 1] == "]")) != len(text):
        raise JobFailed("the file is not JSON: more text follows the array")


def _after_blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return at if match is None else match.end()
