"""The runtime's settings without the platform's own entries, and compiled scripts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from ckfunc.emulator.store.database import Database
from ckfunc.model.execution import Compiled, SyntaxProblem

SCHEMA = """
CREATE TABLE runtime (
  dependencies TEXT NOT NULL,
  environment TEXT NOT NULL,
  initialization_script TEXT
) STRICT
"""

COMPILED_SCHEMA = """
CREATE TABLE compiled_scripts (
  name TEXT NOT NULL,
  digest TEXT NOT NULL,
  javascript TEXT,
  source_map TEXT,
  module_kind TEXT,
  line INTEGER,
  position INTEGER,
  problem TEXT,
  PRIMARY KEY (name, digest)
) STRICT
"""

_COLUMNS = "javascript, source_map, module_kind, line, position, problem"


@dataclass(frozen=True, slots=True)
class StoredRuntime:
    """The settings of the runtime."""

    dependencies: Mapping[str, str]
    environment: Mapping[str, str]
    initialization_script: str | None


def create_if_missing(database: Database) -> None:
    """Create the runtime of a new database, without settings."""
    database.execute("INSERT INTO runtime SELECT '{}', '{}', NULL WHERE NOT EXISTS (SELECT 1 FROM runtime)")


def get(database: Database) -> StoredRuntime:
    """Return the settings."""
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


def store_compiled(database: Database, source_digest: str, result: Compiled | SyntaxProblem) -> None:
    """Store the result for a source with this digest, in place of results for older sources of the same name."""
    values = (
        (result.javascript, result.source_map, result.module_kind, None, None, None)
        if isinstance(result, Compiled)
        else (None, None, None, result.line, result.column, result.message)
    )
    with database.transaction():
        database.execute("DELETE FROM compiled_scripts WHERE name = ?", (result.name,))
        database.execute(
            "INSERT INTO compiled_scripts VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (result.name, source_digest, *values)
        )


def find_compiled(database: Database, name: str, source_digest: str) -> Compiled | SyntaxProblem | None:
    """Return the result for a source, or None if it is not stored."""
    row = database.one(
        f"SELECT {_COLUMNS} FROM compiled_scripts WHERE name = ? AND digest = ?",  # noqa: S608 - a constant
        name,
        source_digest,
    )
    if row is None:
        return None
    if row["problem"] is not None:
        return SyntaxProblem(name, row["line"], row["position"], row["problem"])
    return Compiled(name, row["javascript"], row["source_map"], row["module_kind"])
