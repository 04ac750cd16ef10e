"""Uploaded files, and files written by exports.

They are part of the database, so that a file and the rows that refer to it are stored, copied and restored together.
Large files are stored, read and deleted a part at a time, so that other requests are answered in between.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import field

from ckfunc.base.clock import timestamp
from ckfunc.base.frozen import frozen
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.steps import Steps, Turn

FILE_URL = "/v1/files/"
"""The path of hosted files, before their key."""

PART_BYTES = 512 * 1024
"""The size of a part, which takes a few milliseconds; the last part of a file may be smaller."""

_SMALL_BYTES = 16 * 1024
_SMALL_FILES = 100

_UPLOADING = "UPLOADING"
_STORED = "STORED"
_DISCARDED = "DISCARDED"

SCHEMA = """
CREATE TABLE files (
  key TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  created_time TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;
CREATE INDEX discarded_files ON files (size_bytes) WHERE state = 'DISCARDED';
CREATE TABLE file_parts (
  key TEXT NOT NULL REFERENCES files (key) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  content BLOB NOT NULL,
  PRIMARY KEY (key, number)
) STRICT
"""

PARTS_ADDED = f"""
ALTER TABLE files RENAME TO whole_files;
{SCHEMA};
INSERT INTO files SELECT key, name, content_type, created_time, length(content), 'STORED' FROM whole_files;
INSERT INTO file_parts SELECT key, 0, content FROM whole_files;
DROP TABLE whole_files
"""  # noqa: S608 - SQL of this module
"""Migrates a database from version 5 to 6. A file of an older database is one part, whatever its size."""


@frozen
class StoredFile:
    """A file. `name` is its original name, without directories; `key` cannot be guessed."""

    name: str
    content_type: str
    content: bytes = field(repr=False)
    key: str = field(default_factory=lambda: secrets.token_urlsafe(24))


@frozen
class FileInfo:
    """What is stored about a file besides its content."""

    name: str
    content_type: str
    size_bytes: int


def store_parts(database: Database, file: StoredFile, turn: Turn) -> Steps:
    """Store the content of a file in steps. It is not a file before `add`."""
    with turn():
        _insert(database, file, _UPLOADING)
    for number in range(_parts(file)):
        with turn():
            _insert_part(database, file, number)
        yield


def add(database: Database, file: StoredFile) -> str:
    """Store a file, whose parts may be stored already, and return its key."""
    if not database.execute("UPDATE files SET state = ? WHERE key = ?", (_STORED, file.key)).rowcount:
        _insert(database, file, _STORED)
        for number in range(_parts(file)):
            _insert_part(database, file, number)
    return file.key


def info(database: Database, key: str) -> FileInfo | None:
    """Return what is stored about a file, or None if there is no such file."""
    sql = "SELECT name, content_type, size_bytes FROM files WHERE key = ? AND state = ?"
    return database.read_one(lambda row: FileInfo(*row), sql, key, _STORED)


def content(database: Database, key: str) -> Iterator[bytes]:
    """Yield the parts of a file, in order."""
    number = 0
    while row := database.one("SELECT content FROM file_parts WHERE key = ? AND number = ?", key, number):
        yield row[0]
        number += 1


def discard(database: Database, keys: str, *parameters: object) -> None:
    """Discard the files whose keys the SQL `keys` yields: they no longer exist. `delete_discarded` frees the space."""
    database.execute(f"UPDATE files SET state = '{_DISCARDED}' WHERE key IN ({keys})", parameters)  # noqa: S608


def discard_unfinished(database: Database, key: str | None = None) -> None:
    """Discard a file that was not added; without `key`, all of them."""
    discard(database, "SELECT key FROM files WHERE state = ? AND key = coalesce(?, key)", _UPLOADING, key)


def delete_discarded(database: Database) -> Steps:
    """Delete discarded files in steps."""
    discarded = f"SELECT key FROM files WHERE state = '{_DISCARDED}'"  # noqa: S608 - SQL of this module
    small = f"{discarded} AND size_bytes <= {_SMALL_BYTES} LIMIT {_SMALL_FILES}"
    while database.execute(f"DELETE FROM files WHERE key IN ({small})").rowcount:  # noqa: S608 - from above
        yield
    while (row := database.one(f"{discarded} LIMIT 1")) is not None:
        part = "DELETE FROM file_parts WHERE key = ? AND number = (SELECT max(number) FROM file_parts WHERE key = ?)"
        while database.execute(part, (row[0], row[0])).rowcount:
            database.committed()
            yield
        database.execute("DELETE FROM files WHERE key = ?", (row[0],))


def _parts(file: StoredFile) -> int:
    return -(-len(file.content) // PART_BYTES)


def _insert(database: Database, file: StoredFile, state: str) -> None:
    now = timestamp(database.now())
    row = (file.key, file.name, file.content_type, now, len(file.content), state)
    database.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?, ?)", row)


def _insert_part(database: Database, file: StoredFile, number: int) -> None:
    part = file.content[number * PART_BYTES : (number + 1) * PART_BYTES]
    database.execute("INSERT INTO file_parts VALUES (?, ?, ?)", (file.key, number, part))
