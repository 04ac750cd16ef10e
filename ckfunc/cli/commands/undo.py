"""`ckfunc undo`: revert the last deploy."""

from __future__ import annotations

from pathlib import Path

from ckfunc.base.errors import EXIT_OK
from ckfunc.cli.app import App
from ckfunc.cli.options import FILE, command, flag, option, yes_option
from ckfunc.cli.plans import print_plan, print_report
from ckfunc.deploy.apply.recovery import prepare_undo, read_former_values
from ckfunc.deploy.apply.report import Ending, nothing_done
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.run import carry_out_undo
from ckfunc.deploy.show.text import plan_lines


@command
@yes_option()
@flag("--dry-run", "Show the changes; write nothing.")
@option("--env-file", "FILE", "Former values of changed variables, as NAME=value lines.", FILE)
@flag("--keep-environment", "Leave the variables as they are.")
def undo(app: App, yes: bool, dry_run: bool, env_file: Path | None, keep_environment: bool) -> int:
    """Revert the last deploy from this checkout, whether it finished or not.

    Functions get their former scripts again, as new versions; dependencies, init script and settings are restored.
    Values of variables are not stored, except literals of functions.yaml: you must supply the others that the deploy
    changed. A function that the deploy created stays, because the API cannot remove it. Refused if someone has
    deployed since. To revert an undo, run it again; an undo that was interrupted or failed in part is continued.
    """
    root, target, client = app.root(), app.target(), app.client()
    with app.output.progress("comparing"):
        supplied = {} if env_file is None else read_former_values(app.directory, env_file)
        prepared = prepare_undo(
            root, target, client, VersionCache(root), supplied=supplied, keep_environment=keep_environment
        )
    plan, undone = prepared.plan, f"the {prepared.record.described(app.clock.now())}"
    app.output.warn(*prepared.notes)
    if plan.is_empty:
        text = f"Nothing to revert on {target.name}: it is as it was before {undone}."
        document = nothing_done(plan, Ending.COMPLETE, "").to_json()
        app.output.result(document, [] if app.settings.quiet else [(text,)])
        return EXIT_OK
    if dry_run:
        print_plan(app.output, plan)
        app.output.talk(("dry run: ", "title"), "nothing was written")
        return EXIT_OK
    question = f"Revert {undone} on {target.name}?"
    cancelled = f"Nothing was reverted on {target.name}."
    if app.output.confirmed(question, yes=yes, shown=plan_lines(plan), cancelled=cancelled):
        with app.output.progress("undoing"):
            report = carry_out_undo(prepared, root, client, app.clock)
    else:
        report = nothing_done(plan, Ending.DECLINED, "not attempted: declined")
    print_report(app.output, report, undone=undone)
    return report.exit_code
