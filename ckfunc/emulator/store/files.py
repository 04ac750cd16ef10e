"""Uploaded files, and files written by exports.

They are part of the database, so that a file and the rows that refer to it are stored, copied and restored together.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from ckfunc.base.clock import timestamp
from ckfunc.emulator.store.database import Database

FILE_URL = "/v1/files/"
"""The path of hosted files, before their key."""

SCHEMA = """
CREATE TABLE files (
  key TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  content_type TEXT NOT NULL,
  created_time TEXT NOT NULL,
  content BLOB NOT NULL
) STRICT
"""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file. `name` is its original name, without directories."""

    name: str
    content_type: str
    content: bytes


def add(database: Database, file: StoredFile, key: str | None = None) -> str:
    """Store a file, and return its key, by default a random one that cannot be guessed."""
    key = key or secrets.token_urlsafe(24)
    now = timestamp(database.now())
    database.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?)", (key, file.name, file.content_type, now, file.content))
    return key


def get(database: Database, key: str) -> StoredFile | None:
    """Return a file, or None."""
    row = database.one("SELECT name, content_type, content FROM files WHERE key = ?", key)
    return None if row is None else StoredFile(row["name"], row["content_type"], row["content"])


def remove(database: Database, key: str) -> None:
    """Delete a file, if it exists."""
    database.execute("DELETE FROM files WHERE key = ?", (key,))
