"""How `ckfunc watch` turns batches of changed files into deploys, one at a time, and never gives up."""

from __future__ import annotations

import threading
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ckfunc.base.errors import (
    EXIT_FAILED,
    EXIT_OK,
    Busy,
    CkfuncError,
    InvalidFiles,
    InvalidScripts,
    NoProject,
    ServiceTrouble,
    Unreachable,
    UnreadableAnswer,
)
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.bundle.project import InvalidModules
from ckfunc.cli.app import App
from ckfunc.cli.asking import confirmed
from ckfunc.cli.commands.logs import stream_logs
from ckfunc.cli.output import USUAL_COLUMNS
from ckfunc.cli.plans import remember
from ckfunc.deploy import run
from ckfunc.deploy.apply.report import DONE, WRONG, DeployReport, Ending
from ckfunc.deploy.plan.checks import NeedsFlag, requirements_check
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.registry import require_installable
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.logs.entries import Entry
from ckfunc.model.project import Project, Script, Target
from ckfunc.scaffold.types import refresh_types
from ckfunc.watch.batches import batches
from ckfunc.watch.stopping import Stop

if TYPE_CHECKING:
    from ckfunc.scaffold.stubs import Scope

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0
LOGS_END_S = 0.5
SHOWN = {*DONE.values(), *WRONG}


class Follower(Protocol):
    """Who wants to know how a watch goes. Called on several threads."""

    def deployed(self, report: DeployReport, /) -> object:
        """Hear of a deploy."""

    def broken(self, problem: CkfuncError, /) -> object:
        """Hear that what is on disk could not be deployed."""

    def ran(self, entry: Entry, /) -> object:
        """Hear of an invocation."""


def watch_project(
    app: App,
    *,
    logs: bool,
    yes: bool,
    allow_removals: bool = False,
    follower: Follower | None = None,
    quit_on: threading.Event | None = None,
) -> int:
    """Deploy now and after every change, until interrupted, or until `quit_on` is set; return the exit code.

    A protected target needs one confirmation, before anything is deployed: it covers every deploy of the watch. Raises
    NeedsYes.
    """
    project = _begun(app)
    if not yes and not watch_confirmed(app, project.target):
        return EXIT_FAILED
    client = app.client(lasting=True)
    stop, wake = Stop(quit_on), threading.Event()
    watcher = Watcher(app, project, wake, allow_removals=allow_removals, follower=follower)
    app.output.talk(("watching ", "title"), f"{len(project.watched)} files, target {project.target.name}; Ctrl-C ends")
    streaming = (
        stream_logs(
            app, client, watcher.types, stop, project=watcher.project, ran=follower.ran if follower else _unheard
        )
        if logs
        else None
    )
    # Node takes a moment to start: not at the first save, but while nobody waits for it.
    threading.Thread(target=app.compiler().compile, args=([("warm-up.ts", "")],), daemon=True).start()
    wake.set()  # the first deploy comes before the first change, but after the watch began: nothing is missed
    try:
        for batch in batches(watcher.files, project.root, stop, wake=wake):
            watcher.react(batch)
        require_uninterrupted()
    finally:
        stop.set()
        watcher.close()
        if streaming is not None:
            # It may be waiting for an answer, which Ctrl-C is not to wait for.
            streaming.join(LOGS_END_S)
    return EXIT_OK


def watch_confirmed(app: App, target: Target) -> bool:
    """Return whether every change may be deployed to `target`: a protected one asks. Raises NeedsYes."""
    if not target.protected:
        return True
    return confirmed(
        app,
        f"Deploy every change to {target.name} until you stop this command?",
        cancelled=f"Nothing was deployed to {target.name}.",
        refusal=f"target {target.name!r} is protected and requires confirmation",
        hint="rerun with --yes to deploy every change to it",
    )


def _begun(app: App) -> Project:
    """Return the project to begin with: what cannot be bundled yet is waited for."""
    try:
        return app.project()
    except InvalidModules as problem:
        return problem.project


def _unheard(_: Entry) -> None:
    """Stand for a follower that is not there."""


class Watcher:
    """What was deployed last, and what to do about a change."""

    def __init__(
        self,
        app: App,
        project: Project,
        wake: threading.Event,
        *,
        allow_removals: bool = False,
        follower: Follower | None = None,
    ) -> None:
        self._app = app
        self._project = project
        self._wake = wake
        self._follower = follower
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
        """Return the project as it was when it was last whole."""
        return self._project

    def files(self) -> Collection[Path]:
        """Return the files that the project depends on now, as far as a broken manifest lets us know."""
        from ckfunc.manifest import watched_files

        found = watched_files(self._project.root, self._project.target.name)
        self._followed = {*self._project.watched, *self._unread, *found}
        return self._followed

    def types(self) -> tuple[str, ...]:
        """Return the trigger types of the project's functions."""
        return tuple(one.type for one in self._project.functions or ())

    def react(self, batch: Collection[Path]) -> None:
        """Load, check and deploy; say what came of it. Only what no change of a file can mend is raised."""
        self.close()
        began, first = self._app.clock.monotonic_s(), self._first
        self._unread = ()
        try:
            project, broken = self._load()
            self._require_same_place(project)
        except InvalidFiles as problem:
            self._say_broken(problem)
            return
        except NoProject as problem:
            self._say_broken(InvalidFiles(problem.message, ()))
            return
        except CkfuncError as problem:
            self._fail(problem)
            return
        self._project = project
        try:
            report = self._deploy(project, broken)
        except NeedsFlag as problem:
            self._fail(problem)
            return
        except InvalidFiles as problem:
            self._say_broken(problem)
            return
        except (Busy, Unreachable, ServiceTrouble, UnreadableAnswer) as problem:
            self._try_later(problem)
            return
        self._retry_s = FIRST_RETRY_S
        if report is not None:
            if self._follower is not None and not self._broken:
                self._follower.deployed(report)
            self._say(report, batch, self._app.clock.monotonic_s() - began, first=first)
            if report.ending is Ending.INTERRUPTED:
                raise KeyboardInterrupt  # the deploy has kept it, to report what it had done by then
        if report is not None and not report.ok:
            self._try_later(None)
        self._refresh_types(project)

    def _load(self) -> tuple[Project, InvalidModules | None]:
        """Return the project, and what keeps scripts of it from being bundled. Raises InvalidFiles."""
        problem: InvalidModules | None = None
        try:
            project = self._app.load_project()
        except InvalidModules as found:
            project, problem = found.project, found
            self._unread = project.watched  # what is imported now, were it not there yet
        if not self._followed.issuperset(project.watched):
            self._wake.set()  # a file that was read before it is watched may change in between: look again then
        return project, problem

    def _refresh_types(self, project: Project) -> None:
        """Let editors know what a changed manifest or init script brings into the scope of handlers."""
        from ckfunc.scaffold.stubs import scope_of

        scope = scope_of(project)
        if scope != self._scope:
            self._scope = scope
            threading.Thread(target=self._write_types, args=(project, scope), daemon=True).start()

    def _write_types(self, project: Project, scope: Scope) -> None:
        with self._writing:  # one after the other, and the last one stays
            if scope == self._scope:
                refresh_types(project, self._app.schemas())

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
            self._say_broken(InvalidScripts(problem.message, (*known, *problem.problems), problem.hint))
            parsing = whole and without(whole, {one.path for one in problem.problems})
            return None if parsing is None else self._run(parsing)
        if broken is None:
            self._say_mended()
        else:
            self._say_broken(broken)
        return report

    def _run(self, project: Project) -> DeployReport:
        app = self._app

        def confirm(plan: Plan) -> bool:
            require_installable(project, plan, app.output.detail, app.output.warn)
            self._warn_of_others(plan)
            return True  # the watch itself was agreed to, and its target is still the same

        report = run.deploy(
            project,
            app.client(),
            check=requirements_check(project, app.kept_compiler().compile),
            confirm=confirm,
            options=self._options,
            clock=app.clock,
        )
        remember(app, project, report)
        self._first = False
        for one in report.items:
            if one.kind == FUNCTIONS and one.new_version and one.result not in WRONG:
                self._left[one.name] = one.new_version
        return report

    def _warn_of_others(self, plan: Plan) -> None:
        """Say whose work goes: nobody is shown what a watch is about to deploy. On an emulator it is one's own."""
        for name in sorted({one.name for one in plan.changes if one.kind == FUNCTIONS} & set(self._left)):
            now, left = plan.versions.get(name, 0), self._left[name]
            if now != left and not plan.target.emulator:
                self._app.output.warn(
                    f"{name} was left at v{left} and is v{now} by now: what somebody else deployed is replaced "
                    f"(`ckfunc rollback {name} --to {now}` brings it back)"
                )

    def _require_same_place(self, project: Project) -> None:
        if project.target != self._project.target:
            raise CkfuncError(
                f"target {project.target.name!r} is no longer what it was when the watch began",
                hint="nothing is deployed until you restart `ckfunc watch`, or undo that change",
            )

    def _try_later(self, problem: CkfuncError | None) -> None:
        if problem is not None:
            self._fail(problem)
        self._app.output.talk(("trying again", "warning"), f" in {self._retry_s:.0f} s, or when a file changes")
        self._timer = threading.Timer(self._retry_s, self._wake.set)
        self._timer.daemon = True
        self._timer.start()
        self._retry_s = min(self._retry_s * 2, LONGEST_RETRY_S)

    def _fail(self, problem: CkfuncError) -> None:
        self._app.output.failure(problem)
        if self._follower is not None:
            self._follower.broken(problem)

    def _say_broken(self, problem: InvalidFiles) -> None:
        found = tuple(map(str, problem.problems)) or (problem.message,)
        if found != self._broken:
            self._fail(problem)
            self._app.output.talk(("what was deployed last stays; waiting for a change", "muted"))
        self._broken = found

    def _say_mended(self) -> None:
        if self._broken:
            self._app.output.talk(("mended", "success"))
        self._broken = ()

    def _say(self, report: DeployReport, batch: Collection[Path], took_s: float, *, first: bool) -> None:
        from ckfunc.deploy.show.text import item_lines, report_summary

        output = self._app.output
        shown = replace(report, items=tuple(one for one in report.items if one.result in SHOWN))
        if output.json:
            output.record(shown.to_json())
            return
        if report.ending is Ending.DECLINED or (report.ok and output.quiet):
            return
        when = (f"{self._app.clock.now().astimezone():%H:%M:%S}  ", "muted")
        took = (f"  ({took_s * 1000:.0f} ms)", "muted")
        if shown.items:
            output.lines(item_lines(shown.items, width=output.width() or USUAL_COLUMNS))
            output.line(when, (report_summary(shown), "title" if report.ok else "failure"), took)
            output.flush()
        elif (batch or first) and not self._broken:
            output.talk(when, ("no changes to deploy", "muted"), took)
        for warning in report.warnings if first else ():
            output.warn(warning)


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
