"""Handlers run in a temporary emulator inside this process."""

from __future__ import annotations

import base64
import json
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self, TypeVar

from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import cache_dir
from ckfunc.base.text import Line, Segment
from ckfunc.bundle.source_map import StackMapper
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.dispatch.runtimes import environment_of, syntax_error, users_own_environment
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store.application import StoredRuntime
from ckfunc.emulator.store.seeds import SeedRefused, apply
from ckfunc.model.application import PLATFORM_RANGES, ConsoleLine
from ckfunc.model.execution import Compiled, Determinism, Environment, HandlerError, Limits, SyntaxProblem
from ckfunc.model.fault import ActiveFault, Fault
from ckfunc.model.job import Seed
from ckfunc.model.project import Script
from ckfunc.sandbox import conversations, trials
from ckfunc.sandbox.acts import Act, ChainedRun, Consequences
from ckfunc.sandbox.mentions import seed_of
from ckfunc.sandbox.scripts import Conditions, Ran, Scripts, Toolchain

T = TypeVar("T")

MOST_PROCESSES = 3
"""How many functions of a sandbox keep a Node process; starting another ends the least recently used one."""

_NO_TIME_LIMIT_S = 365 * 24 * 3600.0


class NoHandler(CkfuncError):
    """The sandbox does not have the requested function."""


class Sandbox:
    """Runs a handler at a time, on data that can be restored. A sandbox is used by one thread; several can run at once.

    The data is initially empty, or a copy of the emulator data in the directory `data`; `seed` is added to it. Only the
    function passed to `run` is run: its API calls do not trigger other functions. In a conversation, all functions run.
    A `single` sandbox is for one run: it has no snapshots to restore.
    """

    def __init__(
        self,
        tools: Toolchain,
        scripts: Scripts,
        conditions: Conditions | None = None,
        *,
        seed: Seed | None = None,
        data: Path | None = None,
        single: bool = False,
        inspect_port: int | None = None,
    ) -> None:
        conditions = conditions or Conditions()
        self._tools = tools
        self._scripts = scripts
        self._conditions = conditions
        self._single = single
        self._has_debugger = inspect_port is not None
        self._seed: Seed | None = None
        self._blank = b""
        self._start = b""
        self._environment: Environment | HandlerError | None = None
        self._generation = 0
        self._has_faults = False
        self._latest: deque[str] = deque(maxlen=MOST_PROCESSES)
        options = EmulatorOptions(
            limits=conditions.limits or Limits(),
            on_event=tools.log if single else None,
            seed=seed,
            copy_of=data,
            compiler=tools.compiler,
            spares=not single,
            inspect_port=inspect_port,
            ahead=self._environment_at,
            owner=tools.root,
            policy=tools.policy,
            on_coverage=conditions.on_coverage,
        )
        self._emulator = Emulator(None, options, cache=cache_dir())

    @classmethod
    def for_one_run(
        cls, tools: Toolchain, scripts: Scripts, *, data: Path | None = None, inspect_port: int | None = None
    ) -> Self:
        """Create a sandbox for a single run, without snapshots and without processes started in advance.

        It begins with a copy of the emulator's data in `data`, if there is any. With `inspect_port`, the run waits for
        a debugger at that port and has no time limit. Raises Busy.
        """
        if data is not None and not (data / DATABASE).is_file():
            data = None
        if inspect_port is not None:
            _require_free(inspect_port)
        limits = None if inspect_port is None else Limits(time_s=_NO_TIME_LIMIT_S)
        return cls(tools, scripts, Conditions(limits), data=data, single=True, inspect_port=inspect_port)

    @property
    def url(self) -> str:
        """The base URL of the sandbox's emulator."""
        if not self._emulator.url:
            raise RuntimeError("the sandbox was not entered")
        return self._emulator.url

    def __enter__(self) -> Self:
        self._emulator.start()
        try:
            if not self._single:
                self._blank = self._emulator.snapshot()
            self._set_up()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the sandbox for good, from any thread. A run in progress fails."""
        self._emulator.stop()

    def run(
        self,
        trigger_type: str,
        event: Mapping[str, Any],
        on_console: Callable[[ConsoleLine], None] | None = None,
        *,
        determinism: Determinism | None = None,
    ) -> Ran:
        """Run the function of this type once, and wait for its end and for the responses to all of its requests.

        `on_console` is called with each line during the run, on another thread. A script that does not parse or load is
        a FAILED run, as on the platform. Raises NoHandler, and the errors of starting Node.
        """
        script = self._scripts.handlers.get(trigger_type)
        if script is None:
            types = ", ".join(self._scripts.handlers) or "no functions"
            raise NoHandler(f"there is no function of type {trigger_type!r}", hint=f"the project has: {types}")
        compiled = self._compiled(script)
        environment = self._environment = self._environment or self._environment_at(self.url)
        mappers = self._mappers(script)

        def mapped_line(line: ConsoleLine) -> ConsoleLine:
            for mapper in mappers:
                line = mapper.line(line)
            return line

        self._limit_processes(trigger_type)
        generation = self._generation
        ran = self._emulator.within(
            lambda services: trials.run(
                services,
                trigger_type,
                event,
                script=compiled,
                environment=environment,
                generation=generation,
                on_console=None if on_console is None else lambda line: on_console(mapped_line(line)),
                determinism=determinism,
            )
        )
        return _mapped(ran, mappers)

    @contextmanager
    def conversation(self, start: datetime) -> Iterator[Callable[[Act], Consequences]]:
        """Yield a function that performs an act of a conversation and returns its consequences.

        All functions run for their events and for those that other functions cause, one at a time. The conversation
        begins at `start`; each act takes a second on its clock. Raises the errors of starting Node.
        """
        handlers, time = self._scripts.handlers, conversations.VirtualTime(start)
        compiled = {trigger_type: self._compiled(script) for trigger_type, script in handlers.items()}
        environment = self._environment = self._environment or self._environment_at(self.url)
        generation = self._generation
        mappers = {trigger_type: self._mappers(script) for trigger_type, script in handlers.items()}
        conversation = self._call(
            lambda services: conversations.begin(services, compiled, environment, generation=generation, time=time)
        )

        def perform(act: Act) -> Consequences:
            caused = self._emulator.within(lambda _services: conversation.perform(act))
            runs = (ChainedRun(run.type, _mapped(run.ran, mappers[run.type])) for run in caused.runs)
            return replace(caused, runs=tuple(runs))

        try:
            yield perform
        finally:
            self._call(conversations.end)

    def restore_data(self, *, reload: bool = False) -> None:
        """Restore the data after set-up, so that the next run gets the same ids as the last one.

        Processes are kept. `reload` loads handlers again, which resets their modules, but not the state of an init
        script.
        """
        self._emulator.restore(self._start)
        self._generation += reload

    def reset_hosts(self) -> None:
        """Reset Node for the next runs. Processes without leftover work are reset, all others are replaced."""
        self._emulator.within(lambda services: services.hosts.reset())

    def use(self, scripts: Scripts) -> None:
        """Replace the scripts, and restore the initial data and the seed, unless these scripts are in use already."""
        if scripts != self._scripts:
            self._scripts = scripts
            self._set_up()

    def set_seed(self, seed: Seed | None) -> None:
        """Replace the seed that is added to the initial data of runs. Raises SeedRefused."""
        self._seed = seed
        self._set_up()

    def set_faults(self, faults: Sequence[Fault]) -> None:
        """Replace the faults that calls of handlers meet. They begin to count from here on."""
        if not faults and not self._has_faults:
            return
        self._call(lambda services: services.faults.replace(faults))
        self._has_faults = bool(faults)

    def faults(self) -> tuple[ActiveFault, ...]:
        """Return the faults with the numbers of affected calls."""
        return self._call(lambda services: services.faults.active)

    def add_mentioned(self, event: Mapping[str, Any]) -> None:
        """Add what an event mentions to the current data, if it is compatible with the data."""
        with suppress(SeedRefused):
            self._call(lambda services: apply(services.database, seed_of([event])))

    def _set_up(self) -> None:
        scripts, determinism = self._scripts, self._conditions.determinism
        if self._start:
            self._emulator.restore(self._blank)
        self._call(lambda services: trials.set_up(services, scripts, self._seed, determinism))
        self._environment = None
        if not self._single:
            self._start = self._emulator.snapshot()

    def _environment_at(self, url: str) -> Environment | HandlerError:
        """Return the environment of handlers in a sandbox at this URL, or the error if none can run."""
        scripts, conditions = self._scripts, self._conditions
        initial = None if scripts.initialization_script is None else self._compiled(scripts.initialization_script)
        if isinstance(initial, SyntaxProblem):
            return syntax_error(initial)
        stored = StoredRuntime(scripts.dependencies, users_own_environment(scripts.environment), None)
        result = environment_of(stored, url, initial)
        return replace(
            result,
            determinism=conditions.determinism,
            network=conditions.network,
            settle=True,
            renewable=conditions.renewable,
        )

    def _compiled(self, script: Script) -> Compiled | SyntaxProblem:
        compile_all = self._tools.compiler.compile
        (result,) = compile_all([(script.path, script.text)])
        if isinstance(result, Compiled) and (result.imports or result.no_handler or result.failure):
            from ckfunc.bundle.requirements import Requirements

            packages = {*self._scripts.dependencies, *PLATFORM_RANGES}
            required = Requirements(self._tools.root, packages)
            for problem in required.missing([script], compile_all, self._scripts.initialization_script).errors:
                return SyntaxProblem(problem.path, problem.line, problem.column, problem.sentence, "CannotRun")
        if self._has_debugger and isinstance(result, Compiled):
            return _debuggable(result, script, self._tools.root)
        return result

    def _mappers(self, script: Script) -> list[StackMapper]:
        """Return what maps places in a script and in the init script, if they are bundles, to their files."""
        return [
            StackMapper(compiled.path, compiled.path, compiled.source_map)
            for compiled in (script, self._scripts.initialization_script)
            if compiled is not None and compiled.source_map
        ]

    def _limit_processes(self, trigger_type: str) -> None:
        """End the least recently used processes: each function has its own, and a project can have many functions."""
        if trigger_type in self._latest:
            self._latest.remove(trigger_type)
            self._latest.append(trigger_type)
            return
        self._latest.append(trigger_type)
        keep = tuple(self._latest)
        self._call(lambda services: services.hosts.renew(keep))

    def _call(self, work: Callable[[EmulatorServices], T]) -> T:
        """Call a function on the emulator's thread, with its services, and return the result."""

        async def called(services: EmulatorServices) -> T:
            return work(services)

        return self._emulator.within(called)


def _mapped(ran: Ran, mappers: Sequence[StackMapper]) -> Ran:
    for mapper in mappers:
        ran = replace(ran, invocation=mapper.invocation(ran.invocation), detail=mapper.detail(ran.detail))
    return ran


def _debuggable(compiled: Compiled, script: Script, root: Path) -> Compiled:
    """Return a script with the URL of its source file for debuggers, so that breakpoints from an editor work.

    A bundle of several files is shown as itself.
    """
    source_map = json.loads(compiled.source_map)
    if script.source_map is None:
        source_map |= {"sources": [(root / script.path).as_uri()], "sourceRoot": ""}
    else:
        source_map |= {"sources": [f"{script.path} (bundled)"], "sourcesContent": [script.text]}
    encoded = base64.b64encode(json.dumps(source_map).encode()).decode()
    comment = f"\n//# sourceMappingURL=data:application/json;base64,{encoded}\n"
    return replace(compiled, javascript=compiled.javascript + comment)


def debugger_lines(port: int) -> Iterator[Line]:
    """Yield how a debugger connects to a run that waits for it."""
    address = f"127.0.0.1:{port}"
    yield Segment("waiting for a debugger ", "title"), Segment(f"at {address}; press Ctrl-C to cancel")
    for text in (
        "Chrome: chrome://inspect, then `inspect` under Remote Target",
        f"VS Code: the command `Debug: Attach to Node Process`, or a launch entry with port {address}",
        "execution pauses at the line that calls your handler: step into it",
    ):
        yield (Segment(f"  {text}"),)


def _require_free(port: int) -> None:
    """Raise Busy if the port is in use, because Node would then run without a debugger."""
    with socket.socket() as probe:
        if hasattr(signal, "SIGHUP"):  # POSIX: allows a port in TIME_WAIT; on Windows, it would share a port in use
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise Busy(
                f"cannot listen on 127.0.0.1:{port}: the port is in use", hint="choose another: --inspect PORT"
            ) from None
