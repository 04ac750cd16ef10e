"""What the runtime's users have set: packages, variables and the init script, without the platform's own entries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ckfunc.emulator.store.database import Database

SCHEMA = """
CREATE TABLE runtime (
  dependencies TEXT NOT NULL,
  environment TEXT NOT NULL,
  initialization_script TEXT
) STRICT
"""


@dataclass(frozen=True, slots=True)
class StoredRuntime:
    """The runtime as its users have set it."""

    dependencies: Mapping[str, str]
    environment: Mapping[str, str]
    initialization_script: str | None


def create_if_missing(database: Database) -> None:
    """Give a new database its runtime: nothing set."""
    database.execute("INSERT INTO runtime SELECT '{}', '{}', NULL WHERE NOT EXISTS (SELECT 1 FROM runtime)")


def get(database: Database) -> StoredRuntime:
    """Return what is set."""
    row = database.execute("SELECT * FROM runtime").fetchone()
    return StoredRuntime(json.loads(row["dependencies"]), json.loads(row["environment"]), row["initialization_script"])


def set_dependencies(database: Database, dependencies: Mapping[str, str]) -> None:
    """Replace the packages."""
    database.execute("UPDATE runtime SET dependencies = ?", (json.dumps(dict(dependencies)),))


def set_environment(database: Database, environment: Mapping[str, str]) -> None:
    """Replace the variables."""
    database.execute("UPDATE runtime SET environment = ?", (json.dumps(dict(environment)),))


def set_initialization_script(database: Database, script: str | None) -> None:
    """Replace the init script, or remove it."""
    database.execute("UPDATE runtime SET initialization_script = ?", (script,))
