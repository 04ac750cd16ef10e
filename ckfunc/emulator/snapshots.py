"""Named snapshots of an emulator's data, as files in its data directory."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ckfunc.base.containment import require_plain
from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.text import did_you_mean
from ckfunc.emulator.data import export_data, import_data, require_data
from ckfunc.emulator.data_directory import lock_directory
from ckfunc.model.job import DataSnapshot

DIRECTORY = "snapshots"
"""The directory of the snapshots, in the data directory."""

LONGEST_NAME = 64
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?", re.ASCII)
_SUFFIX = ".db"
_TEMPORARY = ".ckfunc-"


class InvalidSnapshotName(CkfuncError):
    """A name cannot be used for a snapshot."""


class SnapshotExists(CkfuncError):
    """There is a snapshot of this name."""


class NoSnapshot(CkfuncError):
    """There is no snapshot of this name."""


def require_name(name: str) -> None:
    """Raise InvalidSnapshotName unless `name` can be the name of a snapshot."""
    if not _NAME.fullmatch(name):
        raise InvalidSnapshotName(
            f"{name[:80]!r} cannot be the name of a snapshot",
            hint=f"use letters, digits, dots, hyphens and underscores, at most {LONGEST_NAME}",
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
        found = [_described(path) for path in directory.glob(f"*{_SUFFIX}") if _NAME.fullmatch(path.stem)]
        return tuple(sorted(found, key=lambda snapshot: (snapshot.created_time, snapshot.name), reverse=True))

    def get(self, name: str) -> DataSnapshot:
        """Return a snapshot. Raises NoSnapshot, InvalidSnapshotName and LeadsOutside."""
        return _described(self.path(name))

    def path(self, name: str) -> Path:
        """Return the file of a snapshot. Raises NoSnapshot, InvalidSnapshotName and LeadsOutside."""
        path = self._path_of(name)
        if not path.is_file():
            known = [snapshot.name for snapshot in self.all()]
            hint = did_you_mean(name, known) or (
                f"existing snapshots: {', '.join(known[:10])}" if known else "save one first"
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
        return _described(path)

    def remove(self, name: str) -> DataSnapshot:
        """Delete a snapshot, and return it. Raises NoSnapshot, InvalidSnapshotName and LeadsOutside."""
        removed = self.get(name)
        self.path(name).unlink()
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
            for left in directory.glob(f"{_TEMPORARY}*"):
                shutil.rmtree(left, ignore_errors=True)
            with tempfile.TemporaryDirectory(dir=directory, prefix=_TEMPORARY) as temporary:
                yield Path(temporary) / "data.db"
        finally:
            self._writing.release()

    def _path_of(self, name: str) -> Path:
        require_name(name)
        directory = self._directory()
        require_plain(directory, f"{name}{_SUFFIX}")
        return directory / f"{name}{_SUFFIX}"

    def _directory(self) -> Path:
        if self._data_dir is None:
            if self._own is None:
                self._own = tempfile.TemporaryDirectory(prefix="ckfunc-", ignore_cleanup_errors=True)
            return Path(self._own.name)
        if (self._data_dir / DIRECTORY).is_symlink():
            require_plain(self._data_dir, DIRECTORY)
        return self._data_dir / DIRECTORY


def save_stored(data_dir: Path, name: str, *, replace: bool) -> DataSnapshot:
    """Save a snapshot of the data of an emulator that is not running.

    Raises NoData, Busy, SnapshotExists, InvalidSnapshotName, UnusableDatabase and OSError.
    """
    require_data(data_dir)
    with lock_directory(data_dir):
        return Snapshots(data_dir).save(name, lambda file: export_data(data_dir, file), replace=replace)


def restore_stored(data_dir: Path, name: str) -> DataSnapshot:
    """Replace the data of an emulator that is not running with a snapshot.

    Raises NoSnapshot, Busy, UnusableDatabase and OSError.
    """
    file = Snapshots(data_dir).path(name)
    import_data(file, data_dir)
    return _described(file)


def _described(path: Path) -> DataSnapshot:
    status = path.stat()
    return DataSnapshot(path.stem, datetime.fromtimestamp(status.st_mtime, UTC), status.st_size)
