"""`ckfunc undo`: bring back what was before the last deploy."""

from __future__ import annotations

from pathlib import Path

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import FILE, common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc undo                         shows what changes, and asks
  ckfunc undo --dry-run               shows it, and writes nothing
  ckfunc undo --target production --yes
  ckfunc undo --env-file old.env      with the values that variables had"""
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Show what would change; write nothing.")
@click.option("--env-file", type=FILE, metavar="FILE", help="NAME=value lines: what changed variables were before.")
@click.option("--keep-environment", is_flag=True, help="Leave the variables as they are now.")
@common_options
@pass_app
def undo(app: App, yes: bool, dry_run: bool, env_file: Path | None, keep_environment: bool) -> int:
    """Bring back what the application was before the last deploy from this checkout, finished or not.

    Functions get their former scripts again, as new versions; dependencies and init script are put back. Values of
    variables are kept nowhere: those that the deploy changed must be supplied. A function that the deploy created
    stays, as the API cannot remove it. Refused when someone has deployed since. To take back an undo,
    undo again; one that was cut off or failed in part goes on.
    """
    from ckfunc.cli.undoing import undo_deploy

    return undo_deploy(app, yes=yes, dry_run=dry_run, env_file=env_file, keep_environment=keep_environment)
