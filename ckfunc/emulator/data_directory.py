"""Data directories: lock, address file, and names in the database.

One emulator, or one command that changes its files, uses a directory at a time. An emulator writes its address
next to its database; the address is believed only if it answers. Nothing here imports SQLite before it is needed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ckfunc.base.containment import STATE_DIRECTORY, require_plain
from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import locked, read_file, write_atomically

if TYPE_CHECKING:
    from ckfunc.emulator.store.trouble import DatabaseTrouble  # imports sqlite3

ADDRESS_FILE = "address.json"

DATABASE = "emulator.db"
"""File name of the database in a data directory."""

KEPT_INVOCATIONS = 100_000
"""The number of recent invocations that an emulator stores, of all functions together."""

TABLES = ("users", "channels")
"""Tables whose names can be listed."""

_MOST_BYTES = 64 * 1024
"""The maximum size of an emulator's answer to `find_running`."""

_MOST_NAMES = 200
_BUSY_S = 0.2
_LOCK = "lock"


class Address(NamedTuple):
    """The address of an emulator, as written when it began to answer."""

    url: str
    pid: int
    database_id: str


def project_data(root: Path) -> Path:
    """Return the data directory of a project's emulator."""
    return root / STATE_DIRECTORY / "emulator"


def write_address(data_dir: Path, url: str, database_id: str) -> None:
    """Write that this process serves `data_dir` at `url`."""
    document = {"url": url, "pid": os.getpid(), "databaseId": database_id}
    write_atomically(data_dir / ADDRESS_FILE, json.dumps(document))


def read_address(data_dir: Path) -> Address | None:
    """Return the last written address of `data_dir`, current or not; None if no readable file exists."""
    try:
        document = json.loads(read_file(data_dir / ADDRESS_FILE))
        return Address(str(document["url"]), int(document["pid"]), str(document["databaseId"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def remove_address(data_dir: Path) -> None:
    """Delete the address file."""
    with suppress(OSError):
        (data_dir / ADDRESS_FILE).unlink()


def find_running(data_dir: Path) -> str | None:
    """Return the base URL of the emulator that serves `data_dir` now: it answers with the expected database id."""
    noted = read_address(data_dir)
    if noted is None:
        return None
    from http.client import HTTPConnection, HTTPException  # not needed to start an emulator

    # Directly to the loopback address, whatever proxy the environment sets.
    try:
        with closing(HTTPConnection(noted.url.removeprefix("http://"), timeout=2.0)) as connection:
            connection.request("GET", "/emulator/health")
            answer = connection.getresponse()
            if answer.length is None or answer.length > _MOST_BYTES:  # another program's, and maybe endless
                return None
            document = json.loads(answer.read())
    except (OSError, ValueError, RecursionError, HTTPException):
        return None
    return noted.url if isinstance(document, dict) and document.get("id") == noted.database_id else None


class UnusableDirectory(CkfuncError):
    """The data directory cannot be created or written; with `unwritable`, it may still be readable."""

    def __init__(self, data_dir: Path, trouble: DatabaseTrouble) -> None:
        super().__init__(f"the data directory {data_dir} cannot be used: {trouble.reason}", hint=trouble.hint)
        self.unwritable = trouble.unwritable


@contextmanager
def lock_directory(data_dir: Path) -> Iterator[None]:
    """Lock a data directory. Raises Busy, naming the process that has it, UnusableDirectory and LeadsOutside."""
    # SQLite follows symbolic links.
    require_plain(data_dir, _LOCK, ADDRESS_FILE, *(f"{DATABASE}{end}" for end in ("", "-wal", "-shm", "-journal")))
    with ExitStack() as opened:
        try:
            acquired = opened.enter_context(locked(data_dir / _LOCK, wait_s=0))
        except OSError as error:
            from ckfunc.emulator.store.trouble import refused_by

            raise UnusableDirectory(data_dir, refused_by(error)) from None
        if not acquired:
            other = read_address(data_dir)
            holder = f"{other.url}, process {other.pid}" if other else "another process"
            raise Busy(
                f"the data directory {data_dir} is in use by a running emulator ({holder})",
                hint="use that one, or stop it",
            )
        yield


def stored_names(data_dir: Path, table: str, beginning: str) -> list[str]:
    """Return the first names in one of TABLES that begin with a text, sorted; none if the database cannot be read."""
    if table not in TABLES:
        raise ValueError(table)
    import sqlite3  # finding an address does not need it

    sql = f"SELECT name FROM {table} WHERE substr(name, 1, ?) = ? ORDER BY name LIMIT ?"  # noqa: S608 - one of TABLES
    try:
        address = f"{(data_dir / DATABASE).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as database:
            return [name for (name,) in database.execute(sql, (len(beginning), beginning, _MOST_NAMES))]
    except sqlite3.Error:
        return []
