"""The emulator's application, and its settings."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.emulator.store.database import Database
from ckfunc.model.application import Application, ApplicationSettings

APPLICATION_ID = 1

SCHEMA = """
CREATE TABLE application (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL,
  properties TEXT NOT NULL,
  created_time TEXT NOT NULL,
  guest_users INTEGER NOT NULL,
  user_created_channels INTEGER NOT NULL
) STRICT
"""


def create_if_missing(database: Database) -> None:
    """Create the application of a new database. It allows guests, and channels created by users."""
    database.execute(
        "INSERT OR IGNORE INTO application VALUES (?, ?, '{}', ?, 1, 1)",
        (APPLICATION_ID, str(uuid.uuid4()), timestamp(datetime.now(UTC))),
    )


def get(database: Database) -> Application:
    """Return the application."""
    row = database.execute("SELECT * FROM application").fetchone()
    return Application(row["id"], row["key"], parse_timestamp(row["created_time"]), json.loads(row["properties"]))


def settings(database: Database) -> ApplicationSettings:
    """Return the application's settings."""
    row = database.execute("SELECT guest_users, user_created_channels FROM application").fetchone()
    return ApplicationSettings(guest_users=bool(row[0]), user_created_channels=bool(row[1]))


def update_settings(database: Database, wanted: ApplicationSettings) -> None:
    """Replace the application's settings."""
    database.execute(
        "UPDATE application SET guest_users = ?, user_created_channels = ?",
        (wanted.guest_users, wanted.user_created_channels),
    )
