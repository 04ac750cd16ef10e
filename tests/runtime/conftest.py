"""Fixtures for tests of the runtime: compiler, package cache, and runs in one line."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ckfunc.base.secrets import Secret, secret_values
from ckfunc.model.application import ConsoleLine
from ckfunc.model.execution import ApiAccess, Compiled, Environment, HandlerVersion, Limits, Outcome
from ckfunc.runtime.compiler import CompilerProcess
from ckfunc.runtime.pool import HostPool

DEPENDENCIES = {
    "axios": "^1.7.0",
    "axios-token-interceptor": "^0.2.0",
    "chatkitty-platform-sdk": "2.4.0",
    "ms": "2.1.3",
    "qs": "^6.12.0",
}
NOWHERE = ApiAccess("http://127.0.0.1:9", "http://127.0.0.1:9/oauth/token", "client-1", Secret("s3cret-value"))


@pytest.fixture(scope="session")
def compiler() -> Iterator[CompilerProcess]:
    with CompilerProcess() as compiler:
        yield compiler


@pytest.fixture(scope="session")
def cache() -> Path:
    return Path(os.environ["CKFUNC_CACHE_DIR"])


@dataclass
class Bench:
    """Compiles sources and runs them on one set of hosts."""

    compiler: CompilerProcess
    hosts: HostPool
    variables: Mapping[str, str] = field(default_factory=dict)
    api: ApiAccess = NOWHERE
    init: str | None = None
    dependencies: Mapping[str, str] = field(default_factory=lambda: DEPENDENCIES)

    def script(self, source: str, name: str = "handlers/handler.ts") -> Compiled:
        (compiled,) = self.compiler.compile([(name, source)])
        assert isinstance(compiled, Compiled), compiled
        return compiled

    def environment(self) -> Environment:
        init = None if self.init is None else self.script(self.init, "init.ts")
        return Environment(self.dependencies, secret_values(self.variables), self.api, init)

    def version(self, source: str, number: int = 1, key: str = "function") -> HandlerVersion:
        return HandlerVersion(key, number, self.script(source))

    async def run(
        self,
        source: str,
        event: Mapping[str, Any] | None = None,
        *,
        number: int = 1,
        key: str = "function",
        on_console: Callable[[ConsoleLine], None] | None = None,
        label: str = "",
    ) -> Outcome:
        version = self.version(source, number, key)
        return await self.hosts.invoke(self.environment(), version, event or {}, on_console, label=label)


Play = Callable[..., Any]


@pytest.fixture
def play(compiler: CompilerProcess, cache: Path) -> Play:
    """Run a scenario (an async function of a Bench) with hosts that are closed afterwards."""

    def run(scenario: Callable[[Bench], Awaitable[Any]], *, limits: Limits | None = None, **options: Any) -> Any:
        names = {"idle_s", "on_event", "sockets", "cache", "spares"}
        given = {name: options.pop(name) for name in names & options.keys()}

        async def main() -> Any:
            hosts = HostPool(limits=limits or Limits(), **{"cache": cache, "spares": False, **given})
            try:
                return await scenario(Bench(compiler, hosts, **options))
            finally:
                await hosts.close()

        return asyncio.run(main())

    return run


Run = Callable[..., Outcome]


@pytest.fixture
def run_alone(play: Play) -> Run:
    """Run one source once, in a process of its own."""

    def once(source: str, event: Mapping[str, Any] | None = None, **options: Any) -> Outcome:
        on_console = options.pop("on_console", None)
        return play(lambda bench: bench.run(source, event, on_console=on_console), **options)

    return once


@pytest.fixture(scope="module")
def shared(compiler: CompilerProcess, cache: Path) -> Iterator[Run]:
    """Run sources one after another as versions of one function; a process with leftovers is replaced."""
    with asyncio.Runner() as runner:
        hosts = HostPool(limits=Limits(), cache=cache, spares=False)
        bench = Bench(compiler, hosts)
        numbers = itertools.count(1)
        yield lambda *args: runner.run(bench.run(*args, number=next(numbers)))
        runner.run(hosts.close())


@pytest.fixture
def run(shared: Run, run_alone: Run) -> Run:
    """Run one source once; without options, in the process of the other tests of the module."""

    def once(source: str, event: Mapping[str, Any] | None = None, **options: Any) -> Outcome:
        return run_alone(source, event, **options) if options else shared(source, event)

    return once
