"""The runtime that handlers run in, and their compiled scripts.

A runtime consists of its users' settings and the platform's additions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from ckfunc.base.secrets import Secret, secret_values
from ckfunc.base.text import digest
from ckfunc.emulator.http.auth import CLIENT_ID, CLIENT_SECRET
from ckfunc.emulator.store import application, functions
from ckfunc.emulator.store.application import APPLICATION_ID, StoredRuntime
from ckfunc.emulator.store.database import Database
from ckfunc.model.application import DEFAULT_PACKAGES, PLATFORM_PREFIX, PLATFORM_RANGES, Dependency, Runtime
from ckfunc.model.execution import ApiAccess, Compiled, Environment, HandlerError, SyntaxProblem
from ckfunc.wire.applications import own

RUNTIME_ID = 1
RUNTIME_VERSION = "v0.0.29"

INITIALIZATION_SCRIPT = "initialization-script.ts"


def current(database: Database, base_url: str) -> Runtime:
    """Return the whole runtime, platform-owned entries included; `base_url` is the emulator's own address."""
    return _composed(application.runtime(database), base_url)


def environment_of(stored: StoredRuntime, base_url: str, initialization_script: Compiled | None) -> Environment:
    """Return the environment of handlers, with the compiled init script."""
    composed = _composed(stored, base_url)
    return Environment(
        dependencies={package.name: package.version for package in composed.dependencies},
        variables=composed.environment,
        api=ApiAccess(base_url, f"{base_url}/oauth/token", CLIENT_ID, Secret(CLIENT_SECRET)),
        initialization_script=initialization_script,
    )


def _composed(stored: StoredRuntime, base_url: str) -> Runtime:
    return Runtime(
        id=RUNTIME_ID,
        version=RUNTIME_VERSION,
        dependencies=DEFAULT_PACKAGES + own(stored.dependencies),
        environment=secret_values({**stored.environment, **platform_variables(base_url)}),
        initialization_script=stored.initialization_script,
        application_id=APPLICATION_ID,
    )


def platform_variables(base_url: str) -> dict[str, str]:
    """Return the variables that the platform sets."""
    return {
        "CHATKITTY_CLIENT_ID": CLIENT_ID,
        "CHATKITTY_CLIENT_SECRET": CLIENT_SECRET,
        "CHATKITTY_APPLICATION_ID": str(APPLICATION_ID),
        "CHATKITTY_CHAT_SERVICE_BASE_URL": base_url,
        "CHATKITTY_AUTHORIZATION_SERVICE_BASE_URL": base_url,
    }


def users_own_dependencies(dependencies: tuple[Dependency, ...]) -> dict[str, str]:
    """Return the packages that a dependency list sets, without the platform's own."""
    return {
        package.name: package.version
        for package in dependencies
        if not package.default and package.name not in PLATFORM_RANGES
    }


def users_own_environment(environment: Mapping[str, Secret]) -> dict[str, str]:
    """Return the variables that a map sets, without the platform's own."""
    return {name: value.reveal() for name, value in environment.items() if not name.startswith(PLATFORM_PREFIX)}


class ScriptCompiler(Protocol):
    """What compiles TypeScript; see `ckfunc.runtime`."""

    def compile(self, scripts: Sequence[tuple[str, str]], /) -> tuple[Compiled | SyntaxProblem, ...]:
        """Compile named sources, in order. Raises CkfuncError if there is no Node."""


def handler_name(trigger_type: str, version_number: int) -> str:
    """Return the file name that a version has in stack traces."""
    return f"{trigger_type}@{version_number}.ts"


async def compiled(database: Database, compiler: ScriptCompiler, name: str, source: str) -> Compiled | SyntaxProblem:
    """Return a compiled script, from the database if it was compiled before. Raises CkfuncError without Node."""
    source_digest = digest(source)
    cached = functions.find_compiled(database, name, source_digest)
    if cached is not None:
        return cached
    (result,) = await asyncio.to_thread(compiler.compile, [(name, source)])
    functions.store_compiled(database, source_digest, result)
    return result


def syntax_error(problem: SyntaxProblem) -> HandlerError:
    """Return the error of runs of a script with a syntax error, or without a required function."""
    where = f"{problem.name}:{problem.line}:{problem.column}"
    message = f"{problem.message} ({where})"
    return HandlerError(problem.kind, message, f"{problem.kind}: {problem.message}\n    at {where}")
