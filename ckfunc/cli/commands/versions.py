"""`ckfunc versions` and `show`: a function's versions, and their scripts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import argument, command, flag, integer, option, type_argument
from ckfunc.cli.plans import local_script
from ckfunc.deploy.apply.journal import deployed_at
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import function_of, handler_of, reference, version_of, versions_of
from ckfunc.deploy.resources import newlines
from ckfunc.deploy.show.versions import VersionTable, version_json

if TYPE_CHECKING:
    from ckfunc.deploy.blame import Commit
    from ckfunc.model.application import FunctionVersion
    from ckfunc.model.outputs import ScriptJson
    from ckfunc.model.project import Script


@command("""
  ckfunc versions user.sent.message              newest first
  ckfunc versions user.sent.message --blame      with commits
  ckfunc versions user.sent.message -n 100 --json
""")
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
    here = handler_of(app.scripts(), trigger_type) if blamed else local_script(app, trigger_type)
    local = newlines(here.text) if here else None
    commits = _commits(app, here, listed) if blamed else {}
    noted = deployed_at(root, app.target().name, trigger_type)
    table = VersionTable(function, listed, local, commits if blamed else None, noted)
    seen: Mapping[int, datetime] = {}
    if not (app.settings.json or table.has_every_time):
        from ckfunc.logs.finding import first_seen  # brings the HTTP client, which --help can do without

        seen = first_seen(client, function)
    never = (f"{printable(trigger_type)} was never deployed", "muted")
    older = (f"older versions are not shown: use -n {limit * 5}", "muted")
    has_older = len(listed) == limit and listed[-1].version_number > 1
    app.output.result(table.to_json(), table.lines(seen), [never], summary=[[older]] if has_older else ())


def _commits(app: App, here: Script | None, found: list[FunctionVersion]) -> dict[int, Commit]:
    """Return the commit that each version came from, by number."""
    if here is None:
        app.output.warn("functions.yaml has no handler for this type, so its git history cannot be read")
        return {}
    from ckfunc.deploy.blame import blame_versions  # brings the bundler and YAML, which only --blame needs

    with app.output.progress("reading the history of the handler"):
        commits, warnings = blame_versions(app.root(), here, found, app.workspace.bundler())
    app.output.warn(*warnings)
    return commits


@command("""
  ckfunc show user.sent.message             the deployed version
  ckfunc show user.sent.message@3           version 3
  ckfunc show user.sent.message@3 > old.ts
""")
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
