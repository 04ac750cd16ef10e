"""`ckfunc versions`, `show` and `rollback`: a function's versions, and their scripts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, CkfuncError, UsageProblem
from ckfunc.base.text import newlines, printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import argument, command, flag, integer, option, type_argument, yes_option
from ckfunc.deploy import run
from ckfunc.deploy.apply.journal import deployed_at
from ckfunc.deploy.apply.report import WRONG
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import function_of, handler_of, reference, same_script, version_of, versions_of
from ckfunc.deploy.show.versions import VersionTable, rollback_lines, version_json
from ckfunc.logs.finding import first_seen

if TYPE_CHECKING:
    from ckfunc.deploy.blame import Commit
    from ckfunc.model.application import FunctionVersion
    from ckfunc.model.outputs import RollbackJson, ScriptJson
    from ckfunc.model.project import Script


@command
@type_argument
@option("-n", "N", "List at most N.", integer(1), dest="limit", default=20)
@flag("--blame", "Find the git commit of each version, by content.", dest="blamed")
def versions(app: App, trigger_type: str, limit: int, blamed: bool) -> None:
    """List the versions of the function of TYPE: number, time, digest of the script, and state.

    The time is the time of the deploy if it was made from this checkout; otherwise `by` precedes the time of the first
    known invocation. `local` marks versions with the script of the working copy.
    """
    root, client = app.root(), app.client()
    function = function_of(client, trigger_type)
    listed = list(islice(versions_of(client, function, VersionCache(root)), limit))
    here = handler_of(app.scripts(), trigger_type) if blamed else _local_script(app, trigger_type)
    local = newlines(here.text) if here else None
    commits = _commits(app, here, listed) if blamed else {}
    noted = deployed_at(root, app.target().name, trigger_type)
    table = VersionTable(function, listed, local, commits if blamed else None, noted)
    seen: Mapping[int, datetime] = {}
    if not (app.settings.json or table.has_every_time):
        seen = first_seen(client, function)
    never = (f"{printable(trigger_type)} was never deployed", "muted")
    older = (f"older versions are not shown: use -n {limit * 5}", "muted")
    has_older = len(listed) == limit and listed[-1].version_number > 1
    app.output.result(table.to_json(), table.lines(seen), [never], summary=[[older]] if has_older else ())


def _local_script(app: App, trigger_type: str) -> Script | None:
    """Return the working copy of a handler; None, with a warning, when it cannot be bundled."""
    try:
        return handler_of(app.scripts(), trigger_type)
    except CkfuncError as problem:
        app.output.warn(f"the working copy is not compared: {problem.message}")
        return None


def _commits(app: App, here: Script | None, listed: list[FunctionVersion]) -> dict[int, Commit]:
    """Return the commit that each version came from, by number."""
    if here is None:
        app.output.warn("functions.yaml has no handler for this type, so its git history cannot be read")
        return {}
    from ckfunc.deploy.blame import blame_versions  # brings the bundler and YAML, which only --blame needs

    with app.output.progress("reading the history of the handler"):
        commits, warnings = blame_versions(app.root(), here, listed, app.workspace.bundler())
    app.output.warn(*warnings)
    return commits


@command
@argument("version", "TYPE[@N]", complete=complete_types)
def show(app: App, version: str) -> None:
    """Print the script of the deployed version of TYPE, or of version N."""
    version_reference = reference(version)
    client = app.client()
    function = function_of(client, version_reference.type)
    script = version_of(client, function, version_reference.number, VersionCache(app.root()))
    if app.settings.json:
        document: ScriptJson = {**version_json(function, script), "script": script.handler_script}
        app.output.document(document)
        return
    app.output.text(script.handler_script)


@command
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
    root, target, client = app.root(), app.target(), app.client()
    prepared = run.find_rollback(root, target, client, trigger_type, to)
    name, now, old = printable(trigger_type), prepared.current.version_number, prepared.target.version_number
    outcome: RollbackJson = {"target": target.name, "type": name, "from": now, "to": old, "result": "unchanged"}
    if prepared.changes_nothing:
        app.output.talk(f"No changes on {target.name}: the deployed v{now} has the script of v{old}.")
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
    document = {**outcome, "result": "updated", "version": item.new_version}
    app.output.result(document, () if app.settings.quiet else rollback_lines(prepared, target, item.new_version))
    here = _local_script(app, trigger_type)
    if here is not None and not same_script(prepared.target, here.text):
        app.output.talk(
            ("note: ", "warning"),
            f"{here.path} differs from the deployed version; your next `ckfunc deploy` will undo this rollback",
        )
    return EXIT_OK
