"""How the last deploy is taken back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ckfunc.base.errors import EXIT_OK, InvalidFiles, UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.asking import confirmed
from ckfunc.cli.deploying import show_plan, show_report


def undo_deploy(app: App, *, yes: bool, dry_run: bool, env_file: Path | None, keep_environment: bool) -> int:
    """Bring back what was before the last deploy, after showing what that changes; return the exit code."""
    from ckfunc.deploy import run
    from ckfunc.deploy.apply import journal, undo
    from ckfunc.deploy.apply.report import Ending, nothing_done
    from ckfunc.deploy.cache import VersionCache
    from ckfunc.deploy.plan.plan import make
    from ckfunc.deploy.plan.snapshot import guard, overview, with_versions
    from ckfunc.deploy.show.text import plan_lines

    root, target, client = app.root(), app.target(), app.client()
    cache = VersionCache(root)
    with app.output.progress("comparing"):
        seen = overview(client)
        guard(target, seen, client, cache)
        record, begun = journal.to_undo(root, target.name, client.identity)
        if record is None:
            raise undo.NothingToUndo(
                f"no deploy to this application as {target.name} is known in this checkout",
                hint="`ckfunc rollback TYPE` brings back an older version of one function"
                + ("; an emulator whose data was reset or imported is another application" if target.emulator else ""),
            )
        former = undo.former(
            record,
            root,
            target,
            seen,
            client,
            cache,
            supplied=_supplied(app, env_file),
            keep_environment=keep_environment,
        )
        types = [one.type for one in former.project.functions or ()]
        # What the deploy did not touch is not unmanaged: it is none of this command's business.
        plan = replace(make(former.project, with_versions(seen, types, client, cache), former.literals), unmanaged=())
    for note in former.notes:
        app.output.warn(note)
    undone = f"the {record.described(app.clock.now())}"
    if plan.is_empty and not app.output.json:
        if not app.output.quiet:
            app.output.line(f"Nothing to revert on {target.name}: it is as it was before {undone}.")
        return EXIT_OK
    if plan.is_empty:
        show_report(app.output, nothing_done(plan, Ending.COMPLETE, ""))
        return EXIT_OK
    if dry_run:
        show_plan(app.output, plan)
        app.output.talk(("dry run: ", "title"), "nothing was written")
        return EXIT_OK
    question = f"Bring back what {target.name} was before {undone}?"
    cancelled = f"Nothing was reverted on {target.name}."
    if not yes and not confirmed(app, question, shown=plan_lines(plan), cancelled=cancelled):
        report = nothing_done(plan, Ending.DECLINED, "not attempted: declined")
    else:
        with app.output.progress("undoing"):
            means = run.Means(root, cache, clock=app.clock, command="undo", undoes=record)
            report = run.carry_out(plan, client, means, begun)
    show_report(app.output, report, undone=undone)
    return report.exit_code


def _supplied(app: App, env_file: Path | None) -> dict[str, str]:
    """Return the values in a file of NAME=value lines. Raises UsageProblem and InvalidFiles."""
    from ckfunc.manifest.variables import read_env_file

    if env_file is None:
        return {}
    path = app.directory / env_file
    if not path.exists():
        raise UsageProblem(f"there is no file {env_file}", hint="--env-file takes a file of NAME=value lines")
    values, problems = read_env_file(path)
    if problems:
        raise InvalidFiles("the former values cannot be read", problems, hint="nothing was written")
    return values
