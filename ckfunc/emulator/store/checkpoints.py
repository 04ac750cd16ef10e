"""Checkpoints of the write-ahead log on a thread of their own.

A checkpoint waits for the disk. On the event loop's thread, every request would wait with it.
"""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from ckfunc.emulator.store.database import Database

_EVERY_COMMITS = 128


class Checkpoints:
    """Runs a checkpoint after every few commits of `database`, whose file is `path`.

    SQLite still does one within a commit when the log is long, as when this one never catches up.
    """

    def __init__(self, database: Database, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, "ckfunc-checkpoints")
        self._latest: Future[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._database = database
        database.every_commits(_EVERY_COMMITS, self._start)

    def close(self) -> None:
        """Wait for the end of a checkpoint, and close the connection."""
        self._database.every_commits(_EVERY_COMMITS, None)
        self._thread.submit(self._close)
        self._thread.shutdown()

    def _start(self) -> None:
        if self._latest is None or self._latest.done():
            self._latest = self._thread.submit(self._run)

    def _run(self) -> None:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._path, isolation_level=None)
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error:
            self._close()  # the commits report what is wrong with the database

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
