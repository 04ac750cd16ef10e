"""A target's recorded invocations, replayed with deployed and local code."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from ckfunc.api import Client
from ckfunc.base.secrets import Secret
from ckfunc.base.text import printable
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import function_of, version_of
from ckfunc.deploy.resources import newlines
from ckfunc.logs.listing import InvocationListing
from ckfunc.model.application import Runtime
from ckfunc.model.execution import Determinism
from ckfunc.model.function import Function, FunctionVersion, Invocation, Status
from ckfunc.model.project import Project, Script
from ckfunc.replay.documents import Observed
from ckfunc.replay.report import Redaction, Replay, places, summary
from ckfunc.replay.run import Pair, replay
from ckfunc.sandbox.mentions import seed_of
from ckfunc.sandbox.sandbox import Sandbox
from ckfunc.sandbox.scripts import Conditions, Scripts, Toolchain, scripts_of

USUAL_COUNT = 50
"""The default number of invocations to replay."""
DEEPEST = 100_000
"""The most rows of a list that are searched for matching invocations."""
_WINDOW = 100
_KEPT = "kept from the network: "


@dataclass(frozen=True, slots=True)
class Chosen:
    """A selection of recorded invocations: the newest `last` (None: all) that match."""

    last: int | None = USUAL_COUNT
    since: datetime | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """The replays of several functions, by type."""

    replays: Mapping[str, Replay]
    redaction: Redaction = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether every working copy behaves like the deployed version."""
        return all(one.ok for one in self.replays.values())

    @property
    def summary(self) -> str:
        """The result in one line."""
        whole = Replay(tuple(one for each in self.replays.values() for one in each.compared))
        different = [name for name, each in self.replays.items() if not each.ok]
        return summary(whole) + (f": {', '.join(map(printable, different))}" if different else "")

    @property
    def details(self) -> list[str]:
        """The places with differences, a line for each, secrets masked."""
        hide = self.redaction.of({})
        return [
            printable(f"{name}: {hide(where)} differs in {count} of {len(each.compared)}")
            for name, each in self.replays.items()
            for where, count in places(each.different)
        ]


def default_jobs() -> int:
    """Return the default number of pairs of sandboxes that run concurrently: each keeps two processes busy."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


@dataclass(frozen=True, slots=True)
class Deployed:
    """The deployed functions and runtime of a target, and the working copy to compare with."""

    client: Client
    runtime: Runtime
    functions: tuple[Function, ...]
    project: Project

    @classmethod
    def read(cls, client: Client, project: Project) -> Self:
        """Read the target. Only GET requests are ever sent."""
        return cls(client, client.runtime(), client.functions(), project)

    def has(self, trigger_type: str) -> bool:
        """Tell whether a function of this type is deployed."""
        return any(one.type == trigger_type and one.current_version_number for one in self.functions)

    def version(self, trigger_type: str) -> tuple[Function, FunctionVersion]:
        """Return the function of this type and its current version. Raises UnknownVersion and AmbiguousFunction."""
        function = function_of(self.client, trigger_type)
        return function, version_of(self.client, function, None, VersionCache(self.project.root))

    def scripts(self, versions: Mapping[str, FunctionVersion]) -> Scripts:
        """Return these versions in the deployed runtime."""
        script = self.runtime.initialization_script
        return Scripts(
            {name: Script(f"{name}@{one.version_number}.ts", one.handler_script) for name, one in versions.items()},
            self.runtime.own_dependencies(),
            self.runtime.own_environment(),
            None if script is None else Script("initialization-script.ts", script),
        )

    def working(self) -> Scripts:
        """Return the working copy; unmanaged sections are as deployed."""
        runtime, deployed = self.project.runtime, self.scripts({})
        found = scripts_of(self.project)
        return replace(
            found,
            dependencies=deployed.dependencies if runtime.dependencies is None else found.dependencies,
            environment=deployed.environment if runtime.environment is None else found.environment,
            initialization_script=found.initialization_script or deployed.initialization_script,
        )

    def is_same(self, version: FunctionVersion, trigger_type: str) -> bool:
        """Tell whether the working copy's handler and runtime equal the deployed ones."""
        here, there = self.working(), self.scripts({})
        return newlines(here.handlers[trigger_type].text) == newlines(version.handler_script) and (
            (here.dependencies, here.environment, _text(here)) == (there.dependencies, there.environment, _text(there))
        )

    def rows(self, function: Function, chosen: Chosen) -> list[Invocation]:
        """Return the matching invocations that have ended, the oldest first."""
        found: dict[int, Invocation] = {}
        searched = 0
        for window in InvocationListing(self.client, function.id).windows(_WINDOW):
            for row in window:
                if chosen.since is not None and row.created_time < chosen.since:
                    return _oldest_first(found)
                if row.status is not Status.RUNNING and (row.status is Status.FAILED or not chosen.failed):
                    found[row.id] = row
                if len(found) == chosen.last:
                    return _oldest_first(found)
            searched += len(window)
            if searched >= DEEPEST:
                break
        return _oldest_first(found)

    def redaction(self, secrets: Sequence[Secret]) -> Redaction:
        """Return a masker of these secrets and of the environment values of both sides."""
        values = (*self.runtime.environment.values(), *self.working().environment.values())
        return Redaction((*values, *secrets))


class SandboxPairs:
    """Pairs of sandboxes, one with the deployed versions and one with the working copy; each used by one thread."""

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
        """Run the rows again, the oldest first, each from a snapshot with the data that all of them mention."""
        seed = seed_of(row.args for row in rows)
        step = max(1, len(rows) // 20)

        def tell(done: int) -> None:
            if done % step == 0 or done == len(rows):
                self._tools.log(f"replaying {trigger_type}: {done} of {len(rows)}")

        @contextmanager
        def open_pair() -> Iterator[Pair]:
            pair = self._take()
            for one in pair:
                one.plant(seed)

            def stop() -> None:
                for one in pair:
                    one.stop()

            yield Pair(_Lane(pair[0], trigger_type), _Lane(pair[1], trigger_type), stop)
            with self._lock:
                self._free.append(pair)

        return replay(rows, open_pair, jobs=jobs or default_jobs(), on_progress=tell)

    def _take(self) -> tuple[Sandbox, Sandbox]:
        with self._lock:
            if self._free:
                return self._free.pop()
        made = [Sandbox.repeatable(self._tools, scripts, self._conditions) for scripts in self._sides]
        with self._lock:
            deployed, working = (self._opened.enter_context(one) for one in made)
        return deployed, working


class _Lane:
    """Runs a function in a sandbox, each time from the same snapshot."""

    def __init__(self, sandbox: Sandbox, trigger_type: str) -> None:
        self._sandbox = sandbox
        self._type = trigger_type

    def run(self, event: Mapping[str, Any], determinism: Determinism) -> Observed:
        """Run the function for an event."""
        self._sandbox.begin_again(reload=True)
        ran = self._sandbox.run(self._type, event, determinism=determinism)
        kept = (line.text.removeprefix(_KEPT) for line in ran.detail.console if line.text.startswith(_KEPT))
        return Observed(
            ran.invocation.status,
            ran.invocation.result,
            ran.detail.calls,
            ran.detail.calls_omitted,
            self._sandbox.url,
            tuple(sorted(set(kept))),
        )


def _oldest_first(found: Mapping[int, Invocation]) -> list[Invocation]:
    return [found[one] for one in sorted(found)]


def _text(scripts: Scripts) -> str | None:
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

    A function that was never deployed has nothing to be compared with, and is left out. `secrets` are masked in the
    result, and asked for once the target has been read.
    """
    target = Deployed.read(client, project)
    wanted = [one.type for one in project.functions or () if types is None or one.type in types]
    functions = {one: target.version(one) for one in wanted if target.has(one)}
    replays = {}
    with SandboxPairs(tools, target, {name: version for name, (_, version) in functions.items()}, now=now) as pairs:
        for name, (function, _) in functions.items():
            replays[name] = pairs.replay(name, target.rows(function, Chosen(last)), None)
    return Replayed(replays, target.redaction(secrets()))
