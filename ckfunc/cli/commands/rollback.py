"""`ckfunc rollback`: deploy an older script again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.options import command, integer, option, type_argument, yes_option
from ckfunc.cli.plans import local_script
from ckfunc.deploy.apply.report import WRONG
from ckfunc.deploy.resources import newlines

if TYPE_CHECKING:
    from ckfunc.model.outputs import RollbackJson


@command("""
  ckfunc rollback user.sent.message              to the previous script
  ckfunc rollback user.sent.message --to 3
  ckfunc rollback user.sent.message --to 3 --yes
""")
@type_argument
@option("--to", "N", "The version to deploy again.", integer(1))
@yes_option()
def rollback(app: App, trigger_type: str, to: int | None, yes: bool) -> int:
    """Deploy the script of an older version of TYPE again, as a new version, and verify it.

    The differences are shown first. Packages, environment, init script and the working copy stay as they are.
    Exits 1 if you decline, or if someone else deployed in the meantime.
    """
    if "@" in trigger_type:
        raise UsageProblem(
            "rollback takes a TYPE without a version", hint="for example, `ckfunc rollback TYPE --to NUMBER`"
        )
    from ckfunc.deploy import run

    root, target, client = app.root(), app.target(), app.client()
    prepared = run.find_rollback(root, target, client, trigger_type, to)
    name, now, old = printable(trigger_type), prepared.current.version_number, prepared.target.version_number
    outcome: RollbackJson = {"target": target.name, "type": name, "from": now, "to": old, "result": "unchanged"}
    if prepared.changes_nothing:
        app.output.talk(f"v{now} and v{old} have the same script: nothing to do")
        app.output.data(outcome)
        return EXIT_OK
    question = f"Deploy v{old} again, as v{now + 1} of {name}?"
    if not app.output.reviewed(
        question, list(prepared.diff_lines()), yes=yes, cancelled=f"Nothing was deployed to {target.name}."
    ):
        app.output.data({**outcome, "result": "declined"})
        return EXIT_FAILED
    item = run.roll_back(prepared, root, target, client, app.clock)
    if item.result in WRONG:
        app.output.data({**outcome, "result": item.result.value, "note": item.note})
        raise CkfuncError(item.note or "the version was not created", hint=item.hint)
    where = f"{name}  v{now} → v{item.new_version}"
    line = (("  ~ ", "update"), where, (f"  the script of v{old}", "muted"))
    document = {**outcome, "result": "updated", "version": item.new_version}
    app.output.result(document, [] if app.settings.quiet else [line])
    here = local_script(app, trigger_type)
    if here is not None and newlines(here.text) != newlines(prepared.target.handler_script):
        app.output.talk(
            ("note: ", "warning"),
            f"{here.path} differs from the deployed version; your next `ckfunc deploy` will undo this rollback",
        )
    return EXIT_OK
