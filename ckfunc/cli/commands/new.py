"""`ckfunc new`: add a handler and its manifest entry."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_known_types
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc new user.sent.message
  ckfunc new user.received.notification --force"""
)
@click.argument("trigger_type", metavar="TYPE", shell_complete=complete_known_types)
@click.option("--force", is_flag=True, help="Overwrite the handler file if it exists.")
@common_options
@pass_app
def new(app: App, trigger_type: str, force: bool) -> None:
    """Add a handler for TYPE: handlers/….ts and its entry in functions.yaml, whose comments and formatting stay.

    A TYPE that ckfunc does not know gets a warning, as in the manifest.
    """
    from ckfunc.cli.scaffolding import new_function

    new_function(app, trigger_type, force=force)
