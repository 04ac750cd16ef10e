"""`ckfunc versions`: what a function was before."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc versions user.sent.message              the newest first
  ckfunc versions user.sent.message --blame      with the commit that each came from
  ckfunc versions user.sent.message -n 100 --json"""
)
@click.argument("trigger_type", metavar="TYPE", shell_complete=complete_types)
@click.option("-n", "limit", type=click.IntRange(1), default=20, show_default=True, metavar="N", help="At most N.")
@click.option("--blame", "blamed", is_flag=True, help="Find the commit that each came from, by content, with git.")
@common_options
@pass_app
def versions(app: App, trigger_type: str, limit: int, blamed: bool) -> None:
    """List the versions of the function of TYPE: number, time, digest of the script, and which one is deployed.

    The time is that of the deploy when it was made from this checkout; `by` stands before the time of the first known
    invocation of another one. `as here` marks those whose script is that of the working copy.
    """
    from ckfunc.cli.history import show_versions

    show_versions(app, trigger_type, limit=limit, blamed=blamed)
