"""Replays of recorded invocations, with deployed and local code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, Self

from ckfunc.api import Client
from ckfunc.api.connection import emulator_connection
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import is_id, printable
from ckfunc.bundle.project import emulator_workspace
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.gates import GateOutcome
from ckfunc.deploy.history import function_of, require_handler, same_script, version_of
from ckfunc.emulator.options import ComparedSide, RunComparison
from ckfunc.logs.entries import parse_since
from ckfunc.logs.finding import read_invocation
from ckfunc.logs.tail import InvocationListing
from ckfunc.model.application import Function, FunctionVersion, Invocation, InvocationDetail, Runtime, Status
from ckfunc.model.execution import Determinism
from ckfunc.model.project import Project, Script
from ckfunc.replay.differences import Observed
from ckfunc.replay.report import Hide, Redaction, Replay, places, replay_lines, summary
from ckfunc.replay.run import Pair, replay
from ckfunc.sandbox.mentions import seed_of
from ckfunc.sandbox.sandbox import Sandbox
from ckfunc.sandbox.scripts import Conditions, Scripts, Toolchain, scripts_of

USUAL_COUNT = 50
"""The default number of invocations to replay."""
DEEPEST = 100_000
"""How many rows of a list are searched for matching invocations, at most."""
_WINDOW = 100
_BLOCKED = "network access blocked: "


@frozen
class Chosen:
    """A selection of recorded invocations: the newest `last` (None: all) matching ones."""

    last: int | None = USUAL_COUNT
    since: datetime | None = None
    failed: bool = False

    @classmethod
    def of_options(cls, last: int | None, since: str | None, now: datetime, *, failed: bool) -> Self:
        """Return the selection of a command's options. Raises UsageProblem."""
        if since is not None:
            return cls(last, parse_since(since, now), failed)
        return cls(USUAL_COUNT if last is None else last, None, failed)


@frozen
class Replayed:
    """The replays of several functions, by type."""

    replays: Mapping[str, Replay]
    redaction: Redaction

    @property
    def ok(self) -> bool:
        """Whether every working copy behaves like the deployed version."""
        return all(replay.ok for replay in self.replays.values())

    @property
    def gate_outcome(self) -> GateOutcome:
        """The outcome as a gate of a deploy, with the places with differences and with masked secrets."""
        total = Replay(tuple(compared for each in self.replays.values() for compared in each.compared))
        different = [name for name, each in self.replays.items() if not each.ok]
        result = summary(total) + (f": {', '.join(map(printable, different))}" if different else "")
        hide = self.redaction.of({})
        details = [
            printable(f"{name}: {hide(place)} differs in {count} of {len(each.compared)}")
            for name, each in self.replays.items()
            for place, count in places(each.different)
        ]
        return GateOutcome(self.ok, result, details)


def default_jobs() -> int:
    """Return the default number of concurrent pairs of sandboxes, each of which uses two processes."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


@frozen
class Deployed:
    """The deployed functions and runtime of a target, and the working copy to compare with."""

    client: Client
    runtime: Runtime
    functions: tuple[Function, ...]
    project: Project

    @classmethod
    def read(cls, client: Client, project: Project) -> Self:
        """Read the target. Only sends GET requests."""
        return cls(client, client.runtime(), client.functions(), project)

    def has(self, trigger_type: str) -> bool:
        """Return whether a function of this type is deployed."""
        return any(function.type == trigger_type and function.current_version_number for function in self.functions)

    def version(self, trigger_type: str, number: int | None = None) -> tuple[Function, FunctionVersion]:
        """Return the function of this type and a version (None: the current one).

        Raises UnknownVersion and AmbiguousFunction.
        """
        function = function_of(self.client, trigger_type)
        return function, version_of(self.client, function, number, VersionCache(self.project.root))

    def scripts(self, versions: Mapping[str, FunctionVersion]) -> Scripts:
        """Return these versions as scripts, in the deployed runtime."""
        script = self.runtime.initialization_script
        return Scripts(
            {
                name: Script(f"{name}@{version.version_number}.ts", version.handler_script)
                for name, version in versions.items()
            },
            self.runtime.own_dependencies(),
            self.runtime.own_environment(),
            None if script is None else Script("initialization-script.ts", script),
        )

    def working(self) -> Scripts:
        """Return the working copy, with deployed values for unmanaged sections."""
        runtime, deployed = self.project.runtime, self.scripts({})
        scripts = scripts_of(self.project)
        return replace(
            scripts,
            dependencies=deployed.dependencies if runtime.dependencies is None else scripts.dependencies,
            environment=deployed.environment if runtime.environment is None else scripts.environment,
            initialization_script=scripts.initialization_script or deployed.initialization_script,
        )

    def is_same(self, version: FunctionVersion, trigger_type: str) -> bool:
        """Return whether the working copy's handler and runtime equal the deployed ones."""
        here, deployed = self.working(), self.scripts({})
        return same_script(version, here.handlers[trigger_type].text) and (
            (here.dependencies, here.environment, _init_text(here))
            == (deployed.dependencies, deployed.environment, _init_text(deployed))
        )

    def rows(self, function: Function, chosen: Chosen) -> list[Invocation]:
        """Return the matching invocations that have ended, oldest first."""
        rows: dict[int, Invocation] = {}
        listed = chain.from_iterable(InvocationListing(self.client, function.id).windows(_WINDOW))
        for row in islice(listed, DEEPEST):
            if chosen.since is not None and row.created_time < chosen.since:
                break
            if row.status is not Status.RUNNING and (row.status is Status.FAILED or not chosen.failed):
                rows[row.id] = row
            if len(rows) == chosen.last:
                break
        return [rows[row_id] for row_id in sorted(rows)]

    def selected(self, selected: str, chosen: Chosen) -> tuple[str, FunctionVersion, list[Invocation]]:
        """Return the type, the version to replay with and the invocations that a TYPE or the id of one selects.

        `chosen` only applies to a TYPE. Raises NoSuchInvocation, UnknownVersion and AmbiguousFunction.
        """
        if not is_id(selected):
            function, version = self.version(selected)
            return selected, version, self.rows(function, chosen)
        entry = read_invocation(self.client, int(selected), target=self.project.target.name)
        _, version = self.version(entry.type, entry.invocation.version_number)
        return entry.type, version, [entry.invocation]

    def redaction(self, secrets: Sequence[Secret]) -> Redaction:
        """Return a masker of these secrets and of the environment values of both sides."""
        values = (*self.runtime.environment.values(), *self.working().environment.values())
        return Redaction((*values, *secrets))


class SandboxPairs:
    """Pairs of sandboxes with the deployed versions and the working copy. Each pair is used by one thread at a time."""

    def __init__(
        self,
        tools: Toolchain,
        target: Deployed,
        versions: Mapping[str, FunctionVersion],
        *,
        now: datetime,
        network: bool = False,
    ) -> None:
        self._tools = tools
        self._sides = (target.scripts(versions), target.working())
        self._conditions = Conditions(determinism=Determinism(int(now.timestamp() * 1000), 0), network=network)
        self._opened = ExitStack()
        self._free: list[tuple[Sandbox, Sandbox]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    def replay(self, trigger_type: str, rows: Sequence[Invocation], jobs: int | None) -> Replay:
        """Replay the rows, oldest first, each from a snapshot with the data that any of them mentions."""
        seed = seed_of(row.args for row in rows)
        step = max(1, len(rows) // 20)

        def log_progress(done: int) -> None:
            if done % step == 0 or done == len(rows):
                self._tools.log(f"replaying {trigger_type}: {done} of {len(rows)}")

        @contextmanager
        def open_pair() -> Iterator[Pair]:
            pair = self._take()
            for sandbox in pair:
                sandbox.set_seed(seed)

            def stop() -> None:
                for sandbox in pair:
                    sandbox.stop()

            deployed, working = (partial(_run, sandbox, trigger_type) for sandbox in pair)
            yield Pair(deployed, working, stop)
            with self._lock:
                self._free.append(pair)

        return replay(rows, open_pair, jobs=jobs or default_jobs(), on_progress=log_progress)

    def _take(self) -> tuple[Sandbox, Sandbox]:
        with self._lock:
            if self._free:
                return self._free.pop()
        pair = [Sandbox(self._tools, scripts, self._conditions) for scripts in self._sides]
        with self._lock:
            deployed, working = (self._opened.enter_context(sandbox) for sandbox in pair)
        return deployed, working


def _run(sandbox: Sandbox, trigger_type: str, event: Mapping[str, Any], determinism: Determinism) -> Observed:
    """Run a function in a sandbox, from its snapshot."""
    sandbox.restore_data(reload=True)
    ran = sandbox.run(trigger_type, event, determinism=determinism)
    hosts = {line.text.removeprefix(_BLOCKED) for line in ran.detail.console if line.text.startswith(_BLOCKED)}
    row, detail = ran.invocation, ran.detail
    return Observed(row.status, row.result, detail.calls, detail.calls_omitted, sandbox.url, tuple(sorted(hosts)))


def _init_text(scripts: Scripts) -> str | None:
    return None if scripts.initialization_script is None else scripts.initialization_script.text


def replay_functions(
    client: Client,
    project: Project,
    tools: Toolchain,
    *,
    now: datetime,
    secrets: Callable[[], Sequence[Secret]] = tuple,
    types: Collection[str] | None = None,
    last: int = USUAL_COUNT,
) -> Replayed:
    """Replay the newest `last` recorded invocations of each function of the manifest, or of `types`.

    Functions that were never deployed are left out. `secrets` is called after the target has been read, and its values
    are masked in the result.
    """
    target = Deployed.read(client, project)
    names = [name for name in project.types if types is None or name in types]
    functions = {name: target.version(name) for name in names if target.has(name)}
    replays = {}
    with SandboxPairs(tools, target, {name: version for name, (_, version) in functions.items()}, now=now) as pairs:
        for name, (function, _) in functions.items():
            replays[name] = pairs.replay(name, target.rows(function, Chosen(last)), None)
    return Replayed(replays, target.redaction(secrets()))


@frozen
class ProjectRunner:
    """The project of an emulator whose data is in `data_dir` (None: in memory). Each call reads the files again."""

    root: Path
    environ: Mapping[str, str]
    data_dir: Path | None
    now: Callable[[], datetime]
    log: Callable[[str], None]

    def run(self, invocation: Invocation, trigger_type: str) -> tuple[Invocation, InvocationDetail]:
        """Run the working copy with the event of an invocation, on a copy of the emulator's data.

        Raises CkfuncError.
        """
        with self._opened(trigger_type) as (project, tools):
            with Sandbox.for_one_run(tools, scripts_of(project), data=self.data_dir) as sandbox:
                sandbox.add_mentioned(invocation.args)
                ran = sandbox.run(trigger_type, invocation.args)
            return ran.invocation, ran.detail

    def compare(self, invocation: Invocation, trigger_type: str, url: str) -> RunComparison:
        """Replay an invocation of the emulator at `url` with its own version and with the working copy.

        Secrets are masked. Raises CkfuncError.
        """
        with self._opened(trigger_type) as (project, tools), Client(emulator_connection(url)) as client:
            target = Deployed.read(client, project)
            _, version = target.version(trigger_type, invocation.version_number)
            with SandboxPairs(tools, target, {trigger_type: version}, now=self.now()) as pairs:
                replayed = pairs.replay(trigger_type, [invocation], 1)
            redaction = target.redaction(())
            handler = require_handler(project, trigger_type).path
        (compared,) = replayed.compared
        hide = redaction.of(invocation.args)
        return RunComparison(
            handler,
            replayed.ok,
            tuple(replay_lines(replayed, redaction)),
            _side(compared.deployed, hide),
            _side(compared.working, hide),
        )

    @contextmanager
    def _opened(self, trigger_type: str) -> Iterator[tuple[Project, Toolchain]]:
        with closing(emulator_workspace(self.root, self.environ, self.log)) as workspace:
            project = workspace.load()
            require_handler(project, trigger_type)
            yield project, Toolchain(project.root, workspace.compiler(), workspace.install_policy, self.log)


def _side(run: Observed, hide: Hide) -> ComparedSide:
    calls = tuple(replace(call, path=hide(call.path), body=hide(call.body)) for call in run.calls)
    return ComparedSide(run.status, hide(run.result), calls)
