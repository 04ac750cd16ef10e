"""Where the emulator of a data directory can be reached: written beside its database, believed only when it answers."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.files import read_file, write_atomically

FILE = "address.json"


@dataclass(frozen=True, slots=True)
class Address:
    """An emulator as it described itself when it began to answer."""

    url: str
    pid: int
    database_id: str


def write_address(data_dir: Path, url: str, database_id: str) -> None:
    """Note that this process serves `data_dir` at `url`."""
    document = {"url": url, "pid": os.getpid(), "databaseId": database_id}
    write_atomically(data_dir / FILE, json.dumps(document))


def read_address(data_dir: Path) -> Address | None:
    """Return what the last emulator of `data_dir` noted, true or not; None when there is nothing readable."""
    try:
        document = json.loads(read_file(data_dir / FILE))
        return Address(str(document["url"]), int(document["pid"]), str(document["databaseId"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None


def remove_address(data_dir: Path) -> None:
    """Take the note away."""
    with suppress(OSError):
        (data_dir / FILE).unlink()


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
