"""A Node process: its requests, their results, and the reason for its end."""

from __future__ import annotations

import asyncio
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.base.secrets import revealed
from ckfunc.model.application import ConsoleLine
from ckfunc.model.execution import (
    Compiled,
    Determinism,
    Environment,
    ExecutedRanges,
    HandlerError,
    HandlerVersion,
    Limits,
)
from ckfunc.runtime.frames import (
    AGAIN,
    BrokenStream,
    Decoder,
    HostAnswer,
    encode,
    read_answer,
    read_coverage,
    read_line,
    request_of,
    stream_of,
)
from ckfunc.runtime.links import HAS_SOCKETS, HostLaunch, Link, connect
from ckfunc.runtime.node import START_S, bare_environment
from ckfunc.runtime.output import Lines, WrittenOutput
from ckfunc.runtime.processes import (
    SEAL_BYTES,
    Places,
    Warden,
    death,
    host_command,
    host_reach,
    kill_group,
    resident_bytes,
)
from ckfunc.runtime.scripts import place

_TICK_S = 0.05
_RENEW_S = 5.0
_MOST_VERSIONS = 4
_MIB = 1024 * 1024
_UNREAD_S = 2.0
"""The time limit for an idle process to read a request; earlier runs may have left it busy."""

ENDED = "ProcessEnded"

OnConsole = Callable[[ConsoleLine], None]
OnCoverage = Callable[[ExecutedRanges], None]
"""Called with what a script has executed since the last call."""


class Failed(Exception):
    """A request failed. `error` is for the user, `console` is the output until then."""

    def __init__(self, error: HandlerError, console: tuple[ConsoleLine, ...] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.console = console


@dataclass(slots=True)
class _Request:
    answer: asyncio.Future[HostAnswer]
    deadline: float
    what: str
    """The start of the message when it times out."""
    lines: Lines
    limit_s: float
    begun: bool
    """Whether the process has read it; True from the start for requests without an acknowledgement."""
    on_console: OnConsole | None = None
    runs: bool = False
    """Whether it is a run of a handler."""


class NotBegun(Exception):
    """The process did not start a request, because of state that earlier runs left. Another process can run it."""


class Host:
    """A Node process. Everything runs in a single event loop, and nothing blocks it."""

    def __init__(
        self,
        places: Places,
        limits: Limits,
        warden: Warden,
        *,
        sockets: bool = HAS_SOCKETS,
        inspect_port: int | None = None,
        confined: bool = False,
        on_coverage: OnCoverage | None = None,
    ) -> None:
        """With `confined`, the kernel confines the process. With `on_coverage`, coverage is measured."""
        self.environment: Environment | None = None
        self.last_used = 0.0
        self.loads = 0
        self._places = places
        self._limits = limits
        self._warden = warden
        self._sockets = sockets
        self._inspect_port = inspect_port
        self._loop = asyncio.get_running_loop()
        self._on_coverage = on_coverage
        self._link: Link | None = None
        self._confined = confined
        self._seal = os.urandom(SEAL_BYTES)
        self._decoder = Decoder(self._seal)
        self._spoiled = False
        self._booted = False
        self._requests: dict[int, _Request] = {}
        self._last_id = 0
        self._tokens: dict[HandlerVersion, int] = {}
        self._imports = False
        self._early = Lines(limits.console_bytes)
        self._written = {1: WrittenOutput("log"), 2: WrittenOutput("error")}
        self._baseline: int | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._culprit: int | None = None
        self._verdict: HandlerError | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._burial: asyncio.Task[None] | None = None
        self._waiting_for_room: deque[asyncio.Future[None]] = deque()

    # Requests

    async def start(self, environment: Environment, *, keep_code: bool = False) -> None:
        """Start Node and load the SDK. With `keep_code`, V8 stores the compiled code of the SDK. Raises Failed."""
        program = os.environ.get("CKFUNC_NODE") or "Node"
        _, ready = self._expect(f"{program} did not start", START_S)
        self._connecting = self._loop.create_future()
        try:
            inspected, covered = self._inspect_port is not None, self._on_coverage is not None
            launch = HostLaunch(
                command=host_command(
                    self._places, self._limits, confined=self._confined, inspected=inspected, covered=covered
                ),
                cwd=self._places.runtime,
                env={**bare_environment(), "TMPDIR": str(self._places.scratch)},
                on_data=self._on_data,
                on_end=self._bury_soon,
                on_output=self._on_output,
                reach=host_reach(self._places, inspected=inspected) if self._confined else None,
            )
            self._link = await connect(launch, sockets=self._sockets)
        except OSError as error:
            raise Failed(HandlerError("HostError", f"Node could not be started: {error.strerror}")) from error
        finally:
            self._connecting.set_result(None)
        self._warden.watch(self._link.process.pid)
        self._send(self._seal)
        await self._answered(ready)
        self._booted = True
        api = environment.api
        await self._ask(
            {
                "op": "init",
                "runtime": str(self._places.runtime),
                "environment": revealed(environment.variables),
                "access": {
                    "basePath": api.base_url,
                    "authorizationBasePath": api.token_url,
                    "clientId": api.client_id,
                    "clientSecret": api.client_secret.reveal(),
                },
                "limits": {"resultBytes": self._limits.result_bytes, "consoleBytes": self._limits.console_bytes},
                "determinism": _determinism(environment.determinism),
                "network": environment.network,
                "settle": environment.settle,
                "renewable": environment.renewable,
                "keepCode": keep_code,
                "covered": covered,
            },
            "the default packages did not load",
            START_S,
        )
        self.environment = environment
        self.last_used = self._loop.time()

    async def run_script(self, script: Compiled) -> None:
        """Run the init script. Raises Failed."""
        self._imports |= _imports(script)
        where = place(script, self._places.scripts)
        await self._ask(
            {"op": "script", "script": where, **self._begin()},
            "the initialization script did not finish",
            self._limits.time_s,
        )

    async def renew(self) -> bool:
        """Discard the state of earlier runs and all loaded versions, and return whether the process is like a new one.

        Only processes with a renewable environment can do this.
        """
        self._tokens.clear()
        self._early.take()
        if self._imports or self._requests or not self.alive:
            return False
        try:
            await self._ask({"op": "renew"}, "the process was not reset", _RENEW_S)
            if self.environment is not None and self.environment.initialization_script is not None:
                await self.run_script(self.environment.initialization_script)
        except Failed:
            return False
        return True

    async def load(self, version: HandlerVersion) -> int:
        """Load a version unless it is loaded, and return its token. Others may run. Raises Failed and NotBegun."""
        if (token := self._tokens.get(version)) is not None:
            return token
        self.loads += 1
        token = self.loads
        old = list(self._tokens)[: max(0, len(self._tokens) + 1 - _MOST_VERSIONS)]
        dropped = [self._tokens.pop(oldest) for oldest in old]
        self._imports |= _imports(version.script)
        where = place(version.script, self._places.scripts)
        request = {"op": "load", "token": token, "script": where, "drop": dropped, **self._begin()}
        await self._ask(request, f"{version.script.name} did not finish loading", self._limits.time_s, begun=False)
        self._tokens[version] = token
        if self._baseline is None and self._link is not None:
            self._baseline = resident_bytes(self._link.process.pid)
        return token

    async def invoke(
        self,
        token: int,
        event_json: str,
        on_console: OnConsole | None,
        *,
        label: str = "",
        determinism: Determinism | None = None,
    ) -> tuple[HostAnswer, list[ConsoleLine]]:
        """Call a loaded handler, and return its result and console output. A run whose caller is cancelled continues.

        `label` is sent with the run's requests to the API. `determinism` is its own clock and seed, in an environment
        with `determinism`. Raises NotBegun.
        """
        problem, limit_s = "the handler did not finish", self._limits.time_s
        identity, request = self._expect(problem, limit_s, on_console, runs=True, begun=False)
        for line in self._early.take():
            self._print(request, line)
        header: dict[str, Any] = {"op": "invoke", "id": identity, "token": token, "label": label}
        if determinism is not None:
            header["determinism"] = _determinism(determinism)
        if self._inspect_port is not None:
            header["inspect"] = self._inspect_port
        self._send(encode(header, event_json))
        answer = await request.answer
        if answer is AGAIN:
            raise NotBegun
        return answer, request.lines.kept

    def take_early(self) -> tuple[ConsoleLine, ...]:
        """Return and clear the output printed outside of runs since the last run."""
        return tuple(self._early.take())

    # State

    @property
    def alive(self) -> bool:
        """Whether the process accepts requests."""
        return self._burial is None and self._link is not None

    @property
    def process_id(self) -> int | None:
        """The id of the process; None before it has started."""
        return None if self._link is None else self._link.process.pid

    @property
    def gone(self) -> bool:
        """Whether the process has ended and every pending request has failed."""
        return self._burial is not None and self._burial.done()

    def ended_before_ready(self, failure: Failed) -> bool:
        """Return whether `start` failed because Node ended before any code of a user or a package ran."""
        return not self._booted and failure.error.name == ENDED

    def serves(self, environment: Environment) -> bool:
        """Return whether the process accepts requests, has this environment and has unmodified built-ins."""
        return self.alive and not self._spoiled and (self.environment is environment or self.environment == environment)

    @property
    def running(self) -> int:
        """The number of pending requests."""
        return len(self._requests)

    def token(self, version: HandlerVersion) -> int | None:
        """Return the token of a loaded version."""
        return self._tokens.get(version)

    async def room(self) -> None:
        """Wait until a pending request is finished."""
        waiter = self._loop.create_future()
        self._waiting_for_room.append(waiter)
        await waiter

    # End

    def kill(self, verdict: HandlerError, culprit: int | None = None) -> None:
        """End the process now. The `culprit` fails with `verdict`, other requests because they shared the process."""
        if self._burial is None:
            self._verdict, self._culprit = verdict, culprit
            self._bury_soon()

    async def ended(self) -> None:
        """Wait until the process has ended, after `kill`."""
        if self._burial is not None:
            await asyncio.shield(self._burial)

    # Internal

    def _begin(self) -> dict[str, Any]:
        determinism = self.environment.determinism if self.environment is not None else None
        return {} if determinism is None else {"determinism": _determinism(determinism)}

    async def _ask(self, header: Mapping[str, Any], problem: str, limit_s: float, *, begun: bool = True) -> None:
        identity, request = self._expect(problem, limit_s, begun=begun)
        self._send(encode({**header, "id": identity}))
        await self._answered(request)

    def _send(self, frame: bytes) -> None:
        if self._link is not None:
            self._link.write(frame)

    async def _answered(self, request: _Request) -> None:
        answer = await request.answer
        if answer is AGAIN:
            raise NotBegun
        if answer.error is not None:
            raise Failed(answer.error)

    def _expect(
        self,
        problem: str,
        limit_s: float,
        on_console: OnConsole | None = None,
        *,
        runs: bool = False,
        begun: bool = True,
    ) -> tuple[int, _Request]:
        identity = self._last_id
        self._last_id += 1
        now = self._loop.time()
        self.last_used = now
        problem = f"{problem} within {limit_s:g} s"
        lines = Lines(self._limits.console_bytes)
        deadline = now + (limit_s if begun else _UNREAD_S)
        request = _Request(self._loop.create_future(), deadline, problem, lines, limit_s, begun, on_console, runs)
        self._requests[identity] = request
        if self._burial is not None:
            self._settle(identity, HostAnswer(self._verdict or _GONE) if begun else AGAIN)
        elif self._ticker is None:
            self._ticker = self._loop.call_later(_TICK_S, self._tick)
        return identity, request

    def _settle(self, identity: int, answer: HostAnswer) -> None:
        request = self._requests.get(identity)
        if request is None:
            return
        if request.runs:
            for line in (*request.lines.unfinished(), *self._unfinished()):
                self._print(request, line)
        del self._requests[identity]
        if not request.answer.done():  # its caller may have been cancelled
            request.answer.set_result(answer)
        self.last_used = self._loop.time()
        while self._waiting_for_room:
            waiter = self._waiting_for_room.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break

    def _on_data(self, data: bytes) -> None:
        if self._link is not None:
            self._link.drain()  # output that was written before a result is passed on before it
        try:
            for header, body in self._decoder.feed(data):
                if header.get("op") != "log":
                    self._take(header, body)
                else:
                    self._on_line(header, body)
        except BrokenStream:
            self.kill(HandlerError("HostError", "the handler wrote to the channel that its host uses"))

    def _on_line(self, header: Mapping[str, Any], body: str) -> None:
        line, identity = read_line(header, body), request_of(header)
        request = self._requests.get(identity) if identity else None
        lines = self._early if request is None else request.lines
        if stream := stream_of(header, "part"):
            lines.begin(stream, body)
            return
        if stream := stream_of(header, "ends"):
            lines.end(stream)
        if request is not None:
            self._print(request, line)
        elif identity:
            self._early.add(line)  # of a run that has ended: the next run shows it
        else:
            self._print_stray(line)

    def _take(self, header: Mapping[str, Any], body: str) -> None:
        match header.get("op"):
            case "begun":
                if (request := self._requests.get(request_of(header))) is not None:
                    request.begun = True
                    request.deadline = self._loop.time() + request.limit_s
            case "spoiled":
                self._spoiled = True
            case "coverage" if self._on_coverage is not None:
                for executed in read_coverage(body):
                    self._on_coverage(executed)
            case _:
                self._settle(request_of(header), read_answer(header, body))

    def _on_output(self, descriptor: int, data: bytes) -> None:
        """Receive output of native code or another thread, which does not come from JavaScript's console."""
        for line in self._written[descriptor].take(data):
            self._print_stray(line)

    def _unfinished(self) -> Iterator[ConsoleLine]:
        """Yield unfinished lines on descriptors 1 and 2 when a run ends, if it is the only run."""
        unfinished = [written for written in self._written.values() if written.unfinished]
        if unfinished and sum(request.runs for request in self._requests.values()) == 1:
            for written in unfinished:
                yield from written.rest()

    def _print_stray(self, line: ConsoleLine) -> None:
        """Print a line of an unknown run."""
        first, *others = self._requests.values() or (None,)
        # A version that is loading may have printed it.
        if first is None or not all(request.runs for request in self._requests.values()):
            self._early.add(line)
            return
        line = ConsoleLine(line.level, f"[process] {line.text}") if others else line
        self._print(first, line, limited=True)

    def _print(self, request: _Request, line: ConsoleLine, *, limited: bool = False) -> None:
        for shown in request.lines.add(line, limited=limited):
            if request.on_console is not None:
                request.on_console(shown)

    def _tick(self) -> None:
        self._ticker = None
        if self._burial is not None or not self._requests:
            return
        now = self._loop.time()
        busy = any(request.begun for request in self._requests.values())
        for identity, request in self._requests.items():
            if not request.begun and busy:
                request.deadline = now + _UNREAD_S  # a run may keep the process busy, within its own limit
            elif request.deadline <= now:
                self.kill(HandlerError("TimeLimitError", request.what), identity)
                return
        if self._baseline is not None and self._link is not None:
            used = (resident_bytes(self._link.process.pid) or 0) - self._baseline
            if used > self._limits.memory_bytes:
                self.kill(self._out_of_memory())
                return
        self._ticker = self._loop.call_later(_TICK_S, self._tick)

    def _out_of_memory(self) -> HandlerError:
        size = self._limits.memory_bytes // _MIB
        return HandlerError("MemoryLimitError", f"the function's process used more than {size} MiB of memory")

    def _bury_soon(self) -> None:
        if self._burial is None:
            self._burial = self._loop.create_task(self._bury())

    async def _bury(self) -> None:
        """Make sure that the process has ended, then fail every pending request."""
        if self._ticker is not None:
            self._ticker.cancel()
        if self._connecting is not None:
            await self._connecting
        link = self._link
        if link is not None:
            process = link.process
            if self._verdict is None:  # it ended by itself: wait briefly for its exit code
                await self._exited(process.poll, 0.25)
            kill_group(process)
            self._warden.release(process.pid)
            await self._exited(process.poll, 10.0)
            if self._verdict is None:
                self._verdict = self._cause(process.returncode or 0, await link.last_words())
                self._culprit = None
            link.drain()
            link.close()
        verdict = self._verdict or _GONE
        shared = HandlerError(verdict.name, f"stopped with another run of the same function: {verdict.message}")
        for identity in list(self._requests):
            innocent = self._culprit is not None and identity != self._culprit
            begun = self._requests[identity].begun
            self._settle(identity, HostAnswer(shared if innocent else verdict) if begun else AGAIN)
        while self._waiting_for_room:
            waiter = self._waiting_for_room.popleft()
            if not waiter.done():
                waiter.set_result(None)

    async def _exited(self, poll: Callable[[], int | None], patience_s: float) -> None:
        delay = 0.001
        until = self._loop.time() + patience_s
        while poll() is None and self._loop.time() < until:
            await asyncio.sleep(delay)
            delay = min(delay * 2, 0.02)

    def _cause(self, returncode: int, last_words: str) -> HandlerError:
        if "heap out of memory" in last_words or "Allocation failed" in last_words:
            return self._out_of_memory()
        return HandlerError(ENDED, f"the function's process {death(returncode)} before the handler finished")


def _imports(script: Compiled) -> bool:
    """Return whether a script may load ES modules of packages, which Node never reloads."""
    pattern = r"\bimport\b" if script.module_kind == "mjs" else r"\bimport\s*\("
    return re.search(pattern, script.javascript) is not None


def _determinism(determinism: Determinism | None) -> dict[str, int] | None:
    return None if determinism is None else {"now": determinism.now_ms, "seed": determinism.seed}


_GONE = HandlerError(ENDED, "the function's process ended")
