"""Names in the database of an emulator, running or not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from ckfunc.emulator.data_directory import DATABASE

TABLES = ("users", "channels")
MOST_NAMES = 200
_BUSY_S = 0.2


def stored_names(data_dir: Path, table: str, beginning: str) -> list[str]:
    """Return the first names in one of TABLES that begin with a text, sorted; none if the database cannot be read."""
    if table not in TABLES:
        raise ValueError(table)
    sql = f"SELECT name FROM {table} WHERE substr(name, 1, ?) = ? ORDER BY name LIMIT ?"  # noqa: S608 - one of TABLES
    try:
        address = f"{(data_dir / DATABASE).absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_S)) as database:
            return [name for (name,) in database.execute(sql, (len(beginning), beginning, MOST_NAMES))]
    except sqlite3.Error:
        return []
