"""How a stored script becomes one that Node can run: compiled once, on another thread, and kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from ckfunc.base.text import digest
from ckfunc.emulator.store import runtime
from ckfunc.emulator.store.database import Database
from ckfunc.model.execution import Compiled, HandlerError, SyntaxProblem

INITIALIZATION_SCRIPT = "initialization-script.ts"


class Compiler(Protocol):
    """What compiles TypeScript; see `ckfunc.runtime`."""

    def compile(self, scripts: Sequence[tuple[str, str]], /) -> tuple[Compiled | SyntaxProblem, ...]:
        """Compile named sources, in order. Raises CkfuncError when there is no Node."""


def handler_name(trigger_type: str, version_number: int) -> str:
    """Return the file name that a version's stack traces show."""
    return f"{trigger_type}@{version_number}.ts"


async def compiled(database: Database, compiler: Compiler, name: str, source: str) -> Compiled | SyntaxProblem:
    """Return a script compiled, from the database if it was compiled before. Raises CkfuncError without Node."""
    source_digest = digest(source)
    kept = runtime.find_compiled(database, name, source_digest)
    if kept is not None:
        return kept
    (result,) = await asyncio.to_thread(compiler.compile, [(name, source)])
    runtime.store_compiled(database, source_digest, result)
    return result


def syntax_error(problem: SyntaxProblem) -> HandlerError:
    """Return why a run of a script fails that does not parse, or lacks what it needs."""
    where = f"{problem.name}:{problem.line}:{problem.column}"
    message = f"{problem.message} ({where})"
    return HandlerError(problem.kind, message, f"{problem.kind}: {problem.message}\n    at {where}")
