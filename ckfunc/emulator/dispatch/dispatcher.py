"""Dispatch events: run the current version of the function for each event's type."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from ckfunc.base.clock import elapsed_text
from ckfunc.base.errors import CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.text import with_hint
from ckfunc.emulator.dispatch import runtimes
from ckfunc.emulator.dispatch.recording import DEEPEST, Depths, EndWriter, Recorder
from ckfunc.emulator.dispatch.runtimes import (
    INITIALIZATION_SCRIPT,
    ScriptCompiler,
    compiled,
    handler_name,
    syntax_error,
)
from ckfunc.emulator.store import application, functions, invocations
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.trouble import trouble_with
from ckfunc.model.application import ConsoleLine, Function, FunctionVersion, Invocation, InvocationDetail
from ckfunc.model.execution import Compiled, Determinism, Environment, HandlerError, HandlerVersion, Outcome
from ckfunc.runtime.pool import HostPool

MOST_WAITING = 10_000
"""Events that may wait for their run; more fail at once."""
MOST_AT_ONCE = 64
"""Background runs that may be in progress at the same time."""
MOST_WARM = 8
"""Functions whose hosts are started before their first event; others start with it."""
_ENDS_BETWEEN_PRUNES = 64
STOPPED = HandlerError("EmulatorStopped", "the emulator stopped before this run ended")

T = TypeVar("T")

_LOG = logging.getLogger("ckfunc.emulator")


@frozen
class FinishedRun:
    """A finished run."""

    invocation: Invocation
    detail: InvocationDetail
    outcome: Outcome


@frozen
class _Started:
    function: Function
    invocation: Invocation
    depth: int
    console: list[ConsoleLine]
    determinism: Determinism | None = None
    on_console: Callable[[ConsoleLine], None] | None = None

    def tell(self, line: ConsoleLine) -> None:
        """Record a line that the handler prints."""
        self.console.append(line)
        if self.on_console is not None:
            self.on_console(line)


class Dispatcher:
    """Run functions for events. Everything happens on the event loop's thread."""

    def __init__(
        self,
        database: Database,
        *,
        hosts: HostPool,
        compiler: ScriptCompiler,
        base_url: str,
        on_event: Callable[[str], None] | None = None,
        most_waiting: int = MOST_WAITING,
        keep_invocations: int,
        spares: bool = True,
    ) -> None:
        self.base_url = base_url
        self.chained = True
        """Whether events run functions; if not, only `run` does."""
        self.next_conditions: Callable[[], Determinism] | None = None
        """Returns the clock and random numbers of the next run. If set, runs take turns, in the order of events."""
        self._turn = asyncio.Lock()
        self._running: dict[int, _Started] = {}
        self.recorder = Recorder(database, self._running)
        self._database = database
        self._hosts = hosts
        self._compiler = compiler
        self._on_event = on_event or (lambda _line: None)
        self._most_waiting = most_waiting
        self._keep_invocations = keep_invocations
        self._spares = spares
        self._ended = 0
        self._pruning: asyncio.Task[None] | None = None
        self._depths = Depths()
        self._endings = EndWriter(database, self.recorder, self._on_event)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)
        self._warm: set[int] = set()
        self._to_warm: set[int] = set()
        self._warming: asyncio.Task[None] | None = None
        self._versions: dict[int, HandlerVersion] = {}
        self._environments: list[Environment | HandlerError] = []
        self._pinned: dict[str, HandlerVersion | HandlerError] = {}

    def handles(self, trigger_type: str) -> bool:
        """Return whether an event of this type runs a function."""
        function = functions.find_by_type(self._database, trigger_type)
        return self.chained and function is not None and function.enabled and function.current_version_number > 0

    def fire(self, trigger_type: str, data: Mapping[str, Any], *, caller: int | None = None) -> Invocation | None:
        """Run the function of this type in the background; return its run, or None if no function is enabled.

        `data` is the event in canonical spelling; `caller` is the invocation whose handler caused it, or None.
        """
        started = self._begin(trigger_type, data, caller) if self.chained else None
        if started is None:
            return None
        if len(self._tasks) >= self._most_waiting:
            full = f"{self._most_waiting} events are already waiting for their run"
            self._end(started, _failed("TooManyEvents", full))
        else:
            self._keep(self._in_turn(started))
        return started.invocation

    async def run(
        self,
        trigger_type: str,
        data: Mapping[str, Any],
        *,
        on_console: Callable[[ConsoleLine], None] | None = None,
        determinism: Determinism | None = None,
    ) -> FinishedRun | None:
        """Run the function of this type and wait for its end; return None if no function is enabled.

        `on_console` gets each line as it is written. `determinism` is for runs in a deterministic environment.
        """
        started = self._begin(trigger_type, data, None, determinism, on_console)
        if started is None:
            return None
        await self._stored(started)
        outcome = await self._execute(started)
        begun = started.invocation
        result = invocations.result_of(outcome)
        invocation = Invocation(begun.id, begun.version_number, outcome.status, begun.args, result, begun.created_time)
        calls = self.recorder.shown(invocation.id)
        detail = InvocationDetail(invocation.id, outcome.console, outcome.duration_ms, *calls)
        return FinishedRun(invocation, detail, outcome)

    def so_far(self, invocation_id: int) -> InvocationDetail | None:
        """Return what a run has done so far, or None if it is not in progress."""
        started = self._running.get(invocation_id)
        if started is None:
            return None
        return InvocationDetail(invocation_id, tuple(started.console), None, *self.recorder.shown(invocation_id))

    def runtime_changed(self) -> None:
        """Use the changed runtime for new runs, and warm the warm functions again."""
        self._environments = []
        self._warm_up(self._warm, delay_s=0.1)  # a deploy changes the runtime several times in a row

    def boot_ahead(self) -> None:
        """Boot a process for the first run, if there is a function that can run."""
        if functions.can_any_run(self._database):
            self._warm_up(())

    async def version_created(self, function: Function, version: FunctionVersion) -> None:
        """Compile a new current version, and start its host in the background."""
        try:
            name = handler_name(function.type, version.version_number)
            await compiled(self._database, self._compiler, name, version.handler_script)
        except CkfuncError as error:  # there is no Node: each run will report it
            self._on_event(error.message)
            return
        if function.id in self._warm or len(self._warm) < MOST_WARM:
            self._warm.add(function.id)
            self._warm_up({function.id})

    async def initialization_script_changed(self, script: str) -> None:
        """Compile a new init script and use it; a script with a syntax error fails the runs, not this call."""
        self.runtime_changed()
        try:
            await compiled(self._database, self._compiler, INITIALIZATION_SCRIPT, script)
        except CkfuncError as error:
            self._on_event(error.message)

    def pin(self, trigger_type: str, version: HandlerVersion | HandlerError) -> None:
        """Run this version for the function of a type, whatever the database holds."""
        self._pinned[trigger_type] = version

    def pin_environment(self, environment: Environment | HandlerError) -> None:
        """Run handlers in this environment, whatever the database holds, until the runtime changes."""
        self._environments = [environment]

    def data_replaced(self) -> None:
        """Forget everything cached from the database, which was replaced; no run may be in progress."""
        self.recorder.undo()
        self._endings.discard()
        self._depths = Depths()
        self._versions.clear()
        self._environments = []

    @property
    def running(self) -> bool:
        """Whether a run is in progress."""
        return bool(self._running)

    @property
    def printed_lines(self) -> int:
        """The number of lines that the runs in progress have printed."""
        return sum(len(run.console) for run in self._running.values())

    @property
    def booting(self) -> bool:
        """Whether processes are being started before they are needed."""
        return self._warming is not None and not self._warming.done()

    async def finish(self) -> None:
        """Wait for the end of every run, and of the runs that they cause; each has its time limit."""
        while self._running:
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Cancel the runs in progress, which then FAIL. Call it before the hosts are closed.

        Whoever waits for a run gets its result when the handler has ended.
        """
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for started in list(self._running.values()):
            self._end(started, Outcome(None, STOPPED, tuple(started.console)))

    def _begin(
        self,
        trigger_type: str,
        data: Mapping[str, Any],
        caller: int | None,
        determinism: Determinism | None = None,
        on_console: Callable[[ConsoleLine], None] | None = None,
    ) -> _Started | None:
        self._endings.catch_up()
        # Within the transaction that stores the run, reading takes no locks of its own.
        with self._database.grouped(one_write=True):
            function = functions.find_by_type(self._database, trigger_type)
            if function is None or not function.enabled or function.current_version_number == 0:
                return None
            if determinism is None and self.next_conditions is not None:
                determinism = self.next_conditions()
            depth = self._depths.below(caller)
            invocation = invocations.begin(self._database, function.id, function.current_version_number, data)
        started = _Started(function, invocation, depth, [], determinism, on_console)
        self._running[invocation.id] = started
        self._depths.note(invocation.id, depth)
        return started

    async def _in_turn(self, started: _Started) -> None:
        with suppress(sqlite3.Error):  # the request that caused the event reports it; both are rolled back
            await self._stored(started)
            async with self._slots:
                await self._execute(started)

    async def _stored(self, started: _Started) -> None:
        """Wait until a run that begins is stored: a handler never runs unrecorded. Raises sqlite3.Error."""
        try:
            await self._database.stored(at_once=len(self._running) == 1)
        except sqlite3.Error:
            self._running.pop(started.invocation.id, None)
            raise

    async def _execute(self, started: _Started) -> Outcome:
        try:
            if self.next_conditions is None:
                outcome = await self._outcome(started)
            else:
                async with self._turn:
                    outcome = await self._outcome(started)
        except asyncio.CancelledError:
            self._end(started, Outcome(None, STOPPED, tuple(started.console)))
            raise
        except Exception as error:
            trouble = trouble_with(self._database.path, error)
            if trouble is None:
                _LOG.exception("run %s failed", started.invocation.id)
            reason = str(error) if trouble is None else f"its database cannot be used: {trouble.sentence}"
            outcome = _failed("EmulatorError", f"the emulator failed to run this: {reason}")
        self._end(started, outcome)
        return outcome

    async def _outcome(self, started: _Started) -> Outcome:
        if started.depth >= DEEPEST:
            return _failed(
                "EventLoop",
                f"this event is the {DEEPEST}th of a chain in which handlers' own calls caused each next event;"
                " it looks like an endless loop, so the handler was not run",
            )
        try:
            version = self._known_version(started.function) or await self._version(started.function)
            environment = self._environments[0] if self._environments else await self._environment()
        except CkfuncError as error:
            return _failed(type(error).__name__, with_hint(error.message, error.hint))
        if isinstance(version, HandlerError):
            return Outcome(None, version)
        if isinstance(environment, HandlerError):
            return Outcome(None, environment)
        invocation = started.invocation
        label = self.recorder.label(invocation.id)
        return await self._hosts.invoke(
            environment, version, invocation.args, started.tell, label=label, determinism=started.determinism
        )

    def _end(self, started: _Started, outcome: Outcome) -> None:
        invocation_id = started.invocation.id
        if self._running.pop(invocation_id, None) is None:
            return
        self._endings.store(invocation_id, outcome)
        self._ended += 1
        if self._ended % _ENDS_BETWEEN_PRUNES == 1 and (self._pruning is None or self._pruning.done()):
            self._pruning = self._keep(self._prune())
        summary = (
            f"{started.function.type} v{started.invocation.version_number} {outcome.status.value}"
            f" in {elapsed_text(outcome.duration_ms)}" + (f": {outcome.error.message}" if outcome.error else "")
        )
        self._database.when_stored(lambda _: self._on_event(summary))

    async def _prune(self) -> None:
        """Delete the oldest runs, in steps between which other requests are answered."""
        with suppress(sqlite3.DatabaseError):  # retried later
            while invocations.prune(self._database, self._keep_invocations):
                await asyncio.sleep(0)

    def _known_version(self, function: Function) -> HandlerVersion | HandlerError | None:
        """Return the version to run if it is pinned or was run before."""
        if function.type in self._pinned:
            return self._pinned[function.type]
        cached = self._versions.get(function.id)
        return cached if cached is not None and cached.number == function.current_version_number else None

    async def _version(self, function: Function) -> HandlerVersion | HandlerError:
        """Return the current version, ready to run, or the reason why it cannot run."""
        known = self._known_version(function)
        if known is not None:
            return known
        stored = functions.version_by_number(self._database, function.id, function.current_version_number)
        name = handler_name(function.type, stored.version_number)
        result = await compiled(self._database, self._compiler, name, stored.handler_script)
        if not isinstance(result, Compiled):
            return syntax_error(result)
        version = HandlerVersion(function.type, stored.version_number, result)
        self._versions[function.id] = version
        return version

    async def _environment(self) -> Environment | HandlerError:
        """Return the environment of handlers, or the reason why none can run."""
        # A change of the runtime replaces the list, so an environment of the older runtime ends up in the older list.
        environments = self._environments
        if environments:
            return environments[0]
        runtime = application.runtime(self._database)
        script: Compiled | None = None
        if runtime.initialization_script is not None:
            source = runtime.initialization_script
            result = await compiled(self._database, self._compiler, INITIALIZATION_SCRIPT, source)
            if not isinstance(result, Compiled):
                return syntax_error(result)
            script = result
        environment = runtimes.environment_of(runtime, self.base_url, script)
        environments.append(environment)
        return environment

    def _warm_up(self, function_ids: Iterable[int], delay_s: float = 0.0) -> None:
        """Warm these functions in the background; without any, only install the packages.

        Without spares, the first run of a function does all of this.
        """
        if not self._spares:
            return
        self._to_warm.update(function_ids)
        if self._warming is None or self._warming.done():
            self._warming = self._keep(self._warm_all(delay_s))

    async def _warm_all(self, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        again = True
        while again:
            function_ids, self._to_warm = self._to_warm, set()
            environments = self._environments
            try:
                await self._prepare(function_ids)
            except CkfuncError as error:  # each run will report it
                self._on_event(error.message)
            except Exception:
                _LOG.exception("preparing functions failed")
            again = bool(self._to_warm) or environments is not self._environments

    async def _prepare(self, function_ids: Iterable[int]) -> None:
        environment = await self._environment()
        stored = [functions.find(self._database, function_id) for function_id in sorted(function_ids)]
        # After a reset of the data, another function may have the id of a warm one, and no version yet.
        existing = [function for function in stored if function is not None and function.current_version_number]
        versions = [await self._version(function) for function in existing]
        if not isinstance(environment, HandlerError):
            ready = [version for version in versions if not isinstance(version, HandlerError)]
            await self._hosts.prepare(environment, ready)

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _failed(name: str, message: str) -> Outcome:
    return Outcome(None, HandlerError(name, message))
