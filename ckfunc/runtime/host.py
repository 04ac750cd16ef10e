"""How one Node process is driven: what it was told, what it answered, and why it ended."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ckfunc.model.execution import Compiled, Environment, HandlerError, HandlerVersion, Limits, Steady
from ckfunc.model.invocation import ConsoleLine
from ckfunc.runtime.answers import Answer, read_answer, read_line, request_of, stream_of
from ckfunc.runtime.frames import BrokenStream, Decoder, encode
from ckfunc.runtime.launch import Places, host_command
from ckfunc.runtime.links import HAS_SOCKETS, Link, connect
from ckfunc.runtime.node import bare_environment
from ckfunc.runtime.output import Lines, Written
from ckfunc.runtime.processes import death, kill_group, resident_bytes
from ckfunc.runtime.scripts import place
from ckfunc.runtime.warden import Warden

_TICK_S = 0.05
_START_S = 30.0
_RENEW_S = 5.0
_KEPT_VERSIONS = 4
_MIB = 1024 * 1024

OnConsole = Callable[[ConsoleLine], None]


class Failed(Exception):
    """A request did not succeed; `error` tells the user why, `console` is what was printed until then."""

    def __init__(self, error: HandlerError, console: tuple[ConsoleLine, ...] = ()) -> None:
        super().__init__(error.message)
        self.error = error
        self.console = console


@dataclass(slots=True)
class _Request:
    answer: asyncio.Future[Answer]
    deadline: float
    what: str
    """The start of the sentence when it takes too long."""
    lines: Lines
    on_console: OnConsole | None = None
    runs: bool = False
    """Whether it is a run of a handler."""


class Host:
    """One Node process. Everything runs in one event loop; nothing blocks it."""

    def __init__(
        self,
        places: Places,
        limits: Limits,
        warden: Warden,
        *,
        sockets: bool = HAS_SOCKETS,
        inspect_port: int | None = None,
    ) -> None:
        self.environment: Environment | None = None
        self.last_used = 0.0
        self.loads = 0
        self._places = places
        self._limits = limits
        self._warden = warden
        self._sockets = sockets
        self._inspect_port = inspect_port
        self._loop = asyncio.get_running_loop()
        self._link: Link | None = None
        self._decoder = Decoder()
        self._requests: dict[int, _Request] = {}
        self._last_id = 0
        self._tokens: dict[HandlerVersion, int] = {}
        self._imports = False
        self._early = Lines(limits.console_bytes)
        self._written = {1: Written("log"), 2: Written("error")}
        self._baseline: int | None = None
        self._ticker: asyncio.TimerHandle | None = None
        self._culprit: int | None = None
        self._verdict: HandlerError | None = None
        self._connecting: asyncio.Future[None] | None = None
        self._burial: asyncio.Task[None] | None = None
        self._waiting_for_room: deque[asyncio.Future[None]] = deque()

    # What a host is told

    async def start(self, environment: Environment) -> None:
        """Boot Node and load the SDK. Raises Failed."""
        _, ready = self._expect("Node did not start", _START_S)
        self._connecting = self._loop.create_future()
        try:
            self._link = await connect(
                host_command(self._places, self._limits, inspected=self._inspect_port is not None),
                cwd=self._places.runtime,
                env={**bare_environment(), "TMPDIR": str(self._places.scratch)},
                on_data=self._on_data,
                on_end=self._on_end,
                on_output=self._on_output,
                sockets=self._sockets,
            )
        except OSError as error:
            raise Failed(HandlerError("HostError", f"Node could not be started: {error.strerror}")) from error
        finally:
            self._connecting.set_result(None)
        self._warden.watch(self._link.process.pid)
        await self._answered(ready)
        api = environment.api
        await self._ask(
            {
                "op": "init",
                "runtime": str(self._places.runtime),
                "environment": dict(environment.variables),
                "access": {
                    "basePath": api.base_url,
                    "authorizationBasePath": api.token_url,
                    "clientId": api.client_id,
                    "clientSecret": api.client_secret,
                },
                "limits": {"resultBytes": self._limits.result_bytes, "consoleBytes": self._limits.console_bytes},
                "steady": _steady(environment.steady),
                "network": environment.network,
                "settle": environment.settle,
                "renewable": environment.renewable,
            },
            "the default packages did not load",
            _START_S,
        )
        self.environment = environment
        self.last_used = self._loop.time()

    async def run_script(self, script: Compiled) -> None:
        """Run the init script. Raises Failed."""
        self._imports |= _imports(script)
        where = place(script, self._places.runtime)
        await self._ask(
            {"op": "script", "script": where, **self._begin()},
            "the initialization script did not finish",
            self._limits.time_s,
        )

    async def renew(self) -> bool:
        """Take out what runs have left behind; tell whether the next one begins as in a new process.

        What was loaded is forgotten. Only processes with a renewable environment can do this.
        """
        self._tokens.clear()
        self._early.take()
        if self._imports or self._requests or not self.alive:
            return False
        try:
            await self._ask({"op": "renew"}, "the process did not become as new", _RENEW_S)
            if self.environment is not None and self.environment.initialization_script is not None:
                await self.run_script(self.environment.initialization_script)
        except Failed:
            return False
        return True

    async def load(self, version: HandlerVersion) -> int:
        """Load a version beside those that run, unless it is loaded; return its token. Raises Failed."""
        if (token := self._tokens.get(version)) is not None:
            return token
        self.loads += 1
        token = self.loads
        old = list(self._tokens)[: max(0, len(self._tokens) + 1 - _KEPT_VERSIONS)]
        dropped = [self._tokens.pop(one) for one in old]
        self._imports |= _imports(version.script)
        where = place(version.script, self._places.runtime)
        request = {"op": "load", "token": token, "script": where, "drop": dropped, **self._begin()}
        await self._ask(request, f"{version.script.name} did not finish loading", self._limits.time_s)
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
        steady: Steady | None = None,
    ) -> tuple[Answer, list[ConsoleLine]]:
        """Call a loaded handler: its answer, and what it printed. A run whose caller is cancelled goes on.

        `label` goes with the run's requests to the API; `steady` is its own clock, where the environment is steady.
        """
        identity, request = self._expect("the handler did not finish", self._limits.time_s, on_console, runs=True)
        for line in self._early.take():
            self._print(request, line)
        header: dict[str, Any] = {"op": "invoke", "id": identity, "token": token, "label": label}
        if steady is not None:
            header["steady"] = _steady(steady)
        if self._inspect_port is not None:
            header["inspect"] = self._inspect_port
        self._send(encode(header, event_json))
        return await request.answer, request.lines.kept

    def take_early(self) -> tuple[ConsoleLine, ...]:
        """Return what was printed outside any run since the last one, and forget it."""
        return tuple(self._early.take())

    # What state it is in

    @property
    def alive(self) -> bool:
        """Whether it takes requests."""
        return self._burial is None and self._link is not None

    @property
    def gone(self) -> bool:
        """Whether the process has ended and everybody who waited was told."""
        return self._burial is not None and self._burial.done()

    def serves(self, environment: Environment) -> bool:
        """Return whether it takes requests and runs in this environment."""
        return self.alive and (self.environment is environment or self.environment == environment)

    @property
    def running(self) -> int:
        """How many requests have no answer yet."""
        return len(self._requests)

    def token(self, version: HandlerVersion) -> int | None:
        """Return the token of a loaded version."""
        return self._tokens.get(version)

    async def room(self) -> None:
        """Wait until a request is answered."""
        waiter = self._loop.create_future()
        self._waiting_for_room.append(waiter)
        await waiter

    # How it ends

    def kill(self, verdict: HandlerError, culprit: int | None = None) -> None:
        """End the process now; the `culprit` fails with `verdict`, the others because they shared its process."""
        if self._burial is None:
            self._verdict, self._culprit = verdict, culprit
            self._bury_soon()

    async def ended(self) -> None:
        """Wait until the process is gone, after `kill`."""
        if self._burial is not None:
            await asyncio.shield(self._burial)

    # Inside

    def _begin(self) -> dict[str, Any]:
        steady = self.environment.steady if self.environment is not None else None
        return {} if steady is None else {"steady": _steady(steady)}

    async def _ask(self, header: Mapping[str, Any], what: str, limit_s: float) -> None:
        identity, request = self._expect(what, limit_s)
        self._send(encode({**header, "id": identity}))
        await self._answered(request)

    def _send(self, frame: bytes) -> None:
        if self._link is not None:
            self._link.write(frame)

    async def _answered(self, request: _Request) -> None:
        answer = await request.answer
        if answer.error is not None:
            raise Failed(answer.error)

    def _expect(
        self, what: str, limit_s: float, on_console: OnConsole | None = None, *, runs: bool = False
    ) -> tuple[int, _Request]:
        identity = self._last_id
        self._last_id += 1
        now = self._loop.time()
        self.last_used = now
        what = f"{what} within {limit_s:g} s"
        lines = Lines(self._limits.console_bytes)
        request = _Request(self._loop.create_future(), now + limit_s, what, lines, on_console, runs)
        self._requests[identity] = request
        if self._burial is not None:
            self._settle(identity, Answer(self._verdict or _GONE))
        elif self._ticker is None:
            self._ticker = self._loop.call_later(_TICK_S, self._tick)
        return identity, request

    def _settle(self, identity: int, answer: Answer) -> None:
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
            self._link.drain()  # what was written before an answer belongs before it
        try:
            for header, body in self._decoder.feed(data):
                if header.get("op") != "log":
                    self._settle(request_of(header), read_answer(header, body))
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
            self._early.add(line)  # of a run that is over: the next one shows it
        else:
            self._print_stray(line)

    def _on_output(self, descriptor: int, data: bytes) -> None:
        """Take what was written to descriptor 1 or 2 past JavaScript: by native code, by another thread."""
        for line in self._written[descriptor].take(data):
            self._print_stray(line)

    def _unfinished(self) -> Iterator[ConsoleLine]:
        """Yield the beginnings of lines that a run which ends has written to descriptors 1 and 2, if it was it."""
        if sum(one.runs for one in self._requests.values()) == 1:
            for written in self._written.values():
                yield from written.rest()

    def _print_stray(self, line: ConsoleLine) -> None:
        """Print a line that is not known to belong to any run."""
        if all(one.runs for one in self._requests.values()):  # a version that loads may have printed it
            for request in self._requests.values():
                several = len(self._requests) > 1
                line = ConsoleLine(line.level, f"[process] {line.text}") if several else line
                self._print(request, line, limited=True)
                return
        self._early.add(line)

    def _print(self, request: _Request, line: ConsoleLine, *, limited: bool = False) -> None:
        for shown in request.lines.add(line, limited=limited):
            if request.on_console is not None:
                request.on_console(shown)

    def _tick(self) -> None:
        self._ticker = None
        if self._burial is not None or not self._requests:
            return
        now = self._loop.time()
        for identity, request in self._requests.items():
            if request.deadline <= now:
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

    def _on_end(self) -> None:
        self._bury_soon()

    def _bury_soon(self) -> None:
        if self._burial is None:
            self._burial = self._loop.create_task(self._bury())

    async def _bury(self) -> None:
        """Make sure that the process is gone, then tell everybody who waits for an answer of it."""
        if self._ticker is not None:
            self._ticker.cancel()
        if self._connecting is not None:
            await self._connecting
        link = self._link
        if link is not None:
            process = link.process
            if self._verdict is None:  # it ended by itself: give it a moment to tell how
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
            self._settle(identity, Answer(shared if innocent else verdict))
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
        return HandlerError("ProcessEnded", f"the function's process {death(returncode)} before the handler finished")


def _imports(script: Compiled) -> bool:
    """Tell whether a script may load ES modules of others, which Node never loads anew."""
    pattern = r"\bimport\b" if script.module_kind == "mjs" else r"\bimport\s*\("
    return re.search(pattern, script.javascript) is not None


def _steady(steady: Steady | None) -> dict[str, int] | None:
    return None if steady is None else {"now": steady.now_ms, "seed": steady.seed}


_GONE = HandlerError("ProcessEnded", "the function's process ended")
