"""Deploy after every change of a project's files, until interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ckfunc.api import Client
from ckfunc.base.clock import Clock
from ckfunc.base.errors import (
    Busy,
    CkfuncError,
    InvalidFiles,
    InvalidScripts,
    NoProject,
    ServiceTrouble,
    Unreachable,
    UnreadableAnswer,
)
from ckfunc.base.frozen import frozen
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.bundle.project import InvalidModules
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import WRONG, DeployReport, Ending
from ckfunc.deploy.plan.checks import NeedsFlag, require_packages, requirements_check
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.logs.entries import Gap, Item, LogEntry
from ckfunc.logs.follow import StoppableClock, stream_logs
from ckfunc.manifest.project import watched_files
from ckfunc.model.project import Project, Script
from ckfunc.pull.update import remember_deployed
from ckfunc.runtime.compiler import CachingCompiler
from ckfunc.scaffold.stubs import Schemas, Scope, scope_of
from ckfunc.scaffold.types import refresh_types
from ckfunc.watch import Stop, batches

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
LOG_END_S = 0.5
"""The time that the end of a watch waits for its log."""


class Listener(Protocol):
    """Receives the events of a watch, on several threads."""

    def deployed(self, report: DeployReport, /, *, changed: bool, first: bool, broken: bool, took_s: float) -> object:
        """Receive the report of a deploy, whether files changed before it, and whether some files are still broken."""

    def failed(self, problem: CkfuncError, /) -> object:
        """Receive the reason why the files could not be deployed."""

    def notice(self, *segments: tuple[str, str] | str) -> object:
        """Receive a message about the state of the watch."""

    def detail(self, text: str, /) -> None:
        """Receive a detail for --verbose."""

    def warn(self, text: str, /) -> None:
        """Receive a warning."""

    def ran(self, entry: LogEntry, /) -> object:
        """Receive an invocation, after the log has shown it."""


@frozen
class WatchLog:
    """The log of a watch: `show` receives its items, `check` is called between requests, `failed` when it ends."""

    show: Callable[[Item], object]
    check: Callable[[], object]
    failed: Callable[[CkfuncError], object]


@frozen
class WatchTools:
    """The parts of a command that a watcher uses. `load` reads the project from disk, `client` may reconnect."""

    load: Callable[[], Project]
    client: Callable[[], Client]
    compiler: CachingCompiler
    schemas: Callable[[], Schemas]
    clock: Clock


def watchable(load: Callable[[], Project]) -> Project:
    """Return the project that `load` reads, even if it cannot be bundled yet: the watch waits until it can be."""
    try:
        return load()
    except InvalidModules as problem:
        return problem.project


class Watcher:
    """Deploys a project after changes, and remembers the deployed versions."""

    def __init__(
        self, project: Project, tools: WatchTools, listener: Listener, *, allow_removals: bool = False
    ) -> None:
        self._project = project
        self._tools = tools
        self._listener = listener
        self._wake = threading.Event()
        self._scope: Scope | None = None
        self._deployed_versions: dict[str, int] = {}
        self._writing = threading.Lock()
        # On an emulator, everything comes from the manifest, so a removal undoes an earlier save.
        self._options = run.DeployOptions(allow_removals=allow_removals or project.target.emulator)
        self._retry_s = FIRST_RETRY_S
        self._timer: threading.Timer | None = None
        self._first = True
        self._broken: tuple[str, ...] = ()
        self._unloaded_files: tuple[Path, ...] = ()
        self._watched: set[Path] = set()

    def project(self) -> Project:
        """Return the last project that could be loaded."""
        return self._project

    def files(self) -> Collection[Path]:
        """Return the files that the project depends on, as far as a broken manifest allows."""
        paths = watched_files(self._project.root, self._project.target.name)
        self._watched = {*self._project.watched, *self._unloaded_files, *paths}
        return self._watched

    def types(self) -> tuple[str, ...]:
        """Return the trigger types of the project's functions."""
        return self._project.types

    def run(self, client: Client, log: WatchLog | None, stop: Stop) -> None:
        """Deploy now and after every change, and follow the log if there is one, until `stop` is set."""
        streaming = None
        if log is not None:
            clock = StoppableClock(self._tools.clock, log.check, stop)
            streaming = stream_logs(client, self.types, clock, partial(self._show, log), log.failed)
        self._wake.set()  # the first deploy comes after the watch has begun, so that no change is missed
        try:
            for batch in batches(self.files, self._project.root, stop, wake=self._wake):
                self.react(batch)
            require_uninterrupted()
        finally:
            stop.set()
            self.close()
            if streaming is not None:
                # The log may be waiting for a response; Ctrl-C must not wait for it too.
                streaming.join(LOG_END_S)

    def _show(self, log: WatchLog, item: Item) -> None:
        log.show(item)
        if isinstance(item, LogEntry):
            self._listener.ran(item)
        elif isinstance(item, Gap) and item.type is None:
            self._wake.set()  # the emulator's data was replaced, and its functions with it

    def react(self, batch: Collection[Path]) -> None:
        """Load, check and deploy. Only raises errors that no change of a file can fix."""
        self.close()
        began, first = self._tools.clock.monotonic_s(), self._first
        self._unloaded_files = ()
        try:
            project, broken = self._load()
            self._require_same_place(project)
        except InvalidFiles as problem:
            self._report_broken(problem)
            return
        except NoProject as problem:
            self._report_broken(InvalidFiles(problem.message, ()))
            return
        except CkfuncError as problem:
            self._listener.failed(problem)
            return
        self._project = project
        try:
            report = self._deploy(project, broken)
        except NeedsFlag as problem:
            self._listener.failed(problem)
            return
        except InvalidFiles as problem:
            self._report_broken(problem)
            return
        except (Busy, Unreachable, ServiceTrouble, UnreadableAnswer) as problem:
            self._try_later(problem)
            return
        self._retry_s = FIRST_RETRY_S
        if report is not None:
            self._listener.deployed(
                report,
                changed=bool(batch),
                first=first,
                broken=bool(self._broken),
                took_s=self._tools.clock.monotonic_s() - began,
            )
            if report.ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt  # which the deploy has caught, to complete its report
        if report is not None and not report.ok:
            self._try_later(None)
        self._refresh_types(project)

    def _load(self) -> tuple[Project, InvalidModules | None]:
        """Return the project, and the problem if some scripts cannot be bundled. Raises InvalidFiles."""
        problem: InvalidModules | None = None
        try:
            project = self._tools.load()
        except InvalidModules as invalid:
            project, problem = invalid.project, invalid
            self._unloaded_files = project.watched  # includes imported files that do not exist yet
        if not self._watched.issuperset(project.watched):
            self._wake.set()  # a file may change after it was read and before it is watched: load again
        return project, problem

    def _refresh_types(self, project: Project) -> None:
        """Update the type files for editors if the manifest or init script has changed the scope of handlers."""
        scope = scope_of(project)
        if scope != self._scope:
            self._scope = scope
            threading.Thread(target=self._write_types, args=(project, scope), daemon=True).start()

    def _write_types(self, project: Project, scope: Scope) -> None:
        with self._writing:  # one at a time, and the last one wins
            if scope == self._scope:
                refresh_types(project, self._tools.schemas())

    def close(self) -> None:
        """Cancel a planned retry."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deploy(self, project: Project, broken: InvalidModules | None) -> DeployReport | None:
        """Deploy the functions that can be bundled and parsed. Return None if nothing can be deployed."""
        deployable = project if broken is None else without(project, broken.broken)
        try:
            report = None if deployable is None else self._run(deployable)
        except InvalidScripts as problem:
            problems = broken.problems if broken else ()
            self._report_broken(InvalidScripts(problem.message, (*problems, *problem.problems), problem.hint))
            parsing = deployable and without(deployable, {mistake.path for mistake in problem.problems})
            return None if parsing is None else self._run(parsing)
        if broken is None:
            self._report_fixed()
        else:
            self._report_broken(broken)
        return report

    def _run(self, project: Project) -> DeployReport:
        def confirm(plan: Plan) -> bool:
            require_packages(project, plan, self._tools.compiler, self._listener.detail, self._listener.warn)
            self._warn_of_conflicts(plan)
            return True  # the user has confirmed the watch, and the target has not changed

        client = self._tools.client()
        report = run.deploy(
            project,
            client,
            check=requirements_check(project, self._tools.compiler.compile),
            confirm=confirm,
            options=self._options,
            clock=self._tools.clock,
        )
        remember_deployed(project, client.identity, report)
        self._first = False
        for item in report.items:
            if item.kind == FUNCTIONS and item.new_version and item.result not in WRONG:
                self._deployed_versions[item.name] = item.new_version
        return report

    def _warn_of_conflicts(self, plan: Plan) -> None:
        """Warn if a deploy replaces someone else's version, because a watch shows no plan. An emulator has one user."""
        for name in sorted(
            {change.name for change in plan.changes if change.kind == FUNCTIONS} & set(self._deployed_versions)
        ):
            now, deployed = plan.versions.get(name, 0), self._deployed_versions[name]
            if now != deployed and not plan.target.emulator:
                self._listener.warn(
                    f"{name} was v{deployed} after the last deploy and is v{now} now: replacing someone else's version "
                    f"(`ckfunc rollback {name} --to {now}` restores it)"
                )

    def _require_same_place(self, project: Project) -> None:
        if project.target != self._project.target:
            raise CkfuncError(
                f"target {project.target.name!r} has changed since the watch began",
                hint="nothing is deployed until you restart `ckfunc watch` or undo that change",
            )

    def _try_later(self, problem: CkfuncError | None) -> None:
        if problem is not None:
            self._listener.failed(problem)
        self._listener.notice(("trying again", "warning"), f" in {self._retry_s:.0f} s, or when a file changes")
        self._timer = threading.Timer(self._retry_s, self._wake.set)
        self._timer.daemon = True
        self._timer.start()
        self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)

    def _report_broken(self, problem: InvalidFiles) -> None:
        problems = tuple(map(str, problem.problems)) or (problem.message,)
        if problems != self._broken:
            self._listener.failed(problem)
            self._listener.notice(("Keeping the last deployed version. Waiting for changes…", "muted"))
        self._broken = problems

    def _report_fixed(self) -> None:
        if self._broken:
            self._listener.notice(("fixed", "success"))
        self._broken = ()


def without(project: Project, broken: Collection[str]) -> Project | None:
    """Return the project without the functions whose handler uses a file in `broken`.

    Returns None if the init script does, because every handler may need its exports.
    """

    def is_broken(script: Script) -> bool:
        return not {script.path, *script.modules}.isdisjoint(broken)

    script = project.runtime.initialization_script
    if script is not None and is_broken(script):
        return None
    deployable = tuple(function for function in project.functions or () if not is_broken(function.handler))
    return replace(project, functions=deployable)
