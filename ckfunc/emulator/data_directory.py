"""The lock and the address file of a data directory.

One emulator, or one command that changes its files, uses a directory at a time. An emulator writes its address
next to its database; the address is believed only if it answers.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.containment import require_plain
from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import locked, read_file, write_atomically

if TYPE_CHECKING:
    from ckfunc.emulator.store.trouble import DatabaseTrouble  # imports sqlite3, which a look at the address need not

ADDRESS_FILE = "address.json"

DATABASE = "emulator.db"
"""The database's file in a data directory."""

_LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Address:
    """An emulator as it described itself when it began to answer."""

    url: str
    pid: int
    database_id: str


def write_address(data_dir: Path, url: str, database_id: str) -> None:
    """Note that this process serves `data_dir` at `url`."""
    document = {"url": url, "pid": os.getpid(), "databaseId": database_id}
    write_atomically(data_dir / ADDRESS_FILE, json.dumps(document))


def read_address(data_dir: Path) -> Address | None:
    """Return what the last emulator of `data_dir` noted, true or not; None when there is nothing readable."""
    try:
        document = json.loads(read_file(data_dir / ADDRESS_FILE))
        return Address(str(document["url"]), int(document["pid"]), str(document["databaseId"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove_address(data_dir: Path) -> None:
    """Take the note away."""
    with suppress(OSError):
        (data_dir / ADDRESS_FILE).unlink()


def find_running(data_dir: Path) -> str | None:
    """Return the base URL of the emulator that serves `data_dir` now: one that answers with the noted database's id."""
    noted = read_address(data_dir)
    if noted is None:
        return None
    import urllib.request  # costs 10 ms, which an emulator that starts need not pay
    from http.client import HTTPException

    # Straight to the loopback address, whatever proxy the shell is set to.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{noted.url}/emulator/health", timeout=2.0) as answer:
            document = json.load(answer)
    except (OSError, ValueError, HTTPException):
        return None
    return noted.url if isinstance(document, dict) and document.get("id") == noted.database_id else None


class UnusableDirectory(CkfuncError):
    """The data directory cannot be made or written; `unwritable` when reading it may be possible all the same."""

    def __init__(self, data_dir: Path, trouble: DatabaseTrouble) -> None:
        super().__init__(f"the data directory {data_dir} cannot be used: {trouble.reason}", hint=trouble.hint)
        self.unwritable = trouble.unwritable


@contextmanager
def owned(data_dir: Path) -> Iterator[None]:
    """Hold a data directory for oneself. Raises Busy, saying who has it, UnusableDirectory and LeadsOutside."""
    # SQLite follows links.
    require_plain(data_dir, _LOCK, ADDRESS_FILE, *(f"{DATABASE}{end}" for end in ("", "-wal", "-shm", "-journal")))
    with ExitStack() as held:
        try:
            got = held.enter_context(locked(data_dir / _LOCK, wait_s=0))
        except OSError as error:
            from ckfunc.emulator.store.trouble import refused_by

            raise UnusableDirectory(data_dir, refused_by(error)) from None
        if not got:
            other = read_address(data_dir)
            who = f"{other.url}, process {other.pid}" if other else "another process"
            raise Busy(
                f"the data directory {data_dir} is in use by a running emulator ({who})",
                hint="use that one, or stop it",
            )
        yield
