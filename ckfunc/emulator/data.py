"""The stored data of an emulator: export, import, reset, seed, and named snapshots."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from ckfunc.base.containment import require_plain
from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import is_irreplaceable
from ckfunc.base.text import did_you_mean
from ckfunc.emulator.data_directory import DATABASE, lock_directory
from ckfunc.emulator.store import application, seeds
from ckfunc.emulator.store.database_file import open_data, read_or_set_aside
from ckfunc.emulator.store.trouble import UnusableDatabase, trouble_with
from ckfunc.model.job import DataSnapshot, Seed, Seeded

_SUFFIXES = ("-wal", "-shm", "-journal")
"""Suffixes of the files that SQLite writes next to a database."""

SNAPSHOTS = "snapshots"
"""The directory of the snapshots, in the data directory."""

_LONGEST_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_SNAPSHOT_SUFFIX = ".db"
_TEMPORARY = ".ckfunc-"


class NoData(CkfuncError):
    """There is no data to copy."""


class InvalidSnapshotName(CkfuncError):
    """A name cannot be used for a snapshot."""


class SnapshotExists(CkfuncError):
    """There is a snapshot of this name."""


class NoSnapshot(CkfuncError):
    """There is no snapshot of this name."""


class _Declined(Exception):
    """The user chose to keep the data."""


def require_data(data_dir: Path) -> None:
    """Raise NoData if there is no database in `data_dir`."""
    if not (data_dir / DATABASE).is_file():
        raise NoData(f"there is no emulator data in {data_dir}", hint="run `ckfunc emulator` or `ckfunc deploy` first")


def export_data(data_dir: Path, file: Path) -> None:
    """Write all data of an emulator to one file, as it is now; the emulator may be running.

    The file is replaced completely or not at all. It holds the environment's secrets: only its owner can read it.
    Raises NoData, UnusableDatabase and OSError.
    """
    require_data(data_dir)
    if is_irreplaceable(file):
        raise OSError(errno.EINVAL, "it is not a regular file", str(file))
    source = data_dir / DATABASE
    with _replacing(file) as temporary:
        _copy(source, temporary)


def import_data(file: Path, data_dir: Path, confirm: Callable[[], bool] = lambda: True) -> bool:
    """Replace an emulator's data with an exported file; return whether it was replaced.

    The old data is removed only when the new data is complete. If there is data, and `file` can be used, `confirm` is
    called first.

    The copy is a database of its own, with a new id: what is remembered about the old one does not apply to it. Raises
    Busy, UnusableDatabase and OSError.
    """
    if not file.is_file():
        raise NoData(f"there is no file {file}", hint="`ckfunc emulator export FILE` writes one")
    replaced = False
    with (
        suppress(_Declined),
        lock_directory(data_dir),
        _replacing(data_dir / DATABASE, before=lambda: _checkpoint(data_dir)) as temporary,
    ):
        copy_data(file, temporary)
        if (data_dir / DATABASE).exists() and not confirm():
            raise _Declined
        replaced = True
    return replaced


def copy_data(file: Path, target: Path) -> None:
    """Copy an exported file to `target`, as a database of its own with a new id, in the newest format.

    Raises UnusableDatabase.
    """
    _copy(file, target)
    with closing(sqlite3.connect(target, isolation_level=None)) as copy, _naming(file):
        if copy.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise UnusableDatabase(f"the file {file} is damaged")
        if not copy.execute("SELECT 1 FROM sqlite_master WHERE name = 'emulator'").fetchone():
            raise UnusableDatabase(
                f"the file {file} is not emulator data", hint="use a file written by `ckfunc emulator export`"
            )
        copy.execute("UPDATE emulator SET id = ?", (str(uuid.uuid4()),))
    # Migrates an older file, and refuses a newer one, before anything is replaced.
    open_data(target).close()
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        copy.execute("PRAGMA journal_mode = DELETE")


def reset_data(data_dir: Path) -> bool:
    """Delete an emulator's data except snapshots; return whether there was any. Raises Busy and OSError."""
    if not data_dir.is_dir():
        return False
    with lock_directory(data_dir):
        exists = (data_dir / DATABASE).exists()
        # The write-ahead log first: SQLite would take a leftover log for part of the next database.
        for end in (*_SUFFIXES, ""):
            (data_dir / f"{DATABASE}{end}").unlink(missing_ok=True)
        return exists


def seed_data(data_dir: Path, seed: Seed) -> Seeded:
    """Seed the database of an emulator that is not running. Raises Busy, UnusableDatabase and SeedRefused."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with lock_directory(data_dir), closing(open_data(data_dir / DATABASE)) as database:
        application.create_if_missing(database)
        return seeds.apply(database, seed)


def require_name(name: str) -> None:
    """Raise InvalidSnapshotName unless `name` can be the name of a snapshot."""
    if not _NAME.fullmatch(name):
        raise InvalidSnapshotName(
            f"{name[:80]!r} cannot be the name of a snapshot",
            hint=f"use letters, digits, dots, hyphens and underscores, at most {_LONGEST_NAME}",
        )


class Snapshots:
    """The snapshots of a data directory, or of an emulator that saves no data (None): they end with it."""

    def __init__(self, data_dir: Path | None) -> None:
        self._data_dir = data_dir
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._writing = threading.Lock()

    def close(self) -> None:
        """Delete the snapshots of an emulator that saves no data."""
        if self._own is not None:
            self._own.cleanup()

    def all(self) -> tuple[DataSnapshot, ...]:
        """Return the snapshots, newest first."""
        directory = self._directory()
        snapshots = [described(path) for path in directory.glob(f"*{_SNAPSHOT_SUFFIX}") if _NAME.fullmatch(path.stem)]
        return tuple(sorted(snapshots, key=lambda snapshot: (snapshot.created_time, snapshot.name), reverse=True))

    def get(self, name: str) -> DataSnapshot:
        """Return a snapshot. Raises NoSnapshot, InvalidSnapshotName and LeadsOutside."""
        return described(self.path(name))

    def path(self, name: str) -> Path:
        """Return the file of a snapshot. Raises NoSnapshot, InvalidSnapshotName and LeadsOutside."""
        path = self._path_of(name)
        if not path.is_file():
            names = [snapshot.name for snapshot in self.all()]
            hint = did_you_mean(name, names) or (
                f"existing snapshots: {', '.join(names[:10])}" if names else "save one first"
            )
            raise NoSnapshot(f"there is no snapshot {name!r}", hint=hint)
        return path

    def save(self, name: str, copy: Callable[[Path], None], *, replace: bool = False) -> DataSnapshot:
        """Save a snapshot: completely, or not at all. `copy` writes all data to a file.

        Raises SnapshotExists unless `replace`, InvalidSnapshotName, LeadsOutside, and what `copy` raises.
        """
        path = self._path_of(name)
        with self.temporary() as temporary:
            if path.exists() and not replace:
                hint = "choose another name, or replace it"
                raise SnapshotExists(f"snapshot {name!r} already exists", hint=hint)
            copy(temporary)
            temporary.replace(path)
        return described(path)

    def remove(self, name: str) -> DataSnapshot:
        """Delete a snapshot, and return it. Raises NoSnapshot, InvalidSnapshotName and LeadsOutside."""
        path = self.path(name)
        removed = described(path)
        path.unlink()
        return removed

    @contextmanager
    def temporary(self) -> Iterator[Path]:
        """Yield the path of a file in the directory of the snapshots; it is removed at the end.

        Files of a process that was killed are removed too. Raises Busy if another file is being written, LeadsOutside
        and OSError.
        """
        if not self._writing.acquire(blocking=False):
            raise Busy("a snapshot is being saved or restored", hint="try again when that has ended")
        try:
            directory = self._directory()
            directory.mkdir(parents=True, exist_ok=True)
            for path in directory.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(path, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=directory, prefix=_TEMPORARY) as temporary:
                yield Path(temporary) / "data.db"
        finally:
            self._writing.release()

    def _path_of(self, name: str) -> Path:
        require_name(name)
        directory = self._directory()
        require_plain(directory, f"{name}{_SNAPSHOT_SUFFIX}")
        return directory / f"{name}{_SNAPSHOT_SUFFIX}"

    def _directory(self) -> Path:
        if self._data_dir is None:
            if self._own is None:
                self._own = tempfile.TemporaryDirectory(prefix="ckfunc-", ignore_cleanup_errors=True)
            return Path(self._own.name)
        if (self._data_dir / SNAPSHOTS).is_symlink():
            require_plain(self._data_dir, SNAPSHOTS)
        return self._data_dir / SNAPSHOTS


def _copy(source: Path, target: Path) -> None:
    """Copy a database at one moment, into a single file without a write-ahead log."""
    with _naming(source):
        read_or_set_aside(source, lambda file: _back_up(file, target))


def _back_up(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
        origin.execute("PRAGMA busy_timeout = 5000")
        origin.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")


def _checkpoint(data_dir: Path) -> None:
    """Merge the write-ahead log into the database and delete it, so that the next database does not pick it up."""
    database = data_dir / DATABASE
    with suppress(sqlite3.DatabaseError):
        if database.exists():
            with closing(sqlite3.connect(database)) as older:
                older.execute("PRAGMA journal_mode = DELETE")
    for end in _SUFFIXES:
        (data_dir / f"{DATABASE}{end}").unlink(missing_ok=True)


@contextmanager
def _replacing(file: Path, before: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """Yield a temporary file that replaces `file` on success; `before` is called just before that."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        before()
        temporary.replace(file)
    finally:
        for end in (*_SUFFIXES, ""):
            Path(f"{temporary}{end}").unlink(missing_ok=True)


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Name the file in errors of SQLite."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        trouble = trouble_with(file, error)
        # Only another file helps if this one is damaged.
        known = trouble is not None and not trouble.damaged
        raise UnusableDatabase(
            f"the file {file} cannot be used as emulator data: {trouble.reason if trouble and known else error}",
            hint=trouble.hint if trouble and known else "`ckfunc emulator export FILE` writes a usable file",
        ) from None


def described(path: Path) -> DataSnapshot:
    """Return the snapshot in a file. Raises OSError."""
    status = path.stat()
    return DataSnapshot(path.stem, datetime.fromtimestamp(status.st_mtime, UTC), status.st_size)
