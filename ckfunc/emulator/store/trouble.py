"""Causes of database failures, and their fixes."""

from __future__ import annotations

import errno
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ckfunc.base.errors import CkfuncError, SystemRefusal
from ckfunc.base.frozen import frozen

RESTORE = "restore a copy with `ckfunc emulator import FILE`, or start over with `ckfunc emulator reset`"
"""The fix for a damaged database, which valid data never needs."""

_PROBE_BYTES = 64 * 1024

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_OF_THE_SYSTEM = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    }
)
_UNWRITABLE = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


class UnusableDatabase(CkfuncError):
    """The file is not a database of the emulator, belongs to another version, or cannot be accessed."""


class DamagedDatabase(UnusableDatabase):
    """The file is not a valid database, or contains data that no emulator has written."""


class UnwritableDatabase(UnusableDatabase):
    """The file or its directory cannot be written to. It may still be readable."""

    unwritable = True


@frozen
class DatabaseTrouble:
    """The reason why a database cannot be used, which follows a colon, and a hint."""

    reason: str
    hint: str | None
    damaged: bool = False
    unwritable: bool = False

    @property
    def sentence(self) -> str:
        """The reason and the hint in one sentence."""
        return self.reason + (f"; {self.hint}" if self.hint else "")


_OF_SHARED_FILES = ("SQLITE_IOERR_SHM", "SQLITE_IOERR_LOCK")


def trouble_with(path: Path | None, error: BaseException) -> DatabaseTrouble | None:
    """Return the trouble that `error` means for the database at `path` (None: in memory), or None for others."""
    if isinstance(error, UnicodeDecodeError) or (isinstance(error, sqlite3.Error) and _undecodable(error)):
        return damage("it contains text that is not UTF-8")
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    if code in _DAMAGED:
        return damage(str(error))
    if code in _LOCKED:
        return DatabaseTrouble(
            "another process has locked it", "close the program that uses it, for example a database browser"
        )
    return _system_trouble(path, error, code) if code in _OF_THE_SYSTEM else None


def _system_trouble(path: Path | None, error: BaseException, code: int) -> DatabaseTrouble:
    refused = None if path is None else refusal(path)
    if refused is None and code == sqlite3.SQLITE_FULL:
        refused = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if refused is None:
        if str(getattr(error, "sqlite_errorname", "")).startswith(_OF_SHARED_FILES):
            return DatabaseTrouble(
                "its disk does not support shared memory or locks, as with some network drives and shared folders",
                "move the project to a local disk",
            )
        return DatabaseTrouble(str(error), "check the disk, and its limits for files of this size")
    return refused_by(refused)


def refused_by(error: OSError) -> DatabaseTrouble:
    """Return the trouble that an error of the operating system means."""
    number = error.errno or 0
    return DatabaseTrouble(error.strerror or str(error), SystemRefusal.advice(number), unwritable=number in _UNWRITABLE)


def damage(symptom: str) -> DatabaseTrouble:
    """Return the trouble of a damaged database."""
    return DatabaseTrouble(f"it is damaged ({symptom})", RESTORE, damaged=True)


def unusable(path: Path | None, trouble: DatabaseTrouble) -> UnusableDatabase:
    """Return the exception for a trouble."""
    kind = DamagedDatabase if trouble.damaged else UnwritableDatabase if trouble.unwritable else UnusableDatabase
    return kind(f"the emulator's database {path or 'in memory'} cannot be used: {trouble.reason}", hint=trouble.hint)


@contextmanager
def reporting(path: Path | None) -> Iterator[None]:
    """Raise UnusableDatabase for errors of the system and of the database. Others are raised as they are."""
    try:
        yield
    except OSError as error:
        raise unusable(path, refused_by(error)) from None
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        trouble = trouble_with(path, error)
        if trouble is None and path is not None:
            # Our SQL is correct, so the contents were not written by an emulator.
            trouble = damage(str(error))
        if trouble is None:
            raise
        raise unusable(path, trouble) from None


def misread(error: BaseException) -> bool:
    """Return whether `error` was raised because of a stored value that no emulator has written."""
    if not isinstance(error, ValueError) or isinstance(error, UnicodeEncodeError):
        return False
    room, step = "", error.__traceback__
    while step is not None:
        name = str(step.tb_frame.f_globals.get("__name__", ""))
        room = name if name.startswith("ckfunc.emulator.") else room
        step = step.tb_next
    return room.startswith("ckfunc.emulator.store.")


def refusal(path: Path) -> OSError | None:
    """Return why the system refuses writes to a database at `path`, or None. Determined by attempts to write."""
    if path.is_dir():
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    try:
        if path.exists():
            with path.open("r+b"):
                pass
        with tempfile.TemporaryFile(dir=path.parent) as probe:
            probe.write(b"\0" * _PROBE_BYTES)
    except OSError as error:
        return error
    return None


def _undecodable(error: sqlite3.Error) -> bool:
    # Python raises this itself, without an SQLite error code.
    return not hasattr(error, "sqlite_errorcode") and "decode to UTF-8" in str(error)
