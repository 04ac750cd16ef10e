"""`ckfunc rollback`: deploy an older script again."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc rollback user.sent.message              to the newest version with another script; asks first
  ckfunc rollback user.sent.message --to 3
  ckfunc rollback user.sent.message --to 3 --yes"""
)
@click.argument("trigger_type", metavar="TYPE", shell_complete=complete_types)
@click.option("--to", type=click.IntRange(1), metavar="N", help="The version whose script is deployed again.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@common_options
@pass_app
def rollback(app: App, trigger_type: str, to: int | None, yes: bool) -> int:
    """Deploy the script of an older version of TYPE again, as a new version, and read it back.

    The difference is shown first. Packages, environment and init script stay as they are, and so does the working copy.
    Exits 1 when it is declined, or when somebody else deployed meanwhile.
    """
    from ckfunc.cli.history import roll_function_back

    return roll_function_back(app, trigger_type, to=to, yes=yes)
