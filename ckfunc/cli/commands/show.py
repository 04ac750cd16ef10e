"""`ckfunc show`: the script of a deployed version."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc show user.sent.message             what is deployed
  ckfunc show user.sent.message@3           version 3
  ckfunc show user.sent.message@3 > old.ts"""
)
@click.argument("version", metavar="TYPE[@N]", shell_complete=complete_types)
@common_options
@pass_app
def show(app: App, version: str) -> None:
    """Print the script of the deployed version of TYPE, or of version N."""
    from ckfunc.cli.history import show_script

    show_script(app, version)
