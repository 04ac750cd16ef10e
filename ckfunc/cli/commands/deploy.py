"""`ckfunc deploy`: make the application match the manifest."""

from __future__ import annotations

from typing import Any

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_only
from ckfunc.cli.options import FILE, common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc deploy                       to the default target
  ckfunc deploy --target production   a protected target asks first
  ckfunc deploy --target production --yes
  ckfunc deploy --only user.sent.message --only runtime
  ckfunc deploy --dry-run             every check, and no write
  ckfunc diff --out plan.json         what was looked at and agreed on ...
  ckfunc deploy --plan plan.json      ... and nothing else
  ckfunc deploy --gate check,test,replay:50
                                      nothing is written unless these pass
  ckfunc deploy --resume              after a crash: finish what was begun
  ckfunc deploy --json                the report as data, for scripts"""
)
@click.option(
    "--only",
    multiple=True,
    metavar="TYPE",
    shell_complete=complete_only,
    help="Deploy these functions alone, or `runtime`.",
)
@click.option("--plan", "saved", type=FILE, metavar="FILE", help="Carry out a plan that `ckfunc diff --out` saved.")
@click.option("--resume", is_flag=True, help="Finish the last deploy, which was cut off.")
@click.option("--dry-run", is_flag=True, help="Check and show everything; write nothing.")
@click.option(
    "--gate",
    default="manifest",
    metavar="GATES",
    help="check, test, replay:50, with commas; or none. Unless told: the manifest's.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask, not even for a protected target.")
@click.option("--allow-removals", is_flag=True, help="Remove packages and variables that functions.yaml lacks.")
@click.option("--allow-other-application", is_flag=True, help="Deploy to an application that the target does not name.")
@click.option("--allow-stale", is_flag=True, help="With --plan: deploy what is current, if the plan is stale.")
@click.option("--concurrency", "at_once", type=click.IntRange(1, 16), metavar="N", help="Requests at a time, 1 to 16.")
@common_options
@pass_app
def deploy(app: App, /, **wish: Any) -> int:
    """Make the application match the manifest.

    Only what differs is written: what is new first (dependencies, environment, init script, functions and versions),
    and what goes away last. Changed scripts are checked before the first write. A version is created exactly once,
    whatever the network does, and never over somebody else's deploy. Exits 1 when any part failed.
    """
    from ckfunc.cli.deploying import Wish, deploy_project

    return deploy_project(app, Wish(**wish))
