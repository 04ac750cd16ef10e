"""How handlers are tried out: in an emulator of their own that lives in this process and is gone afterwards."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ckfunc.base.errors import CkfuncError, NoProject
from ckfunc.base.files import cache_dir
from ckfunc.cli.app import App
from ckfunc.model.application import DEFAULT_PACKAGES
from ckfunc.model.execution import Compiled, Environment, HandlerError, Limits, Steady, SyntaxProblem
from ckfunc.model.function import ConsoleLine, Invocation, InvocationDetail
from ckfunc.model.job import Seed
from ckfunc.model.project import Project, Script
from ckfunc.model.trial import Ran, Scripts

if TYPE_CHECKING:
    from ckfunc.emulator.emulator import Emulator

MOST_PROCESSES = 3
"""Functions of a sandbox whose Node processes are kept warm; one more ends the process that was unused the longest."""


class NoHandler(CkfuncError):
    """A sandbox was asked to run a function that it does not have."""


def scripts_of(project: Project) -> Scripts:
    """Return the working copy, in the runtime of the project's target."""
    runtime = project.runtime
    return Scripts(
        {one.type: one.handler for one in project.functions or ()},
        runtime.dependencies or {},
        runtime.environment or {},
        runtime.initialization_script,
    )


class Sandbox:
    """Runs one handler at a time, on data that can be put back. One thread uses it; any number may live side by side.

    The data begins empty, or with what the emulator of the directory `data` holds, which does not notice; `seed` is
    added. Only the function that `run` names runs: with `chain`, those that its own calls set off run too, later.
    `steady` is the clock and the chances that runs begin with; without `network`, they reach the sandbox alone.
    `once` is for a single run: nothing is kept for `begin_again`, and no process is booted ahead. With `inspect_port`,
    the run waits for a debugger there. `renewable` is for `begin_anew`.
    """

    def __init__(
        self,
        app: App,
        scripts: Scripts,
        *,
        seed: Seed | None = None,
        data: Path | None = None,
        limits: Limits | None = None,
        chain: bool = False,
        steady: Steady | None = None,
        network: bool = True,
        once: bool = False,
        renewable: bool = False,
        inspect_port: int | None = None,
    ) -> None:
        self._app = app
        self._scripts = scripts
        self._seed = seed
        self._data = data
        self._limits = limits
        self._chain = chain
        self._steady = steady
        self._network = network
        self._once = once
        self._renewable = renewable
        self._inspect_port = inspect_port
        self._planted: Seed | None = None
        self._emulator: Emulator | None = None
        self._blank = b""
        self._start = b""
        self._environment: Environment | HandlerError | None = None
        self._generation = 0
        self._latest: deque[str] = deque(maxlen=MOST_PROCESSES)

    @property
    def url(self) -> str:
        """The base URL of the sandbox's emulator."""
        return self._running().url

    def __enter__(self) -> Self:
        from ckfunc.emulator.emulator import Emulator

        self._emulator = Emulator(
            None,
            cache=cache_dir(),
            limits=self._limits,
            on_event=self._app.output.detail if self._once else None,
            seed=self._seed,
            copy_of=self._data,
            compiler=self._app.kept_compiler(),
            spares=not self._once,
            inspect_port=self._inspect_port,
            ahead=self._environment_at,
            owner=self._root(),
            policy=self._app.install_policy,
        )
        self._emulator.start()
        try:
            if not self._once:
                self._blank = self._emulator.snapshot()
            self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End it, from any thread; a run that is under way fails. The sandbox cannot be used any more."""
        if self._emulator is not None:
            self._emulator.stop()

    def run(
        self,
        trigger_type: str,
        event: Mapping[str, Any],
        on_console: Callable[[ConsoleLine], None] | None = None,
        *,
        steady: Steady | None = None,
    ) -> Ran:
        """Run the function of this type once and wait for its end, and for the answers to all that it asked.

        `on_console` gets each line while it runs, on another thread. What does not parse or load FAILS, as on the
        platform. Raises NoHandler, and what keeps Node from being started.
        """
        from ckfunc.emulator import trials

        script = self._scripts.handlers.get(trigger_type)
        if script is None:
            there = ", ".join(self._scripts.handlers) or "no functions"
            raise NoHandler(f"there is no function of type {trigger_type!r}", hint=f"there is: {there}")
        compiled = self._compiled(script)
        environment = self._environment = self._environment or self._environment_at(self.url)
        mapped = _Mapped((script, self._scripts.initialization_script))
        told = None if on_console is None else mapped.telling(on_console)
        self._make_room(trigger_type)
        generation = self._generation
        ran = self._running().within(
            lambda services: trials.run(
                services,
                trigger_type,
                event,
                script=compiled,
                environment=environment,
                generation=generation,
                on_console=told,
                steady=steady,
            )
        )
        return mapped.ran(ran)

    def begin_again(self, *, reload: bool = False) -> None:
        """Put the data back to what it was after set-up: the next run is given the same ids as the last one was.

        Processes stay as they are. With `reload`, handlers are loaded anew, so that their modules begin again too; what
        an init script keeps stays.
        """
        self._running().restore(self._start)
        self._generation += reload

    def fresh_hosts(self) -> None:
        """Let the next runs begin in new Node processes."""

        async def renew(services: Any) -> None:
            services.hosts.renew()

        self._running().within(renew)

    def begin_anew(self) -> None:
        """Let the next runs begin as in new Node processes; one in which nothing is left over is used again."""

        async def renew(services: Any) -> None:
            await services.hosts.begin_anew()

        self._running().within(renew)

    def use(self, scripts: Scripts) -> None:
        """Try out other scripts from now on, on the data as it was before these; what was planted is planted again."""
        self._scripts = scripts
        self._set_up()

    def plant(self, seed: Seed | None) -> None:
        """Let the data begin with this too, in place of what was planted before. Raises SeedRefused."""
        self._planted = seed
        self._set_up()

    def add(self, seed: Seed) -> bool:
        """Add this to the data as it is now, all of it; tell whether it went together with what is there."""
        from ckfunc.emulator.store.seeds import SeedRefused, apply

        async def added(services: Any) -> bool:
            try:
                apply(services.database, seed)
            except SeedRefused:
                return False
            return True

        return self._running().within(added)

    def _set_up(self) -> None:
        from ckfunc.emulator import trials

        emulator, scripts = self._running(), self._scripts
        if self._start:
            emulator.restore(self._blank)

        async def set_up(services: Any) -> None:
            services.dispatch.chained = self._chain
            await trials.set_up(services, scripts, self._planted)

        emulator.within(set_up)
        self._environment = None
        if not self._once:
            self._start = emulator.snapshot()

    def _environment_at(self, url: str) -> Environment | HandlerError:
        """Return what the handlers of a sandbox at this URL run in, or why none can run."""
        from ckfunc.emulator.dispatch.runtimes import environment_of, users_own_environment
        from ckfunc.emulator.dispatch.scripts import syntax_error
        from ckfunc.emulator.store.runtime import StoredRuntime

        given = self._scripts
        initial = None if given.initialization_script is None else self._compiled(given.initialization_script)
        if isinstance(initial, SyntaxProblem):
            return syntax_error(initial)
        stored = StoredRuntime(given.dependencies, users_own_environment(given.environment), None)
        made = environment_of(stored, url, initial)
        return replace(made, steady=self._steady, network=self._network, settle=True, renewable=self._renewable)

    def _compiled(self, script: Script) -> Compiled | SyntaxProblem:
        compile_all = self._app.kept_compiler().compile
        (result,) = compile_all([(script.path, script.text)])
        if isinstance(result, Compiled) and (result.imports or result.no_handler):
            from ckfunc.bundle.requirements import Requirements

            packages = {*self._scripts.dependencies, *(one.name for one in DEFAULT_PACKAGES)}
            required = Requirements(self._root(), packages)
            for one in required.lacks([script], compile_all, self._scripts.initialization_script).errors:
                message = f"{one.message} ({one.hint})" if one.hint else one.message
                return SyntaxProblem(one.path, one.line, one.column, message, "CannotRun")
        if self._inspect_port is not None and isinstance(result, Compiled):
            return _debuggable(result, script, self._app.root())
        return result

    def _root(self) -> Path:
        try:
            return self._app.root()
        except NoProject:
            return self._app.directory

    def _make_room(self, trigger_type: str) -> None:
        """Keep few processes: each function has its own, and a project can have many functions."""
        if trigger_type in self._latest:
            self._latest.remove(trigger_type)
            self._latest.append(trigger_type)
            return
        self._latest.append(trigger_type)
        keep = tuple(self._latest)

        async def renew(services: Any) -> None:
            services.hosts.renew(keep)

        self._running().within(renew)

    def _running(self) -> Emulator:
        if self._emulator is None:
            raise RuntimeError("the sandbox was not entered")
        return self._emulator


def _debuggable(compiled: Compiled, script: Script, root: Path) -> Compiled:
    """Return a script that tells a debugger which file it was made of, so that breakpoints in an editor hold.

    A bundle was made of several: it is shown as itself.
    """
    import base64

    known = json.loads(compiled.source_map)
    if script.source_map is None:
        known |= {"sources": [(root / script.path).as_uri()], "sourceRoot": ""}
    else:
        known |= {"sources": [f"{script.path} (bundled)"], "sourcesContent": [script.text]}
    encoded = base64.b64encode(json.dumps(known).encode()).decode()
    told = f"\n//# sourceMappingURL=data:application/json;base64,{encoded}\n"
    return replace(compiled, javascript=compiled.javascript + told)


class _Mapped:
    """Names places in bundled scripts as the local files that they came from."""

    def __init__(self, scripts: tuple[Script | None, ...]) -> None:
        self._maps = [(one.path, one.source_map) for one in scripts if one is not None and one.source_map]

    def telling(self, tell: Callable[[ConsoleLine], None]) -> Callable[[ConsoleLine], None]:
        """Return what tells lines with their places mapped."""
        return (lambda line: tell(self._line(line))) if self._maps else tell

    def ran(self, ran: Ran) -> Ran:
        """Return a run with its places mapped."""
        if not self._maps:
            return ran
        return replace(ran, invocation=self._invocation(ran.invocation), detail=self._detail(ran.detail))

    def _invocation(self, row: Invocation) -> Invocation:
        error = row.result.get("error")
        if not isinstance(error, Mapping):
            return row
        mapped = {name: self._text(one) if isinstance(one, str) else one for name, one in error.items()}
        return replace(row, result={**row.result, "error": mapped})

    def _detail(self, detail: InvocationDetail) -> InvocationDetail:
        return replace(detail, console=tuple(map(self._line, detail.console)))

    def _line(self, line: ConsoleLine) -> ConsoleLine:
        return replace(line, text=self._text(line.text))

    def _text(self, text: str) -> str:
        from ckfunc.bundle.stacks import map_stack

        for name, source_map in self._maps:
            text = map_stack(text, name, source_map)
        return text
