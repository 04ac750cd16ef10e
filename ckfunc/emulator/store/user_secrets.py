"""What users keep to themselves: a JSON value under each name."""

from __future__ import annotations

import json
from typing import Any

from ckfunc.emulator.store.database import Database

SCHEMA = """
CREATE TABLE user_secrets (
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  name TEXT NOT NULL,
  secret TEXT NOT NULL,
  PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID
"""


def put(database: Database, user_id: int, name: str, secret: Any) -> None:
    """Keep a value under a name, in place of what was there."""
    database.execute("INSERT OR REPLACE INTO user_secrets VALUES (?, ?, ?)", (user_id, name, json.dumps(secret)))


def get(database: Database, user_id: int, name: str) -> tuple[Any] | None:
    """Return the value under a name, which may be null, in a tuple; or None when there is nothing."""
    row = database.one("SELECT secret FROM user_secrets WHERE user_id = ? AND name = ?", user_id, name)
    return None if row is None else (json.loads(row["secret"]),)


def remove(database: Database, user_id: int, name: str) -> bool:
    """Forget the value under a name; tell whether there was one."""
    sql = "DELETE FROM user_secrets WHERE user_id = ? AND name = ?"
    return database.execute(sql, (user_id, name)).rowcount > 0
