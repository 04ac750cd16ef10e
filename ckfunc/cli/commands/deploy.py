"""`ckfunc deploy`: make the application match the manifest."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ckfunc.base.errors import EXIT_OK, UsageProblem
from ckfunc.base.interrupts import EXIT_INTERRUPTED
from ckfunc.base.workers import AT_ONCE
from ckfunc.cli.app import App
from ckfunc.cli.options import (
    FILE,
    F,
    allow_removals_option,
    command,
    flag,
    gate_option,
    integer,
    only_option,
    option,
    yes_option,
)
from ckfunc.cli.plans import gates_of, print_plan, print_report, try_gates
from ckfunc.cli.watched_deploys import resume_watch, watch_deployed
from ckfunc.deploy import run
from ckfunc.deploy.apply.recovery import unfinished
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.gates import GateVerdict, require_passed, run_after_deploy, run_before_deploy
from ckfunc.deploy.plan import saved
from ckfunc.deploy.plan.checks import require_packages, requirements_check
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.run import DeployOptions
from ckfunc.deploy.show.documents import plan_json, refused_json, report_json
from ckfunc.deploy.show.text import plan_lines, step_text, verdict_lines
from ckfunc.model.project import MAX_FAILURES, MOST_MIN_RUNS, NO_WATCH, WATCH_FOR


def _pattern_option(name: str, placeholder: str, text: str, pattern: str, examples: Sequence[str]) -> Callable[[F], F]:
    """Return an option whose value must match a regular expression, with examples to complete."""

    def matching(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise UsageProblem(f"invalid {name} value {value!r}", hint=f"examples: {', '.join(examples)}")
        return value

    def complete(_ctx: object, _param: object, incomplete: str) -> list[str]:
        return [example for example in examples if example.startswith(incomplete)]

    return option(name, placeholder, text, convert=matching, complete=complete)


@command
@only_option("Deploy only these functions, `runtime` or `settings`.")
@option("--plan", "FILE", "Deploy a plan that `ckfunc diff --out` saved.", FILE, dest="plan_file")
@flag("--resume", "Finish the last deploy, or its watch, after an interruption.")
@flag("--dry-run", "Check everything and show the plan; write nothing.")
@gate_option(
    "manifest",
    "Gates that must pass: check, test, replay:50 (comma-separated), or none (default: gates in functions.yaml).",
)
@_pattern_option(
    "--watch-for",
    "DURATION",
    "Watch new versions; revert the deploy if too many runs fail (default: watch_for of the target).",
    rf"{WATCH_FOR}|{NO_WATCH}",
    ("10m", "90s", "1h30m", NO_WATCH),
)
@_pattern_option(
    "--max-failures",
    "PERCENT",
    "With --watch-for: share of failures allowed on top of the earlier failure rate (default: 2%).",
    MAX_FAILURES,
    ("2%", "0%", "0.5%", "5%"),
)
@option(
    "--min-runs",
    "N",
    "With --watch-for: runs of a new version needed to judge it (default: 20).",
    integer(1, MOST_MIN_RUNS),
)
@yes_option("Do not ask for confirmation before a deploy to a protected target.")
@allow_removals_option
@flag("--allow-other-application", "Deploy to an application other than the target's.")
@flag("--allow-stale", "With --plan: deploy the current state if the plan is stale.")
@option("--concurrency", "N", "Make N requests at a time.", integer(1, 16), dest="at_once")
def deploy(
    app: App,
    only: tuple[str, ...],
    plan_file: Path | None,
    resume: bool,
    dry_run: bool,
    gate: str,
    watch_for: str | None,
    max_failures: str | None,
    min_runs: int | None,
    yes: bool,
    allow_removals: bool,
    allow_other_application: bool,
    allow_stale: bool,
    at_once: int | None,
) -> int:
    """Make the application match the manifest.

    Only differences are written: first additions (dependencies, environment, init script, functions and versions),
    then removals and settings. Changed scripts are checked before the first write. A version is created exactly once,
    even over an unreliable network, and never overwrites someone else's concurrent deploy. Exits 1 if any part failed.

    --watch-for follows the runs of the new versions. If more of them fail than the earlier failure rate and
    --max-failures allow together, the deploy is reverted, as with `ckfunc undo`, and the command exits 1.
    """
    if ((plan_file or resume) and only) or (plan_file and resume):
        raise UsageProblem(
            "--plan, --resume and --only can't be used together", hint="a plan already specifies what is in it"
        )
    if resume and (watch_for or max_failures or min_runs):
        raise UsageProblem(
            "--resume can't be used with watch options",
            hint="an unfinished deploy is watched with its original options",
        )
    from ckfunc.pull.update import remember_deployed

    options = run.DeployOptions(only, allow_removals, allow_other_application, allow_stale, at_once or AT_ONCE)
    if plan_file is not None:
        options = _of_saved_plan(app, options, plan_file)
    elif resume:
        app.project()  # otherwise the client would only warn of an invalid manifest
        app.client().runtime()  # sets the identity that selects the journal
        if (code := resume_watch(app, dry_run=dry_run)) is not None:
            return code
        options = _of_unfinished(app, options)
    if not resume:
        options = replace(options, watch=app.project().watch.of_options(watch_for, max_failures, min_runs))
    project, client = app.project(), app.client()
    compiler, gates = app.workspace.compiler(), gates_of(app, gate)
    check = requirements_check(project, compiler.compile)
    packages = partial(require_packages, project, compiler=compiler, detail=app.output.detail, warn=app.output.warn)
    if dry_run:
        with app.output.progress("comparing"):
            plan = run.prepare(project, client, check=check, cache=VersionCache(project.root), options=options)
        packages(plan)
        tried = try_gates(app, gates, plan) if gates and not plan.is_empty else None
        print_plan(app.output, plan, verdicts=tried)
        require_passed(tried or ())
        app.output.talk(("dry run: ", "title"), "nothing was written")
        return EXIT_OK
    conditions = run.DeployConditions(
        project,
        require_packages=packages,
        try_gates=partial(_gate_verdicts, app, gates) if gates else None,
        reload=app.workspace.load,
        agree=partial(_agreed, app, yes=yes),
        hook=lambda plan: run_before_deploy(project, plan_json(plan)),
        paused=app.output.paused,
    )
    with app.output.progress("deploying"):
        report = run.deploy(
            project,
            client,
            check=check,
            confirm=conditions.hold,
            on_step=lambda step: app.output.detail(step_text(step)),
            options=options,
            clock=app.clock,
        )
    remember_deployed(project, client.identity, report)
    observation = None
    if not app.settings.json:
        print_report(app.output, report)
    if options.watch is not None and report.ok:
        observation = watch_deployed(app, options, report, conditions.former_values)
    app.output.data(report_json(report, observation, conditions.verdicts if gates else None))
    code = report.exit_code if observation is None else observation.exit_code
    if report.attempted and code != EXIT_INTERRUPTED:
        app.output.flush()
        failed = "the deploy is complete" if code == EXIT_OK else "the deploy had failed before"
        run_after_deploy(project, report_json(report, observation), failed=failed)
    return code


def _of_saved_plan(app: App, options: DeployOptions, path: Path) -> DeployOptions:
    """Return the options of a deploy of a saved plan, which specifies its target and its parts."""
    plan = saved.load(app.directory / path)
    saved.require_target(plan, app.settings.target or plan.target)
    app.settings.target = plan.target
    return replace(options, saved=plan, only=plan.only)


def _of_unfinished(app: App, options: DeployOptions) -> DeployOptions:
    """Return the options that finish the last deploy, whose journal specifies its parts."""
    project = app.project()
    record = unfinished(project.root, project.target.name, app.client().identity)
    app.output.talk(("resuming ", "title"), f"the {record.described(app.clock.now())}")
    policy = None if record.watch is None else record.watch.policy
    return replace(options, resume=record, only=record.only, watch=policy)


def _gate_verdicts(app: App, gates: Sequence[str], plan: Plan) -> tuple[GateVerdict, ...]:
    """Run the gates, print their verdicts, and return them."""
    verdicts = try_gates(app, gates, plan)
    if not app.settings.json:
        app.output.lines(verdict_lines([verdict for verdict in verdicts if not (verdict.ok and app.settings.quiet)]))
    elif any(not verdict.ok for verdict in verdicts):
        app.output.document(refused_json(plan, verdicts))
    return verdicts


def _agreed(app: App, plan: Plan, *, yes: bool) -> bool:
    """Ask whether to deploy a plan to a protected target. Raises NeedsYes."""
    question, hint = f"Deploy this to {plan.target.name}?", "rerun with --yes to deploy to it"
    return app.output.confirmed_for(plan.target, question, yes=yes, shown=plan_lines(plan), hint=hint)
