"""Gates, plans and reports as commands that deploy print them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ckfunc.cli.app import App
from ckfunc.cli.output import Output
from ckfunc.deploy.apply.report import DeployReport
from ckfunc.deploy.gates import GateOutcome, GateRunner, GateVerdict, parse_gates, run_gates
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.show.documents import plan_json, plan_markdown, report_json, verdicts_markdown
from ckfunc.deploy.show.text import plan_lines, report_lines, verdict_lines


def gates_of(app: App, text: str) -> tuple[str, ...]:
    """Return the gates that `--gate` names. Raises UsageProblem and InvalidManifest."""
    return parse_gates(text, lambda: app.workspace.sources().gates)


def try_gates(app: App, gates: Sequence[str], plan: Plan) -> tuple[GateVerdict, ...]:
    """Run the gates and return their verdicts; prints nothing but progress."""

    # Imported when a gate runs: most deploys have none, and tests and replays bring an emulator along.
    def check(*_: object) -> GateOutcome:
        return app.check().gate_outcome

    def test(*_: object) -> GateOutcome:
        from ckfunc.testing.running import CaseOptions, run_tests

        project = app.tested_project(app.settings.target)
        tested = run_tests(project, app.toolchain(), CaseOptions(allow_only=not app.environ.get("CI")))
        return tested.gate_outcome

    def replay(types: Collection[str], number: int) -> GateOutcome:
        from ckfunc.replay.target import USUAL_COUNT, replay_functions

        replayed = replay_functions(
            app.client(),
            app.project(),
            app.toolchain(),
            now=app.clock.now(),
            secrets=app.secrets,
            types=types,
            last=number or USUAL_COUNT,
        )
        return replayed.gate_outcome

    runners: dict[str, GateRunner] = {"check": check, "test": test, "replay": replay}
    return run_gates(gates, plan, runners, app.clock, app.output.detail, app.output.progress)


def print_plan(
    output: Output, plan: Plan, *, markdown: bool = False, verdicts: Sequence[GateVerdict] | None = None
) -> None:
    """Print a plan and the verdicts of the gates: as JSON with --json, as a comment with `markdown`, else as text."""
    if markdown:
        output.text(plan_markdown(plan, verdict=verdicts_markdown(verdicts or ())))
    else:
        output.result(plan_json(plan, verdicts), [*plan_lines(plan), *verdict_lines(verdicts or ())])


def print_report(output: Output, report: DeployReport, *, undone: str | None = None) -> None:
    """Print the result of a deploy. With --quiet, print only failures. `undone` is what an undo reverted."""
    quiet = output.settings.quiet
    lines = report_lines(report, width=output.width(), only_failures=quiet, undone=undone)
    output.result(report_json(report), () if (quiet and report.ok) or report.declined else lines)
