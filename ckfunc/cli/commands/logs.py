"""`ckfunc logs`: list or follow invocations."""

from __future__ import annotations

import click

from ckfunc.cli.completing import complete_types
from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc logs                                  the newest invocations of every function
  ckfunc logs user.sent.message -n 100         of one, more of them
  ckfunc logs -f                               follow until Ctrl-C
  ckfunc logs --since 10m --status FAILED      what failed lately
  ckfunc logs --json | jq .result              one object per line"""
)
@click.argument("trigger_types", metavar="[TYPE]...", nargs=-1, shell_complete=complete_types)
@click.option("-f", "--follow", is_flag=True, help="Wait for more until Ctrl-C.")
@click.option("-n", "--lines", "limit", type=click.IntRange(0), default=None, metavar="N", help="At most N old ones.")
@click.option("--since", metavar="WHEN", help="Not older than this: 10m, 2h, 1d, or an ISO time.")
@click.option(
    "--status",
    type=click.Choice(["RUNNING", "SUCCEEDED", "FAILED"], case_sensitive=False),
    help="Only these.",
)
@click.option("--version", "version", type=click.IntRange(1), metavar="NUMBER", help="Only runs of this version.")
@common_options
@pass_app
def logs(
    app: App,
    trigger_types: tuple[str, ...],
    follow: bool,
    limit: int | None,
    since: str | None,
    status: str | None,
    version: int | None,
) -> None:
    """List the invocations of the functions of TYPE (default: all), oldest first; with -f, follow them.

    An invocation that is still running is printed again when it ends. Against the emulator, console output is shown
    under its invocation.
    """
    from ckfunc.cli.invocations import show_logs

    show_logs(app, trigger_types, follow=follow, limit=limit, since=since, status=status, version=version)
