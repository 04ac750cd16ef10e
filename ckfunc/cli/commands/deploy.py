"""`ckfunc deploy`: make the application match the manifest."""

from __future__ import annotations

import click

from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc deploy                       to the default target
  ckfunc deploy --target production   a protected target asks first
  ckfunc deploy --target production --yes
  ckfunc deploy --json                the report as data, for scripts"""
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask, not even for a protected target.")
@common_options
@pass_app
def deploy(app: App, yes: bool) -> int:
    """Make the application match the manifest.

    Only what differs is written: dependencies and environment first, then the init script, new functions, and new
    versions. Changed scripts are checked before the first write. Exits 1 when any part failed.
    """
    from ckfunc.cli.deploying import deploy_project

    return deploy_project(app, yes=yes)
