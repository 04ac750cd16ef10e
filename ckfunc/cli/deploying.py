"""How a plan is made, shown, agreed to and carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.context import App
from ckfunc.cli.output import USUAL_COLUMNS, Output

if TYPE_CHECKING:
    from ckfunc.deploy.plan import Plan
    from ckfunc.deploy.report import Report
    from ckfunc.model.execution import SyntaxProblem
    from ckfunc.model.project import Project


class NeedsYes(UsageProblem):
    """A protected target, and nobody who can be asked."""


def make_plan(app: App) -> Plan:
    """Compare the project with its target."""
    from ckfunc.deploy import run
    from ckfunc.deploy.cache import VersionCache

    project, client = app.project(), app.client()
    with app.output.progress("comparing"):
        return run.plan(project, client, VersionCache(project.root))


def show_plan(output: Output, plan: Plan, *, markdown: bool = False) -> None:
    """Print a plan: as data with --json, as a comment with `markdown`, else with its source diffs."""
    from ckfunc.deploy.render import plan_json, plan_lines

    if markdown:
        from ckfunc.deploy.markdown import plan_markdown

        output.text(plan_markdown(plan))
        return
    if output.json:
        output.document(plan_json(plan))
        return
    output.lines(plan_lines(plan))


def deploy_project(app: App, *, yes: bool) -> int:
    """Make the application match the manifest, and return the exit code."""
    from ckfunc.deploy import run
    from ckfunc.deploy.summary import step_text

    project, client = app.project(), app.client()
    with app.output.progress("deploying"):
        report = run.deploy(
            project,
            client,
            check=checker(app, project),
            confirm=agreement(app, yes=yes),
            on_step=lambda step: app.output.detail(step_text(step)),
        )
    remember(app, project, report)
    show_report(app.output, report)
    return report.exit_code


def remember(app: App, project: Project, report: Report) -> None:
    """Note what the application and the project agree on now: the base of later pulls."""
    from ckfunc.cli.pulling import remember_deployed
    from ckfunc.deploy.report import Ending

    if report.ending is not Ending.DECLINED:
        remember_deployed(app, project, {(one.kind, one.name): one.result.value for one in report.items})


def show_report(output: Output, report: Report) -> None:
    """Print what a deploy came to."""
    from ckfunc.deploy.report import Result
    from ckfunc.deploy.summary import report_lines

    if output.json:
        output.document(report.to_json())
        return
    wrong = (Result.FAILED, Result.SKIPPED)
    said = [one for one in report.items if one.result in wrong or not output.quiet]
    output.lines(report_lines(report, width=output.width() or USUAL_COLUMNS, items=said))


def checker(app: App, project: Project) -> Callable[[Sequence[tuple[str, str]]], Sequence[SyntaxProblem]]:
    """Return what parses changed scripts of a project; Node starts when it is first called."""
    script = project.runtime.initialization_script

    def check(scripts: Sequence[tuple[str, str]]) -> Sequence[SyntaxProblem]:
        from ckfunc.model.execution import SyntaxProblem

        handlers = [one for one in scripts if script is None or one[0] != script.path]
        others = [one for one in scripts if one not in handlers]
        compiler = app.compiler()
        found = (*compiler.compile(others), *compiler.compile(handlers, handlers=True))
        return [one for one in found if isinstance(one, SyntaxProblem)]

    return check


def agreement(app: App, *, yes: bool) -> Callable[[Plan], bool]:
    """Return what decides whether a plan is carried out: a protected target asks, or needs --yes."""

    def agree(plan: Plan) -> bool:
        if yes or not plan.target.protected:
            return True
        if not app.output.interactive:
            raise NeedsYes(
                f"target {plan.target.name!r} is protected, and there is no terminal to ask on",
                hint="pass --yes to deploy to it all the same",
            )
        from ckfunc.deploy.render import plan_lines

        app.output.talks(plan_lines(plan))
        return app.output.confirm(f"Deploy this to {plan.target.name}?")

    return agree
