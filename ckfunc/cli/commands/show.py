"""`ckfunc show`: the script of a deployed version."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.history import function_of, reference, version_of
from ckfunc.deploy.show.versions import version_json

if TYPE_CHECKING:
    from ckfunc.model.outputs import ScriptJson


@click.command(
    epilog="""\b
Examples:
  ckfunc show user.sent.message             the deployed version
  ckfunc show user.sent.message@3           version 3
  ckfunc show user.sent.message@3 > old.ts"""
)
@click.argument("version", metavar="TYPE[@N]", shell_complete=complete_types)
@common_options
@pass_app
def show(app: App, version: str) -> None:
    """Print the script of the deployed version of TYPE, or of version N."""
    version_reference = reference(version)
    client = app.client()
    function = function_of(client, version_reference.type)
    script = version_of(client, function, version_reference.number, VersionCache(app.root()))
    if app.output.json:
        document: ScriptJson = {**version_json(function, script), "script": script.handler_script}
        app.output.document(document)
        return
    app.output.text(script.handler_script)
