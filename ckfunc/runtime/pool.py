"""Node processes of functions: one for each, started ahead and reused.

A process is replaced if it is broken or out of date.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ckfunc.base.documents import json_writer
from ckfunc.base.errors import CkfuncError, SystemRefusal
from ckfunc.base.text import with_hint
from ckfunc.model.application import ConsoleLine
from ckfunc.model.execution import Determinism, Environment, HandlerError, HandlerVersion, Limits, Outcome
from ckfunc.runtime.cache import CacheRefused
from ckfunc.runtime.confinement import isolation
from ckfunc.runtime.host import ENDED, Failed, Host, NotBegun, OnConsole, OnCoverage
from ckfunc.runtime.links import HAS_SOCKETS
from ckfunc.runtime.packages import STOPPED, PackageStore
from ckfunc.runtime.policy import Policy, no_policy
from ckfunc.runtime.processes import Places, Warden
from ckfunc.runtime.scripts import CompiledCode, forget_old

MOST_AT_ONCE = 100
"""Concurrent runs of a function. Further runs wait, so that a queue is not mistaken for a slow handler."""

MOST_PREPARED = 8
"""Processes that `prepare` starts. Further functions get theirs when they are first called."""

_MOST_ATTEMPTS = 3  # processes that are tried for a run before it fails because none starts it

_MOST_LOADS = 200  # Node never unloads a module, so a process is replaced after this many versions

_event_text = json_writer(separators=(",", ":"), default=dict)


@dataclass(slots=True)
class _Slot:
    """A function's process, and the lock for changing it."""

    host: Host | None = None
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


class HostPool:
    """Runs handlers. Belongs to a single event loop."""

    def __init__(
        self,
        *,
        limits: Limits,
        cache: Path,
        on_event: Callable[[str], None] | None = None,
        idle_s: float = 300.0,
        sockets: bool = HAS_SOCKETS,
        spares: bool = True,
        inspect_port: int | None = None,
        owner: str | None = None,
        policy: Policy = no_policy,
        on_coverage: OnCoverage | None = None,
    ) -> None:
        """`cache` is the cache directory, for packages and compiled code.

        `on_event` is called with a sentence for events other than runs, such as installs. A process that was not used
        for `idle_s` seconds is ended. `sockets` selects the link to processes: a socket pair, or their own pipes.
        Without `spares`, only `prepare` starts a process ahead of its use. With `inspect_port`, each run waits for a
        debugger on that port; this needs a single process and suitable limits. `owner` names the project of the
        handlers: processes of other owners cannot read its stored code, which is removed at the end if there is no
        owner. `policy` are the project's settings for installs. With `on_coverage`, coverage is measured, and sent when
        a script has run.
        """
        self._limits = limits
        self._cache = cache.resolve()
        self._tell = on_event or (lambda _: None)
        self._idle_s = idle_s
        self._sockets = sockets
        self._spares = spares
        self._inspect_port = inspect_port
        self._on_coverage = on_coverage
        self._packages = PackageStore(self._cache, self._tell, policy)
        self._warden = Warden()
        self._confined = True  # as far as the system supports it; False after a confined Node did not start
        self._code = CompiledCode(self._cache, owner)
        self._scratch: Path | None = None
        self._slots: dict[str, _Slot] = {}
        self._hosts: set[Host] = set()
        self._spare: asyncio.Task[Host | None] | None = None
        self._spare_environment: Environment | None = None
        self._booting = asyncio.Semaphore(max(2, os.cpu_count() or 2))
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    async def invoke(
        self,
        environment: Environment,
        version: HandlerVersion,
        event: Mapping[str, Any],
        on_console: OnConsole | None = None,
        *,
        label: str = "",
        determinism: Determinism | None = None,
    ) -> Outcome:
        """Run a handler once. `on_console` is called with each line during the run. Never raises for handler errors.

        `label` is sent with the run's requests to the API, in the header x-ckfunc-invocation. `determinism` is the
        run's own clock and seed, in an environment with `determinism`. If the caller is cancelled, the run continues.
        """
        started = time.perf_counter()
        watch = None if on_console is None else self._guarded(on_console)
        text = _event_text(event)
        for _ in range(_MOST_ATTEMPTS):
            try:
                host, token = self._free(environment, version) or await self._ready(environment, version)
            except Failed as failure:
                if watch is not None:
                    for line in failure.console:
                        watch(line)
                return Outcome(None, failure.error, failure.console, _since(started))
            sent = time.perf_counter()
            try:
                answer, console = await host.invoke(token, text, watch, label=label, determinism=determinism)
                break
            except NotBegun:
                continue
        else:
            return Outcome(None, _NEVER_BEGUN, (), _since(started))
        payload = answer.body if answer.error is None else None
        return Outcome(payload, answer.error, tuple(console), answer.duration_ms or _since(sent))

    async def prepare(self, environment: Environment, versions: Sequence[HandlerVersion]) -> None:
        """Install packages, start processes and a spare one, and load versions, so that the next runs are fast.

        Failures are reported by the next run that they affect.
        """
        if self._closed:
            return
        self._packages.forget_failures()
        first_versions = versions[:MOST_PREPARED]
        ready = await asyncio.gather(
            *(self._ready(environment, version) for version in first_versions), return_exceptions=True
        )
        for result in ready:
            if isinstance(result, BaseException) and not isinstance(result, Failed):
                raise result
        self._boot_spare(environment)
        if self._spare is not None:
            await asyncio.shield(self._spare)

    def boot_ahead(self, environment: Environment) -> None:
        """Begin to start the spare process for the next function. No run waits yet."""
        self._boot_spare(environment, after_s=0)

    def renew(self, keep: Collection[str] = ()) -> None:
        """Use new processes for the next runs of all functions except those in `keep`."""
        for key, slot in self._slots.items():
            if key not in keep and slot.host is not None:
                self._spawn(self._retire(slot.host))
                slot.host = None

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The ids of the processes that have started and not ended."""
        return tuple(host.process_id for host in self._hosts if host.alive and host.process_id is not None)

    async def reset(self) -> None:
        """Make the next runs start as in new processes. Processes that can be reset are reused.

        No handler may be running. Files that handlers wrote are removed.
        """
        for slot in self._slots.values():
            async with slot.changing:
                host = slot.host
                if host is not None and not await host.renew():
                    slot.host = None
                    self._spawn(self._retire(host))
        if self._scratch is not None:
            for path in self._scratch.glob("*"):
                _remove(path)

    async def close(self) -> None:
        """End all processes and release all resources. Handlers that are still running fail."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._packages.stop()
        while self._hosts or self._tasks:  # a task that is starting a process gives up
            for host in self._hosts:
                host.kill(STOPPED)
            await asyncio.gather(*self._tasks, *(host.ended() for host in self._hosts), return_exceptions=True)
            self._hosts = {host for host in self._hosts if not host.gone}
            self._tasks = {task for task in self._tasks if not task.done()}
        self._packages.close()
        self._warden.close()
        self._code.close()
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)

    # Processes with a loaded version

    def _free(self, environment: Environment, version: HandlerVersion) -> tuple[Host, int] | None:
        """Return a process that has loaded the version and can run it at once."""
        slot = self._slots.get(version.key)
        loaded = None if slot is None else self._loaded(slot, environment, version)
        return loaded if loaded is not None and loaded[0].running < MOST_AT_ONCE else None

    async def _ready(self, environment: Environment, version: HandlerVersion) -> tuple[Host, int]:
        slot = self._slots.get(version.key)
        if slot is None:
            slot = self._slots[version.key] = _Slot()
        while True:
            host = self._loaded(slot, environment, version)
            if host is None:
                async with slot.changing:
                    host = self._loaded(slot, environment, version) or await self._change(slot, environment, version)
            if host[0].running < MOST_AT_ONCE:
                return host
            await host[0].room()

    def _loaded(self, slot: _Slot, environment: Environment, version: HandlerVersion) -> tuple[Host, int] | None:
        host = slot.host
        if host is None or not host.serves(environment) or (token := host.token(version)) is None:
            return None
        return host, token

    async def _change(self, slot: _Slot, environment: Environment, version: HandlerVersion) -> tuple[Host, int]:
        try:
            with CacheRefused.reported(self._cache):
                return await self._changed_host(slot, environment, version)
        except (OSError, CkfuncError) as error:
            refused = SystemRefusal.of(error) if isinstance(error, OSError) else error
            why = str(error) if refused is None else with_hint(refused.message, refused.hint)
            raise Failed(HandlerError("HostError", f"the handler cannot be stored or started: {why}")) from error

    async def _changed_host(self, slot: _Slot, environment: Environment, version: HandlerVersion) -> tuple[Host, int]:
        for _ in range(_MOST_ATTEMPTS):
            host = slot.host
            if host is None or not host.serves(environment) or host.loads >= _MOST_LOADS:
                slot.host = None
                if host is not None:
                    self._spawn(self._retire(host))  # its runs may finish
                host = slot.host = await self._boot(environment)
            try:
                return host, await host.load(version)
            except NotBegun:
                continue
            except Failed as failure:
                raise Failed(failure.error, host.take_early()) from failure
        raise Failed(_NEVER_BEGUN)

    async def _boot(self, environment: Environment) -> Host:
        host = await self._take_spare(environment) or await self._start(environment)
        if environment.initialization_script is not None:
            try:
                await host.run_script(environment.initialization_script)
            except Failed as failure:
                host.kill(STOPPED)
                message = f"the initialization script failed: {failure.error.message}"
                raise Failed(replace(failure.error, message=message), host.take_early()) from failure
        if self._spares:
            self._boot_spare(environment)
        return host

    async def _start(self, environment: Environment) -> Host:
        runtime = await self._packages.directory(environment.dependencies)
        confined = self._confined and isolation().files
        async with self._booting:
            if self._closed:
                raise Failed(STOPPED)
            places = self._places(runtime)
            clean = self._on_coverage is None and self._code.is_clean(places.compile_cache, runtime)
            host = Host(
                places,
                self._limits,
                self._warden,
                sockets=self._sockets,
                inspect_port=self._inspect_port,
                confined=confined,
                on_coverage=self._on_coverage,
            )
            self._hosts.add(host)
            try:
                await host.start(environment, keep_code=clean)
                if clean:
                    await asyncio.to_thread(self._code.keep_clean, places.compile_cache, runtime)
                self._sweep_later()
                return host
            except Failed as failure:
                host.kill(STOPPED)
                if not (confined and host.ended_before_ready(failure)):
                    raise
                self._confined = False  # on this system, Node needs files that are not allowed
            except BaseException:
                host.kill(STOPPED)
                raise
        return await self._start(environment)

    def _places(self, runtime: Path) -> Places:
        scripts = self._code.scripts(runtime)
        if self._scratch is None:
            self._scratch = self._warden.directory = Path(tempfile.mkdtemp(prefix="ckfunc-")).resolve()
            forget_old(scripts)
        self._scratch.mkdir(mode=0o700, exist_ok=True)  # a handler may have removed it
        return Places(runtime, scripts, self._code.directory(runtime), self._scratch)

    # The spare process, for the next new function or the next restart

    def _boot_spare(self, environment: Environment, after_s: float = 0.01) -> None:
        """Begin to start the spare process, after the start of a waiting run, which has priority."""
        if self._closed or (self._spare is not None and self._spare_environment == environment):
            return
        self._drop_spare()
        self._spare_environment = environment
        self._spare = self._spawn(self._start_spare(environment, after_s))

    async def _start_spare(self, environment: Environment, after_s: float) -> Host | None:
        await asyncio.sleep(after_s)
        try:
            return await self._start(environment)
        except (Failed, OSError, CkfuncError):
            return None  # the next run reports the failure

    async def _take_spare(self, environment: Environment) -> Host | None:
        if self._spare is None or self._spare_environment != environment:
            return None
        task, self._spare = self._spare, None
        host = await asyncio.shield(task)
        return host if host is not None and host.alive else None

    def _drop_spare(self) -> None:
        task, self._spare = self._spare, None
        if task is not None:
            self._spawn(self._retire_spare(task))

    async def _retire_spare(self, task: asyncio.Task[Host | None]) -> None:
        host = await task
        if host is not None:
            await self._retire(host)

    # Ending processes

    async def _retire(self, host: Host) -> None:
        while host.alive and host.running:
            await host.room()
        host.kill(STOPPED)
        await host.ended()
        self._hosts.discard(host)

    def _sweep_later(self) -> None:
        if self._sweeper is None and not self._closed:
            loop = asyncio.get_running_loop()
            self._sweeper = loop.call_later(min(self._idle_s / 2, 30.0), self._sweep)

    def _sweep(self) -> None:
        """Retire idle processes; the spare only if no other process is left."""
        self._sweeper = None
        self._hosts = {host for host in self._hosts if not host.gone}
        oldest = asyncio.get_running_loop().time() - self._idle_s
        spare = self._spare.result() if self._spare is not None and self._spare.done() else None
        idle = {host for host in self._hosts if not host.running and host.last_used < oldest}
        for slot in self._slots.values():
            if slot.host in idle:
                slot.host = None
        for host in idle - {spare}:
            self._spawn(self._retire(host))
        if spare in idle and len(self._hosts) == 1:
            self._drop_spare()
        if self._hosts:
            self._sweep_later()

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _guarded(self, on_console: OnConsole) -> OnConsole:
        def watch(line: ConsoleLine) -> None:
            try:
                on_console(line)
            except Exception as error:
                self._tell(f"console output could not be passed on: {error!r}")

        return watch


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


_NEVER_BEGUN = HandlerError(ENDED, "no process of the function started the run: earlier runs keep them busy")


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
