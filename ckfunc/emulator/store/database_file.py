"""The emulator's database file: tables, migrations, copies and checkpoints."""

from __future__ import annotations

import os
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TypeVar

from ckfunc.emulator.store import (
    application,
    channels,
    conversations,
    files,
    functions,
    imports,
    invocations,
    jobs,
    memberships,
    messages,
    notifications,
    reading,
    sessions,
    users,
)
from ckfunc.emulator.store.database import LOG_BYTES, Database, open_database, prepared
from ckfunc.emulator.store.trouble import reporting, trouble_with

T = TypeVar("T")

SCHEMA: tuple[str, ...] = (
    application.SCHEMA,
    functions.COMPILED_SCHEMA,
    functions.SCHEMA,
    invocations.SCHEMA,
    files.SCHEMA,
    users.SCHEMA,
    channels.SCHEMA,
    memberships.SCHEMA,
    channels.THREADS_SCHEMA,
    messages.SCHEMA,
    reading.REACTIONS_SCHEMA,
    reading.RECEIPTS_SCHEMA,
    notifications.SCHEMA,
    sessions.SCHEMA,
    users.SECRETS_SCHEMA,
    jobs.SCHEMA,
    imports.SCHEMA,
    imports.STEPS_SCHEMA,
    conversations.SCHEMA,
    memberships.BLOCKS_SCHEMA,
    sessions.TYPING_SCHEMA,
)

_CLIENTS_ADDED = ";".join(
    (sessions.TOKENS_ADDED, messages.REASONS_ADDED, conversations.SCHEMA, memberships.BLOCKS_SCHEMA)
)

MIGRATIONS: tuple[str, ...] = (
    invocations.CALLS_ADDED,
    imports.STEPS_SCHEMA,
    _CLIENTS_ADDED,
    sessions.TYPING_SCHEMA,
    files.PARTS_ADDED,
    invocations.RESULTS_ADDED,
)
"""SQL that brings a database from one version of its format to the next: the first script from 1 to 2, and so on."""


_LONGEST_LOG_BYTES = 4 * LOG_BYTES
"""The size of a write-ahead log from which commits wait for the end of a checkpoint."""


_LOOK_S = 0.005
"""The time between two looks at the size of the log, in which a few megabytes can be written."""


class Checkpoints:
    """Runs a checkpoint each time that the write-ahead log of `database`, whose file is `path`, has grown.

    A checkpoint waits for the disk: on the event loop's thread, every request would wait with it.
    """

    def __init__(self, database: Database, path: Path) -> None:
        self._path, self._log = path, str(log_of(path))
        self._thread = ThreadPoolExecutor(1, "ckfunc-checkpoints")
        self._size_before = 0
        self._next_look_s = 0.0
        self._database = database
        database.on_commit = self._committed
        database.execute("PRAGMA wal_autocheckpoint = 0")  # SQLite's own run within commits

    def close(self) -> None:
        """Wait for the end of a checkpoint. SQLite runs another one when the database is closed."""
        self._database.on_commit = None
        self._thread.shutdown()

    def _committed(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + _LOOK_S
        latest = self._database.checkpoint
        if latest is not None and not latest.done():
            return
        ended, self._database.checkpoint = latest is not None, None
        size = _size_bytes(self._log)
        if size < self._size_before:
            self._size_before = 0  # SQLite has begun the log again
        if ended and size > _LONGEST_LOG_BYTES:
            # SQLite begins the log again only if nothing was committed during a checkpoint. This one is short.
            self._size_before = size
            with suppress(sqlite3.Error):  # the commits report what is wrong with the database
                self._database.value("PRAGMA wal_checkpoint(PASSIVE)")
        elif size > self._size_before + LOG_BYTES:
            self._size_before = size
            self._database.checkpoint = self._thread.submit(checkpoint, self._path)


def log_of(path: Path) -> Path:
    """Return the write-ahead log of a database."""
    return path.with_name(f"{path.name}-wal")


def is_long(log: Path) -> bool:
    """Return whether a write-ahead log is due for a checkpoint."""
    return _size_bytes(str(log)) > LOG_BYTES


def _size_bytes(log: str) -> int:
    try:
        return os.stat(log).st_size  # noqa: PTH116 - after each commit
    except OSError:
        return 0


def checkpoint(path: Path) -> None:
    """Write what the log of a database holds to its file, as far as nobody reads an older state."""
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    except sqlite3.Error:
        pass  # the commits report what is wrong with the database


def open_data(path: Path | None) -> Database:
    """Open the emulator's database at `path` (None: in memory), created or migrated. Raises UnusableDatabase.

    The connection belongs to the calling thread.
    """
    return open_database(path, SCHEMA, MIGRATIONS)


def copied(path: Path) -> Database:
    """Return a database in memory with a copy of the file's content, under an id of its own.

    The file may be in use, and is not changed; it need not be writable. Raises UnusableDatabase.
    """
    with reporting(path):
        content = _content(path)
    if not content:
        return open_data(None)  # a file created a moment ago
    # These two bytes are the file format's read and write versions; in memory there is no write-ahead log.
    # Source: https://www.sqlite.org/c3ref/deserialize.html
    content[18:20] = b"\1\1"
    with reporting(path), ExitStack() as opened:
        connection = sqlite3.connect(":memory:", isolation_level=None, cached_statements=512)
        opened.callback(connection.close)
        connection.deserialize(content)
        database = prepared(connection, path, SCHEMA, MIGRATIONS)
        database.id = str(uuid.uuid4())
        database.execute("UPDATE emulator SET id = ?", (database.id,))
        opened.pop_all()
    return database


def overwrite(path: Path, source: Path) -> None:
    """Replace the content of a database that is in use with that of another file: all of it, or nothing.

    Other connections can read meanwhile, but not write. Raises sqlite3.Error.
    """
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(path)) as target:
        target.execute("PRAGMA busy_timeout = 5000")
        origin.backup(target)
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _content(path: Path) -> bytearray:
    """Return the content of a database. Raises sqlite3.DatabaseError and OSError."""
    # Not read-only: that would leave files next to a database that nobody else has open.
    return read_or_set_aside(path.absolute(), lambda file: _read(f"{file.as_uri()}?mode=rw"))


def read_or_set_aside(path: Path, read: Callable[[Path], T]) -> T:
    """Return `read(path)`, or `read` of a copy if the database cannot be written: its log cannot be read in place.

    Raises sqlite3.DatabaseError and OSError.
    """
    try:
        return read(path)
    except sqlite3.OperationalError as error:
        trouble = trouble_with(path, error)
        if trouble is None or not trouble.unwritable:
            raise
    with tempfile.TemporaryDirectory(prefix="ckfunc-") as directory:
        copy = Path(directory) / path.name
        for end in ("", "-wal"):
            if (source := Path(f"{path}{end}")).exists():
                Path(f"{copy}{end}").write_bytes(source.read_bytes())
        return read(copy)


def _read(address: str) -> bytearray:
    with (
        closing(sqlite3.connect(":memory:", isolation_level=None)) as copy,
        closing(sqlite3.connect(address, uri=True)) as origin,
    ):
        origin.execute("PRAGMA busy_timeout = 5000")
        origin.backup(copy)
        return bytearray(copy.serialize())
