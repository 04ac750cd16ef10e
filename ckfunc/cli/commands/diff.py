"""`ckfunc diff`: what a deploy would change."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import click

from ckfunc.base.diffs import styled_diff, unified
from ckfunc.base.errors import EXIT_DIFFERENCES, EXIT_OK, UsageProblem
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_only, complete_types
from ckfunc.cli.options import FILE, common_options, format_option, pass_app
from ckfunc.cli.plans import gates_of, print_plan, try_gates
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.gates import require_passed
from ckfunc.deploy.history import Reference, function_of, handler_of, reference, version_of
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import newlines
from ckfunc.deploy.show.text import plan_annotations


@click.command(
    epilog="""\b
Examples:
  ckfunc diff                         the plan for the default target
  ckfunc diff --target production     the plan for another
  ckfunc diff --exit-code             for scripts: 3 when anything differs
  ckfunc diff --json | jq .summary    the plan as data
  ckfunc diff --markdown > plan.md    the plan as a comment
  ckfunc diff --markdown --gate check,test,replay:50
                                      with gates; exits 1 if one fails
  ckfunc diff --out plan.json         save it for deploy --plan
  ckfunc diff user.sent.message@3     version 3 and the working copy
  ckfunc diff user.sent.message@3 user.sent.message
                                      version 3 and what is deployed"""
)
@click.argument("versions", metavar="[TYPE[@N]]...", nargs=-1, shell_complete=complete_types)
@click.option("--markdown", is_flag=True, help="Print the plan as Markdown, for a pull request comment.")
@click.option("--out", type=FILE, metavar="FILE", help="Save the plan to a file, without secrets or sources.")
@click.option(
    "--only",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete_only,
    help="Only these, or `runtime`.",
)
@click.option("--gate", default="none", metavar="GATES", help="Run gates too: check, test, replay:50, or manifest.")
@click.option("--exit-code", is_flag=True, help="Exit 3 if anything differs, 0 if nothing does.")
@format_option
@common_options
@pass_app
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
    if app.output.format is not None and (versions or markdown):
        raise UsageProblem("--format is for the plan, without --markdown", hint="ckfunc diff --format github")
    if markdown and (versions or app.output.json):
        raise UsageProblem("--markdown is for the plan, without --json", hint="ckfunc diff --markdown")
    if versions and (out or only):
        raise UsageProblem("--out and --only are for the plan", hint="ckfunc diff --out plan.json")
    if versions:
        return _compare_versions(app, versions, exit_code=exit_code)
    gates = gates_of(app, gate)
    plan = _plan(app, only, out, whole=exit_code or out is not None)
    verdicts = try_gates(app, gates, plan) if gates else None
    if app.output.format is None:
        print_plan(app.output, plan, markdown=markdown, verdicts=verdicts)
    if app.output.annotates:
        app.output.annotate(plan_annotations(plan), app.root())
    require_passed(verdicts or (), deploys=False)
    return EXIT_DIFFERENCES if exit_code and not plan.is_empty else EXIT_OK


def _plan(app: App, only: tuple[str, ...], out: Path | None, *, whole: bool) -> Plan:
    """Compare the project with its target, and save the plan if there is an `out`.

    Unless `whole` is set, variables that have no value here are not compared.
    """
    # What prepares a deploy is imported when it starts: --help must not load it.
    from ckfunc.deploy import run
    from ckfunc.deploy.plan import saved

    place = None if out is None else app.named(out)
    project = app.project() if whole else replace(app.scripts(), target=app.target())
    for warning in () if whole else project.warnings:
        app.output.warn(warning)
    client = app.client()
    with app.output.progress("comparing"):
        plan = run.plan(project, client, VersionCache(project.root), run.DeployOptions(only=only))
    if place is not None:
        saved.save(place, plan, client, app.clock, only)
        app.output.talk(("saved ", "title"), f"{out}; `ckfunc deploy --plan {out}` deploys it")
    return plan


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison; `text` has plain newlines."""

    name: str
    text: str


def _compare_versions(app: App, versions: tuple[str, ...], *, exit_code: bool) -> int:
    """Print the differences between two versions, or between one and the working copy, and return the exit code."""
    if len(versions) > 2:
        raise UsageProblem("at most two versions can be compared", hint="ckfunc diff TYPE@1 TYPE@2")
    first, second = reference(versions[0]), reference(versions[1]) if len(versions) > 1 else None
    left = _deployed(app, first)
    right = _deployed(app, second) if second is not None else _working_copy(app, first)
    lines = list(unified(left.text, right.text, left.name, right.name))
    if app.output.json:
        text = "".join(f"{printable(line)}\n" for line in lines)
        app.output.document({"before": left.name, "after": right.name, "equal": not lines, "diff": text})
    elif lines:
        app.output.lines([one] for one in styled_diff(lines))
    else:
        app.output.talk((f"no differences between {left.name} and {right.name}", "muted"))
    return EXIT_DIFFERENCES if exit_code and lines else EXIT_OK


def _deployed(app: App, wanted: Reference) -> _Side:
    client, cache = app.client(), VersionCache(app.root())
    function = function_of(client, wanted.type)
    version = version_of(client, function, wanted.number, cache)
    return _Side(f"{printable(function.type)}@{version.version_number}", newlines(version.handler_script))


def _working_copy(app: App, wanted: Reference) -> _Side:
    here = handler_of(app.scripts(), wanted.type)
    if here is None:
        raise UsageProblem(
            f"functions.yaml has no {wanted.type}, so there is no working copy to compare with",
            hint=f"name a second version: ckfunc diff {wanted.type}@1 {wanted.type}@2",
        )
    return _Side(f"{printable(here.path)}{' (bundled)' if here.modules else ''}", newlines(here.text))
