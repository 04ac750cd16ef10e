"""`ckfunc logs`: list or follow invocations."""

from __future__ import annotations

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc logs                                  the newest invocations of every function
  ckfunc logs user.sent.message -n 100         of one, more of them
  ckfunc logs 4711                             all of one invocation: event, result, console, calls
  ckfunc logs -f                               follow until Ctrl-C
  ckfunc logs --since yesterday --until today  what ran yesterday
  ckfunc logs --since 10m --status FAILED      what failed lately
  ckfunc logs --json | jq .result              one object per line"""
)
@click.argument("names", metavar="[TYPE | ID]...", nargs=-1, shell_complete=complete_types)
@click.option("-f", "--follow", is_flag=True, help="Wait for more until Ctrl-C.")
@click.option(
    "-n",
    "--lines",
    "limit",
    type=click.IntRange(0),
    default=None,
    metavar="N",
    help="At most N old ones (default: 25, or all with --since).",
)
@click.option("--since", metavar="WHEN", help="Not older than this: 10m, 2h, 1d, today, yesterday, or an ISO time.")
@click.option("--until", metavar="WHEN", help="Not newer than this; as --since.")
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
    names: tuple[str, ...],
    follow: bool,
    limit: int | None,
    since: str | None,
    until: str | None,
    status: str | None,
    version: int | None,
) -> None:
    """List the invocations of the functions of TYPE (default: all), oldest first; with -f, follow them.

    Each line begins with its time and the ID of the invocation in brackets. With IDs instead of TYPEs, print these
    invocations with nothing left out. An invocation that is still running is printed again when it ends. Against the
    emulator, console output is shown under its invocation.
    """
    from ckfunc.cli.invocations import show_invocations, show_logs

    if names and all(one.isdecimal() for one in names):
        if follow or any(one is not None for one in (limit, since, until, status, version)):
            raise UsageProblem("the options of lists do not apply to an ID", hint=f"ckfunc logs {names[0]}")
        show_invocations(app, [int(one) for one in names])
        return
    if follow and until is not None:
        raise UsageProblem("--follow and --until can't be used together", hint="ckfunc logs --since 1d --until 1h")
    show_logs(app, names, follow=follow, limit=limit, since=since, until=until, status=status, version=version)
