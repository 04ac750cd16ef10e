"""How a plan is made, shown, agreed to and carried out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ckfunc.base.errors import EXIT_DIFFERENCES, EXIT_OK, CkfuncError, Problem, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.asking import confirmed
from ckfunc.cli.gating import (
    MANIFEST,
    Verdict,
    require_open,
    try_gates,
    verdict_lines,
    verdicts_markdown,
    wanted_gates,
)
from ckfunc.cli.output import USUAL_COLUMNS, Output
from ckfunc.deploy.registry import require_installable

if TYPE_CHECKING:
    from ckfunc.deploy.apply.report import Report
    from ckfunc.deploy.plan.checks import Check
    from ckfunc.deploy.plan.plan import Plan
    from ckfunc.deploy.run import Options
    from ckfunc.model.project import Project, Script


def make_plan(app: App, only: tuple[str, ...] = (), out: Path | None = None, *, whole: bool = True) -> Plan:
    """Compare the project with its target, and keep the plan in a file if there is an `out`.

    Unless it is to be the `whole` plan, variables that have no value here are not compared.
    """
    from ckfunc.deploy import run
    from ckfunc.deploy.cache import VersionCache
    from ckfunc.deploy.plan import saved

    place = None if out is None else app.named(out)
    project = app.project() if whole else replace(app.scripts(), target=app.target())
    for warning in () if whole else project.warnings:
        app.output.warn(warning)
    client = app.client()
    with app.output.progress("comparing"):
        plan = run.plan(project, client, VersionCache(project.root), run.Options(only=only))
    if place is not None:
        saved.save(place, plan, client, app.clock, only)
        app.output.talk(("saved ", "title"), f"{out}; `ckfunc deploy --plan {out}` carries it out")
    return plan


def show_difference(
    app: App, only: tuple[str, ...], out: Path | None, *, markdown: bool, gate: str, exit_code: bool
) -> int:
    """Print what a deploy would change, and what its gates would say, and return the exit code."""
    gates = wanted_gates(app, gate)
    plan = make_plan(app, only, out, whole=exit_code or out is not None)
    verdicts = try_gates(app, gates, plan) if gates else None
    show_plan(app.output, plan, markdown=markdown, verdicts=verdicts)
    require_open(verdicts or (), deploys=False)
    return EXIT_DIFFERENCES if exit_code and not plan.is_empty else EXIT_OK


def show_plan(output: Output, plan: Plan, *, markdown: bool = False, verdicts: Sequence[Verdict] | None = None) -> None:
    """Print a plan, and what came of the gates: as data with --json, as a comment with `markdown`, else for people."""
    from ckfunc.deploy.show.json import plan_json
    from ckfunc.deploy.show.text import plan_lines

    if markdown:
        from ckfunc.deploy.show.markdown import plan_markdown

        output.text(plan_markdown(plan, verdict=verdicts_markdown(verdicts or ())))
        return
    if output.json:
        output.document({**plan_json(plan), **_gates_json(verdicts)})
        return
    output.lines(plan_lines(plan))
    output.lines(verdict_lines(verdicts or ()))


def _gates_json(verdicts: Sequence[Verdict] | None) -> dict[str, Any]:
    return {} if verdicts is None else {"gates": [one.to_json() for one in verdicts]}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user asked of a deploy on the command line; see `ckfunc deploy --help`."""

    yes: bool = False
    dry_run: bool = False
    resume: bool = False
    saved: Path | None = None
    only: tuple[str, ...] = ()
    allow_removals: bool = False
    allow_other_application: bool = False
    allow_stale: bool = False
    at_once: int | None = None
    gate: str = MANIFEST


def deploy_project(app: App, wish: Wish) -> int:
    """Make the application match the manifest, and return the exit code."""
    from ckfunc.deploy import run
    from ckfunc.deploy.cache import VersionCache
    from ckfunc.deploy.show.text import step_text

    options = _options(app, wish)
    project, client = app.project(), app.client()
    check, gates = checker(app, project), wanted_gates(app, wish.gate)
    if wish.dry_run:
        with app.output.progress("comparing"):
            plan = run.prepare(project, client, check=check, cache=VersionCache(project.root), options=options)
        require_installable(project, plan, app.output.detail, app.output.warn)
        tried = try_gates(app, gates, plan) if gates and not plan.is_empty else None
        show_plan(app.output, plan, verdicts=tried)
        require_open(tried or ())
        app.output.talk(("dry run: ", "title"), "nothing was written")
        return EXIT_OK
    verdicts: list[Verdict] = []
    with app.output.progress("deploying"):
        report = run.deploy(
            project,
            client,
            check=check,
            confirm=_gated(app, gates, verdicts, agreement(app, yes=wish.yes)),
            on_step=lambda step: app.output.detail(step_text(step)),
            options=options,
            clock=app.clock,
        )
    remember(app, project, report)
    show_report(app.output, report, verdicts=verdicts if gates else None)
    return report.exit_code


def _gated(
    app: App, gates: Sequence[str], verdicts: list[Verdict], agree: Callable[[Plan], bool]
) -> Callable[[Plan], bool]:
    """Return what lets a plan through once its packages exist, its gates pass and somebody agrees.

    `verdicts` gets what came of the gates.
    """

    def agreed(plan: Plan) -> bool:
        require_installable(app.project(), plan, app.output.detail, app.output.warn)
        if not gates:
            return agree(plan)
        verdicts.extend(try_gates(app, gates, plan))
        closed = any(not one.ok for one in verdicts)
        if not app.output.json:
            app.output.lines(verdict_lines([one for one in verdicts if not (one.ok and app.output.quiet)]))
        elif closed:
            app.output.document({"target": plan.target.name, "ok": False, **_gates_json(verdicts)})
        require_open(verdicts)
        # Gates read the files again: what passed must be what is deployed.
        if app.load_project() != app.project():
            raise CkfuncError(
                "the project was changed while its gates ran; nothing was written", hint="run the command again"
            )
        return agree(plan)

    return agreed


def _options(app: App, wish: Wish) -> Options:
    """Return what a deploy may do; a saved plan and a journal name their target and their parts themselves."""
    from ckfunc.base.workers import AT_ONCE
    from ckfunc.deploy import run
    from ckfunc.deploy.apply.resume import unfinished
    from ckfunc.deploy.plan import saved

    if ((wish.saved or wish.resume) and wish.only) or (wish.saved and wish.resume):
        raise UsageProblem("--plan, --resume and --only exclude each other", hint="a plan says itself what is in it")
    options = run.Options(
        only=wish.only,
        allow_removals=wish.allow_removals,
        allow_other_application=wish.allow_other_application,
        allow_stale=wish.allow_stale,
        at_once=wish.at_once or AT_ONCE,
    )
    if wish.saved is not None:
        plan = saved.load(app.directory / wish.saved)
        saved.require_target(plan, app.settings.target or plan.target)
        app.settings.target = plan.target
        return replace(options, saved=plan, only=plan.only)
    if wish.resume:
        project, client = app.project(), app.client()
        client.runtime()  # tells which application it is
        record = unfinished(project.root, project.target.name, client.identity)
        app.output.talk(("resuming ", "title"), f"the {record.described(app.clock.now())}")
        return replace(options, resume=record, only=record.only)
    return options


def remember(app: App, project: Project, report: Report) -> None:
    """Note what the application and the project agree on now: the base of later pulls.

    Not after an undo or a rollback: the working copy has no part in those, and a pull is to bring it what they did.
    """
    from ckfunc.cli.pulling import remember_deployed
    from ckfunc.deploy.apply.report import Ending

    if report.ending is not Ending.DECLINED:
        remember_deployed(app, project, {(one.kind, one.name): one.result.value for one in report.items})


def show_report(
    output: Output, report: Report, *, verdicts: Sequence[Verdict] | None = None, undone: str | None = None
) -> None:
    """Print the result of a deploy; with --json, the gates too. With --quiet, print only what went wrong.

    `undone` is what an undo reverted.
    """
    from ckfunc.deploy.apply.report import WRONG, Ending
    from ckfunc.deploy.show.text import report_lines

    if output.json:
        output.document({**report.to_json(), **_gates_json(verdicts)})
        return
    if (output.quiet and report.ok) or report.ending is Ending.DECLINED:
        return
    if output.quiet:
        report = replace(report, warnings=())
    said = [one for one in report.items if one.result in WRONG or not output.quiet]
    output.lines(report_lines(report, width=output.width() or USUAL_COLUMNS, items=said, undone=undone))


def checker(app: App, project: Project) -> Check:
    """Return what finds out why scripts of a project cannot run; Node starts for one that was not compiled before."""

    def check(scripts: Sequence[Script], packages: Collection[str]) -> Sequence[Problem]:
        from ckfunc.bundle.requirements import Requirements

        required = Requirements(project.root, packages)
        return required.lacks(scripts, app.kept_compiler().compile, project.runtime.initialization_script).errors

    return check


def agreement(app: App, *, yes: bool) -> Callable[[Plan], bool]:
    """Return what decides whether a plan is carried out: a protected target asks, or needs --yes."""

    def agree(plan: Plan) -> bool:
        if yes or not plan.target.protected:
            return True
        from ckfunc.deploy.show.text import plan_lines

        return confirmed(
            app,
            f"Deploy this to {plan.target.name}?",
            shown=plan_lines(plan),
            cancelled=f"Nothing was deployed to {plan.target.name}.",
            refusal=f"target {plan.target.name!r} is protected, and there is no terminal to ask on",
            hint="pass --yes to deploy to it",
        )

    return agree
