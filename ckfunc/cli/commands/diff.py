"""`ckfunc diff`: what a deploy would change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ckfunc.base.errors import EXIT_DIFFERENCES, EXIT_OK, UsageProblem, writing
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import FILE, argument, command, flag, format_option, gate_option, only_option, option
from ckfunc.cli.plans import gates_of, print_plan, try_gates
from ckfunc.deploy import run
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.gates import require_passed
from ckfunc.deploy.history import compare_versions
from ckfunc.deploy.plan import saved
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.show.text import plan_annotations


@command
@argument("versions", "[TYPE[@N]]...", complete=complete_types, nargs=-1)
@flag("--markdown", "Print the plan as Markdown, for a pull request comment.")
@option("--out", "FILE", "Save the plan to a file, without secrets or sources.", FILE)
@only_option("Compare only these functions, `runtime` or `settings`.")
@gate_option(
    "none", "Also run gates: check, test, replay:50 (comma-separated), or manifest for those in functions.yaml."
)
@flag("--exit-code", "Exit 3 if anything differs, 0 if nothing does.")
@format_option
def diff(
    app: App,
    versions: tuple[str, ...],
    markdown: bool,
    out: Path | None,
    only: tuple[str, ...],
    gate: str,
    exit_code: bool,
) -> int:
    """Show what a deploy would change, with source diffs.

    Environment values are masked, except literals of functions.yaml.

    With one TYPE@N, compare that version with the working copy; with two, compare them with each other. TYPE alone is
    the deployed version. Nothing is written to the platform.
    """
    if app.settings.format is not None and (versions or markdown):
        raise UsageProblem(
            "--format can't be used with TYPE@N or --markdown", hint="for example, `ckfunc diff --format github`"
        )
    if markdown and (versions or app.settings.json):
        raise UsageProblem(
            "--markdown can't be used with TYPE@N or --json", hint="for example, `ckfunc diff --markdown`"
        )
    if versions and (out or only):
        raise UsageProblem(
            "--out and --only can't be used with TYPE@N", hint="for example, `ckfunc diff --out plan.json`"
        )
    if versions:
        return _compare_versions(app, versions, exit_code=exit_code)
    gates = gates_of(app, gate)
    plan = _plan(app, only, out, whole=exit_code or out is not None)
    verdicts = try_gates(app, gates, plan) if gates else None
    if app.settings.format is None:
        print_plan(app.output, plan, markdown=markdown, verdicts=verdicts)
    app.output.annotate(plan_annotations(plan), app.root())
    require_passed(verdicts or (), deploys=False)
    return EXIT_DIFFERENCES if exit_code and not plan.is_empty else EXIT_OK


def _plan(app: App, only: tuple[str, ...], out: Path | None, *, whole: bool) -> Plan:
    """Compare the project with its target, and save the plan if there is an `out`.

    Unless `whole` is set, variables that have no value here are not compared.
    """
    place = None if out is None else app.named(out)
    project = app.project() if whole else replace(app.scripts(), target=app.target())
    if not whole:
        app.output.warn(*project.warnings)
    client = app.client()
    with app.output.progress("comparing"):
        plan = run.plan(project, client, VersionCache(project.root), run.DeployOptions(only=only))
    if place is not None:
        with writing(place):
            saved.save(place, plan, client, app.clock, only)
        app.output.talk(("saved ", "title"), f"{out}; `ckfunc deploy --plan {out}` deploys it")
    return plan


def _compare_versions(app: App, versions: tuple[str, ...], *, exit_code: bool) -> int:
    """Print the differences between two versions, or between one and the working copy, and return the exit code."""
    if len(versions) > 2:
        raise UsageProblem("at most two versions can be compared", hint="for example, `ckfunc diff TYPE@1 TYPE@2`")
    compared = compare_versions(app.client(), VersionCache(app.root()), versions, app.scripts)
    none = f"no differences between {compared.before} and {compared.after}"
    app.output.result(compared.to_json(), list(compared.lines()), [(none, "muted")])
    return EXIT_DIFFERENCES if exit_code and not compared.equal else EXIT_OK
