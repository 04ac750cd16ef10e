"""`ckfunc replay`: whether the working copy does what is deployed, on what really happened."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc replay user.sent.message                     the newest 50 invocations
  ckfunc replay user.sent.message --since 1d          all of a day
  ckfunc replay user.sent.message --failed --last 10  the newest that failed
  ckfunc replay user.sent.message --exit-code         3 when anything differs: for CI"""
)
@click.argument("trigger_type", metavar="TYPE", shell_complete=complete_types)
@click.option("--last", type=click.IntRange(1), default=None, metavar="N", help="The newest N (default: 50).")
@click.option("--since", metavar="WHEN", help="Not older than this: 10m, 2h, 1d, yesterday, or an ISO time.")
@click.option("--failed", is_flag=True, help="Only those that failed.")
@click.option("--exit-code", is_flag=True, help="Exit with 3 when anything differs.")
@click.option("--jobs", type=click.IntRange(1, 64), default=None, metavar="N", help="Run N of them side by side.")
@click.option("--network", is_flag=True, help="Let handlers reach other servers: what they ask is really done.")
@common_options
@pass_app
def replay(
    app: App,
    trigger_type: str,
    last: int | None,
    since: str | None,
    failed: bool,
    exit_code: bool,
    jobs: int | None,
    network: bool,
) -> int:
    """Run recorded invocations of TYPE again, by the deployed version and by the working copy, and compare.

    The target is only read. Both run here, at the time that was recorded, with the same chances and from the same
    data: the users, channels and messages that the events mention. What differs from run to run anyway is no
    difference. Handlers reach no server but the sandbox.
    """
    from ckfunc.cli.replaying import chosen, show_replay

    what = chosen(app, last=last, since=since, failed=failed)
    return show_replay(app, trigger_type, what, exit_code=exit_code, jobs=jobs, network=network)
