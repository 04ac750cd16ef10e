"""What became of a script when it was compiled: kept, so that no script is compiled twice."""

from __future__ import annotations

from ckfunc.emulator.store.database import Database
from ckfunc.model.execution import Compiled, SyntaxProblem

SCHEMA = """
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


def put(database: Database, source_digest: str, result: Compiled | SyntaxProblem) -> None:
    """Keep the result for the source with this digest, in place of the results for older sources of the same name."""
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


def find(database: Database, name: str, source_digest: str) -> Compiled | SyntaxProblem | None:
    """Return the result for a source, or None when it was not compiled yet."""
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
