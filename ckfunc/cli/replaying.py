"""How recorded invocations are read from the target, run again in sandboxes, and what is said of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from ckfunc.base.errors import EXIT_DIFFERENCES, EXIT_OK, UsageProblem
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.model.execution import Determinism
from ckfunc.model.function import Invocation, Status
from ckfunc.model.project import Script, WantedFunction
from ckfunc.replay.documents import Observed
from ckfunc.replay.report import Replay, places, replay_json, summary
from ckfunc.replay.run import Pair, replay
from ckfunc.sandbox.scripts import Conditions, Scripts, scripts_of

if TYPE_CHECKING:
    from ckfunc.api import Client
    from ckfunc.model.application import Runtime
    from ckfunc.model.function import Function, FunctionVersion
    from ckfunc.replay.redaction import Redaction
    from ckfunc.sandbox.sandbox import Sandbox

USUAL_COUNT = 50
"""How many invocations are replayed unless told otherwise."""
DEEPEST = 100_000
"""How many rows of a list are looked through for those that are wanted, at most."""
_WINDOW = 100
_KEPT = "kept from the network: "


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of the recorded invocations are wanted: the newest `last` (None: all) that are of the kind."""

    last: int | None = USUAL_COUNT
    since: datetime | None = None
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of several functions: a replay for each type that is deployed."""

    replays: Mapping[str, Replay]
    redaction: Redaction = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether no working copy does anything else than what is deployed."""
        return all(one.ok for one in self.replays.values())

    @property
    def summary(self) -> str:
        """All of it in one line."""
        whole = Replay(tuple(one for each in self.replays.values() for one in each.compared))
        different = [name for name, each in self.replays.items() if not each.ok]
        return summary(whole) + (f": {', '.join(map(printable, different))}" if different else "")

    @property
    def details(self) -> list[str]:
        """Where they differ, a line for each place, secrets masked."""
        hide = self.redaction.of({})
        return [
            printable(f"{name}: {hide(where)} differs in {count} of {len(each.compared)}")
            for name, each in self.replays.items()
            for where, count in places(each.different)
        ]


def chosen(app: App, *, last: int | None, since: str | None, failed: bool) -> Chosen:
    """Return what the options ask for; with `since` there are as many as there are. Raises UsageProblem."""
    from ckfunc.logs.since import parse_since

    moment = parse_since(since, app.clock.now()) if since is not None else None
    return Chosen(last if last is not None or moment is not None else USUAL_COUNT, moment, failed)


def show_replay(
    app: App, trigger_type: str, wanted: Chosen, *, exit_code: bool, jobs: int | None, network: bool
) -> int:
    """Replay a function's recorded invocations, print what came of it, and return the exit code."""
    from ckfunc.replay.render import replay_lines

    handler = _wanted(app, trigger_type).handler
    with app.output.progress("reading what was recorded"):
        target = _Target.read(app)
        function, version = target.deployed(trigger_type)
        rows = _rows(target.client, function, wanted)
    app.output.talk(
        (printable(trigger_type), "title"),
        f": v{version.version_number}, which is deployed, against {printable(handler.path)}",
        *([(", which is the same", "muted")] if target.is_same(version, trigger_type) else []),
    )
    with app.output.progress("replaying"), _Sandboxes(app, target, {trigger_type: version}, network=network) as boxes:
        found = boxes.replay(trigger_type, rows, jobs)
    if app.output.json:
        about = {
            "target": app.project().target.name,
            "type": printable(trigger_type),
            "deployed": version.version_number,
            "handler": printable(handler.path),
        }
        app.output.document({**about, **replay_json(found, target.redaction(app))})
    else:
        app.output.lines(replay_lines(found, target.redaction(app)))
    return EXIT_DIFFERENCES if exit_code and not found.ok else EXIT_OK


def replay_functions(app: App, types: Collection[str] | None = None, last: int = USUAL_COUNT) -> Replayed:
    """Replay the newest `last` recorded invocations of each function of the manifest, or of `types`; prints nothing.

    A function that was never deployed has nothing to be compared with, and is left out.
    """
    target = _Target.read(app)
    wanted = [one.type for one in app.project().functions or () if types is None or one.type in types]
    functions = {one: target.deployed(one) for one in wanted if target.has(one)}
    replays = {}
    with _Sandboxes(app, target, {name: version for name, (_, version) in functions.items()}, network=False) as boxes:
        for name, (function, _) in functions.items():
            rows = _rows(target.client, function, Chosen(last))
            replays[name] = boxes.replay(name, rows, None)
    return Replayed(replays, target.redaction(app))


def usual_jobs() -> int:
    """Return how many pairs of sandboxes run side by side unless told otherwise: each keeps two processes busy."""
    return max(1, min(4, (os.cpu_count() or 2) // 2))


@dataclass(frozen=True, slots=True)
class _Target:
    """What is deployed."""

    client: Client
    runtime: Runtime
    functions: tuple[Function, ...]
    app: App

    @classmethod
    def read(cls, app: App) -> _Target:
        """Read it. Only GET requests are ever sent."""
        client = app.client()
        return cls(client, client.runtime(), client.functions(), app)

    def has(self, trigger_type: str) -> bool:
        """Tell whether a function of this type was deployed."""
        return any(one.type == trigger_type and one.current_version_number for one in self.functions)

    def deployed(self, trigger_type: str) -> tuple[Function, FunctionVersion]:
        """Return the function of this type and its current version. Raises UnknownVersion and AmbiguousFunction."""
        from ckfunc.deploy.cache import VersionCache
        from ckfunc.deploy.history import function_of, version_of

        function = function_of(self.client, trigger_type)
        return function, version_of(self.client, function, None, VersionCache(self.app.project().root))

    def scripts(self, versions: Mapping[str, FunctionVersion]) -> Scripts:
        """Return these versions in the runtime as it is deployed."""
        script = self.runtime.initialization_script
        return Scripts(
            {name: Script(f"{name}@{one.version_number}.ts", one.handler_script) for name, one in versions.items()},
            self.runtime.own_dependencies(),
            self.runtime.own_environment(),
            None if script is None else Script("initialization-script.ts", script),
        )

    def working(self) -> Scripts:
        """Return the working copy; what the manifest leaves alone is as it is deployed."""
        project, deployed = self.app.project(), self.scripts({})
        runtime = project.runtime
        found = scripts_of(project)
        return replace(
            found,
            dependencies=deployed.dependencies if runtime.dependencies is None else found.dependencies,
            environment=deployed.environment if runtime.environment is None else found.environment,
            initialization_script=found.initialization_script or deployed.initialization_script,
        )

    def is_same(self, version: FunctionVersion, trigger_type: str) -> bool:
        """Tell whether the working copy's handler and runtime are what is deployed."""
        from ckfunc.deploy.resources import newlines

        here, there = self.working(), self.scripts({})
        return newlines(here.handlers[trigger_type].text) == newlines(version.handler_script) and (
            (here.dependencies, here.environment, _text(here)) == (there.dependencies, there.environment, _text(there))
        )

    def redaction(self, app: App) -> Redaction:
        """Return what masks the environment's values of both sides."""
        from ckfunc.replay.redaction import Redaction

        values = (*self.runtime.environment.values(), *self.working().environment.values())
        return Redaction((*values, *app.secrets()))


class _Sandboxes:
    """Pairs of sandboxes, one with what is deployed and one with the working copy; each is used by one at a time."""

    def __init__(self, app: App, target: _Target, versions: Mapping[str, FunctionVersion], *, network: bool) -> None:
        self._app = app
        self._sides = (target.scripts(versions), target.working())
        self._conditions = Conditions(
            determinism=Determinism(int(app.clock.now().timestamp() * 1000), 0), network=network
        )
        self._opened = ExitStack()
        self._free: list[tuple[Sandbox, Sandbox]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *what: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._opened.close()

    def replay(self, trigger_type: str, rows: Sequence[Invocation], jobs: int | None) -> Replay:
        """Run the rows again, the oldest first, each from a snapshot with what all of them mention."""
        from ckfunc.sandbox.mentions import seed_of

        seed = seed_of(row.args for row in rows)
        step = max(1, len(rows) // 20)

        def tell(done: int) -> None:
            if done % step == 0 or done == len(rows):
                self._app.output.detail(f"replaying {trigger_type}: {done} of {len(rows)}")

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

        return replay(rows, open_pair, jobs=jobs or usual_jobs(), on_progress=tell)

    def _take(self) -> tuple[Sandbox, Sandbox]:
        from ckfunc.sandbox.sandbox import Sandbox

        with self._lock:
            if self._free:
                return self._free.pop()
        tools = self._app.toolchain()
        made = [Sandbox.repeatable(tools, scripts, self._conditions) for scripts in self._sides]
        with self._lock:
            deployed, working = (self._opened.enter_context(one) for one in made)
        return deployed, working


class _Lane:
    """Runs a function in a sandbox, each time from its beginning."""

    def __init__(self, sandbox: Sandbox, trigger_type: str) -> None:
        self._sandbox = sandbox
        self._type = trigger_type

    def run(self, event: Mapping[str, Any], determinism: Determinism) -> Observed:
        """Run it for an event."""
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


def _wanted(app: App, trigger_type: str) -> WantedFunction:
    found = next((one for one in app.project().functions or () if one.type == trigger_type), None)
    if found is None:
        raise UsageProblem(
            f"functions.yaml has no {trigger_type}, so there is no working copy to compare with",
            hint="it has: " + (", ".join(one.type for one in app.project().functions or ()) or "no functions"),
        )
    return found


def _rows(client: Client, function: Function, chosen: Chosen) -> list[Invocation]:
    """Return the invocations that are wanted and have ended, the oldest first."""
    from ckfunc.logs.listing import Listing

    found: dict[int, Invocation] = {}
    looked_at = 0
    for window in Listing(client, function.id).windows(_WINDOW):
        for row in window:
            if chosen.since is not None and row.created_time < chosen.since:
                return _oldest_first(found)
            if row.status is not Status.RUNNING and (row.status is Status.FAILED or not chosen.failed):
                found[row.id] = row
            if len(found) == chosen.last:
                return _oldest_first(found)
        looked_at += len(window)
        if looked_at >= DEEPEST:
            break
    return _oldest_first(found)


def _oldest_first(found: Mapping[int, Invocation]) -> list[Invocation]:
    return [found[one] for one in sorted(found)]


def _text(scripts: Scripts) -> str | None:
    return None if scripts.initialization_script is None else scripts.initialization_script.text
