"""The application, its settings, and its runtime without the platform's own entries."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.frozen import frozen
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
) STRICT;
CREATE TABLE runtime (
  dependencies TEXT NOT NULL,
  environment TEXT NOT NULL,
  initialization_script TEXT
) STRICT
"""


@frozen
class StoredRuntime:
    """The settings of the runtime."""

    dependencies: Mapping[str, str]
    environment: Mapping[str, str]
    initialization_script: str | None


def create_if_missing(database: Database) -> None:
    """Create the application and runtime of a new database. Guests, and channels created by users, are allowed."""
    database.execute(
        "INSERT OR IGNORE INTO application VALUES (?, ?, '{}', ?, 1, 1)",
        (APPLICATION_ID, str(uuid.uuid4()), timestamp(datetime.now(UTC))),
    )
    database.execute("INSERT INTO runtime SELECT '{}', '{}', NULL WHERE NOT EXISTS (SELECT 1 FROM runtime)")


def get(database: Database) -> Application:
    """Return the application."""
    row = database.execute("SELECT * FROM application").fetchone()
    return Application(row["id"], row["key"], parse_timestamp(row["created_time"]), json.loads(row["properties"]))


def settings(database: Database) -> ApplicationSettings:
    """Return the application's settings."""
    row = database.execute("SELECT guest_users, user_created_channels FROM application").fetchone()
    return ApplicationSettings(guest_users=bool(row[0]), user_created_channels=bool(row[1]))


def update_settings(database: Database, new: ApplicationSettings) -> None:
    """Replace the application's settings."""
    database.execute(
        "UPDATE application SET guest_users = ?, user_created_channels = ?",
        (new.guest_users, new.user_created_channels),
    )


def runtime(database: Database) -> StoredRuntime:
    """Return the settings of the runtime."""
    row = database.execute("SELECT * FROM runtime").fetchone()
    return StoredRuntime(json.loads(row["dependencies"]), json.loads(row["environment"]), row["initialization_script"])


def set_dependencies(database: Database, dependencies: Mapping[str, str]) -> None:
    """Replace the packages of the runtime."""
    database.execute("UPDATE runtime SET dependencies = ?", (json.dumps(dict(dependencies)),))


def set_environment(database: Database, environment: Mapping[str, str]) -> None:
    """Replace the variables of the runtime."""
    database.execute("UPDATE runtime SET environment = ?", (json.dumps(dict(environment)),))


def set_initialization_script(database: Database, script: str | None) -> None:
    """Replace the init script of the runtime, or remove it."""
    database.execute("UPDATE runtime SET initialization_script = ?", (script,))
