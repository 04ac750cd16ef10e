"""Functions with their versions, and compiled scripts."""

from __future__ import annotations

import sqlite3

from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.paging import PageRequest, select_page
from ckfunc.model.application import Function, FunctionVersion, NewFunction
from ckfunc.model.execution import Compiled, SyntaxProblem
from ckfunc.model.page import Page

SCHEMA = """
CREATE TABLE functions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  description TEXT,
  enabled INTEGER NOT NULL,
  current_version_number INTEGER NOT NULL,
  initialize_asynchronously INTEGER NOT NULL
) STRICT;
CREATE TABLE function_versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  function_id INTEGER NOT NULL REFERENCES functions (id),
  version_number INTEGER NOT NULL,
  handler_script TEXT NOT NULL,
  UNIQUE (function_id, version_number)
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

_FUNCTION = "id, type, name, enabled, current_version_number, description"
_VERSION = "id, version_number, handler_script"
_COMPILED = "javascript, source_map, module_kind, line, position, problem"


def create(database: Database, new: NewFunction) -> Function:
    """Add a function, disabled and at version 0. Its type must not be taken (see `find_by_type`)."""
    function_id = database.insert(
        "INSERT INTO functions (type, name, description, enabled, current_version_number, initialize_asynchronously)"
        " VALUES (?, ?, ?, 0, 0, ?)",
        new.type,
        new.name,
        new.description,
        new.initialize_asynchronously,
    )
    database.cache.clear()
    return Function(function_id, new.type, new.name, False, 0, new.description)


def find(database: Database, function_id: int) -> Function | None:
    """Return a function, or None."""
    return database.read_one(_function, f"SELECT {_FUNCTION} FROM functions WHERE id = ?", function_id)  # noqa: S608


def find_by_type(database: Database, trigger_type: str) -> Function | None:
    """Return the function of a trigger type, or None."""
    function: Function | None = database.cache.get(trigger_type)
    if function is None:
        row = database.one(f"SELECT {_FUNCTION} FROM functions WHERE type = ?", trigger_type)  # noqa: S608 - a constant
        if row is None:
            return None
        function = database.cache[trigger_type] = _function(row)
    return function


def can_any_run(database: Database) -> bool:
    """Return whether an enabled function has a version."""
    return database.one("SELECT 1 FROM functions WHERE enabled AND current_version_number > 0") is not None


def page(database: Database, request: PageRequest) -> Page[Function]:
    """Return a page of all functions."""
    return select_page(database, _FUNCTION, "functions", (), request=request, read=_function)


def set_enabled(database: Database, function_id: int, enabled: bool) -> None:
    """Enable or disable a function."""
    database.execute("UPDATE functions SET enabled = ? WHERE id = ?", (enabled, function_id))
    database.cache.clear()


def add_version(database: Database, function_id: int, script: str) -> FunctionVersion:
    """Add the next version, and make it the current one. The first version of a function enables it."""
    with database.transaction():
        number = database.value(
            "UPDATE functions SET current_version_number = current_version_number + 1,"
            " enabled = CASE current_version_number WHEN 0 THEN 1 ELSE enabled END"
            " WHERE id = ? RETURNING current_version_number",
            function_id,
        )
        version_id = database.insert(
            "INSERT INTO function_versions (function_id, version_number, handler_script) VALUES (?, ?, ?)",
            function_id,
            number,
            script,
        )
    database.cache.clear()
    return FunctionVersion(version_id, number, script)


def find_version(database: Database, version_id: int) -> FunctionVersion | None:
    """Return a version, or None."""
    return database.read_one(_version, f"SELECT {_VERSION} FROM function_versions WHERE id = ?", version_id)  # noqa: S608


def current_version(database: Database, function_id: int) -> FunctionVersion | None:
    """Return a function's current version, or None if it has none yet."""
    sql = (
        "SELECT v.id, v.version_number, v.handler_script FROM functions f JOIN function_versions v"
        " ON v.function_id = f.id AND v.version_number = f.current_version_number WHERE f.id = ?"
    )
    return database.read_one(_version, sql, function_id)


def version_by_number(database: Database, function_id: int, number: int) -> FunctionVersion:
    """Return an existing version."""
    sql = f"SELECT {_VERSION} FROM function_versions WHERE function_id = ? AND version_number = ?"  # noqa: S608 - a constant
    version = database.read_one(_version, sql, function_id, number)
    assert version is not None  # noqa: S101 - the caller has the number from the function itself
    return version


def version_page(database: Database, function_id: int, request: PageRequest) -> Page[FunctionVersion]:
    """Return a page of a function's versions."""
    return select_page(
        database, _VERSION, "function_versions WHERE function_id = ?", (function_id,), request=request, read=_version
    )


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
        f"SELECT {_COMPILED} FROM compiled_scripts WHERE name = ? AND digest = ?",  # noqa: S608 - a constant
        name,
        source_digest,
    )
    if row is None:
        return None
    if row["problem"] is not None:
        return SyntaxProblem(name, row["line"], row["position"], row["problem"])
    return Compiled(name, row["javascript"], row["source_map"], row["module_kind"])


def _function(row: sqlite3.Row) -> Function:
    return Function(row[0], row[1], row[2], bool(row[3]), row[4], row[5])


def _version(row: sqlite3.Row) -> FunctionVersion:
    return FunctionVersion(row[0], row[1], row[2])
