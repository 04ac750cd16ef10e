"""Deploy after every change of a project's files. Deploys run one at a time, until interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
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
from ckfunc.bundle.project import InvalidModules
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import WRONG, DeployReport, Ending
from ckfunc.deploy.plan.checks import NeedsFlag, requirements_check
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.registry import require_installable
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.manifest import watched_files
from ckfunc.model.project import Project, Script
from ckfunc.pull.update import remember_deployed
from ckfunc.runtime.compiler import CachingCompiler
from ckfunc.scaffold.stubs import Schemas, Scope, scope_of
from ckfunc.scaffold.types import refresh_types

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0


class Listener(Protocol):
    """Receives the events of a watch, on several threads."""

    def deployed(self, report: DeployReport, /, *, changed: bool, first: bool, broken: bool, took_s: float) -> object:
        """Receive a deploy: whether files changed before it, and whether some of them are still broken."""

    def failed(self, problem: CkfuncError, /) -> object:
        """Receive the reason why the files could not be deployed."""

    def waiting(self) -> object:
        """Learn that the last deployed version stays until the files are fixed."""

    def fixed(self) -> object:
        """Learn that all files can be deployed again."""

    def retrying(self, wait_s: float, /) -> object:
        """Learn that the deploy is tried again after a wait."""

    def detail(self, text: str, /) -> None:
        """Receive a detail for --verbose."""

    def warn(self, text: str, /) -> None:
        """Receive a warning."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a watcher uses of a running command. `load` reads the project from disk, `client` may reconnect."""

    load: Callable[[], Project]
    client: Callable[[], Client]
    compiler: CachingCompiler
    schemas: Callable[[], Schemas]
    clock: Clock


class Watcher:
    """Deploys a project after changes, and remembers what was deployed."""

    def __init__(
        self,
        project: Project,
        workshop: Workshop,
        listener: Listener,
        wake: threading.Event,
        *,
        allow_removals: bool = False,
    ) -> None:
        self._project = project
        self._workshop = workshop
        self._listener = listener
        self._wake = wake
        self._scope: Scope | None = None
        self._left: dict[str, int] = {}
        self._writing = threading.Lock()
        # On an emulator, the manifest is all there is: what it lacks was in an earlier save of it.
        self._options = run.DeployOptions(allow_removals=allow_removals or project.target.emulator)
        self._retry_s = FIRST_RETRY_S
        self._timer: threading.Timer | None = None
        self._first = True
        self._broken: tuple[str, ...] = ()
        self._unread: tuple[Path, ...] = ()
        self._followed: set[Path] = set()

    def project(self) -> Project:
        """Return the project as it was when it last loaded."""
        return self._project

    def files(self) -> Collection[Path]:
        """Return the files that the project depends on now, as far as a broken manifest lets us know."""
        found = watched_files(self._project.root, self._project.target.name)
        self._followed = {*self._project.watched, *self._unread, *found}
        return self._followed

    def types(self) -> tuple[str, ...]:
        """Return the trigger types of the project's functions."""
        return tuple(one.type for one in self._project.functions or ())

    def react(self, batch: Collection[Path]) -> None:
        """Load, check and deploy. Only errors that no change of a file can fix are raised."""
        self.close()
        began, first = self._workshop.clock.monotonic_s(), self._first
        self._unread = ()
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
                took_s=self._workshop.clock.monotonic_s() - began,
            )
            if report.ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt  # the deploy has kept it, to report what it had done by then
        if report is not None and not report.ok:
            self._try_later(None)
        self._refresh_types(project)

    def _load(self) -> tuple[Project, InvalidModules | None]:
        """Return the project, and what keeps scripts of it from being bundled. Raises InvalidFiles."""
        problem: InvalidModules | None = None
        try:
            project = self._workshop.load()
        except InvalidModules as found:
            project, problem = found.project, found
            self._unread = project.watched  # what is imported now, were it not there yet
        if not self._followed.issuperset(project.watched):
            self._wake.set()  # a file that was read before it is watched may change in between: look again then
        return project, problem

    def _refresh_types(self, project: Project) -> None:
        """Let editors know what a changed manifest or init script brings into the scope of handlers."""
        scope = scope_of(project)
        if scope != self._scope:
            self._scope = scope
            threading.Thread(target=self._write_types, args=(project, scope), daemon=True).start()

    def _write_types(self, project: Project, scope: Scope) -> None:
        with self._writing:  # one after the other, and the last one stays
            if scope == self._scope:
                refresh_types(project, self._workshop.schemas())

    def close(self) -> None:
        """Forget a planned retry."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _deploy(self, project: Project, broken: InvalidModules | None) -> DeployReport | None:
        """Deploy what can be bundled and parses; return None when nothing can be deployed."""
        whole = project if broken is None else without(project, broken.broken)
        try:
            report = None if whole is None else self._run(whole)
        except InvalidScripts as problem:
            known = broken.problems if broken else ()
            self._report_broken(InvalidScripts(problem.message, (*known, *problem.problems), problem.hint))
            parsing = whole and without(whole, {one.path for one in problem.problems})
            return None if parsing is None else self._run(parsing)
        if broken is None:
            self._report_fixed()
        else:
            self._report_broken(broken)
        return report

    def _run(self, project: Project) -> DeployReport:
        def confirm(plan: Plan) -> bool:
            require_installable(project, plan, self._listener.detail, self._listener.warn)
            self._warn_of_others(plan)
            return True  # the watch itself was confirmed, and its target is still the same

        client = self._workshop.client()
        report = run.deploy(
            project,
            client,
            check=requirements_check(project, self._workshop.compiler.compile),
            confirm=confirm,
            options=self._options,
            clock=self._workshop.clock,
        )
        remember_deployed(project, client.identity, report)
        self._first = False
        for one in report.items:
            if one.kind == FUNCTIONS and one.new_version and one.result not in WRONG:
                self._left[one.name] = one.new_version
        return report

    def _warn_of_others(self, plan: Plan) -> None:
        """Warn when a deploy replaces somebody else's: a watch shows no plan. An emulator has one user."""
        for name in sorted({one.name for one in plan.changes if one.kind == FUNCTIONS} & set(self._left)):
            now, left = plan.versions.get(name, 0), self._left[name]
            if now != left and not plan.target.emulator:
                self._listener.warn(
                    f"{name} was v{left} after the last deploy and is v{now} now: replacing somebody else's version "
                    f"(`ckfunc rollback {name} --to {now}` restores it)"
                )

    def _require_same_place(self, project: Project) -> None:
        if project.target != self._project.target:
            raise CkfuncError(
                f"target {project.target.name!r} has changed since the watch began",
                hint="nothing is deployed until you restart `ckfunc watch`, or undo that change",
            )

    def _try_later(self, problem: CkfuncError | None) -> None:
        if problem is not None:
            self._listener.failed(problem)
        self._listener.retrying(self._retry_s)
        self._timer = threading.Timer(self._retry_s, self._wake.set)
        self._timer.daemon = True
        self._timer.start()
        self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)

    def _report_broken(self, problem: InvalidFiles) -> None:
        found = tuple(map(str, problem.problems)) or (problem.message,)
        if found != self._broken:
            self._listener.failed(problem)
            self._listener.waiting()
        self._broken = found

    def _report_fixed(self) -> None:
        if self._broken:
            self._listener.fixed()
        self._broken = ()


def without(project: Project, broken: Collection[str]) -> Project | None:
    """Return the project without the functions whose handler is made of a file that is among `broken`.

    None when the init script is: every handler may need what the new one exports.
    """

    def is_broken(script: Script) -> bool:
        return not {script.path, *script.modules}.isdisjoint(broken)

    script = project.runtime.initialization_script
    if script is not None and is_broken(script):
        return None
    kept = tuple(one for one in project.functions or () if not is_broken(one.handler))
    return replace(project, functions=kept)
