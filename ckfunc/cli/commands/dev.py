"""`ckfunc dev`: emulator, watch and logs in one terminal."""

from __future__ import annotations

from pathlib import Path

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import FILE, common_options, keep_invocations_option, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc dev                          save a handler, and see what its next run does
  ckfunc dev --port 0                 the emulator on any free port
  ckfunc dev --seed people.yaml       with these users, channels and messages
  ckfunc dev --json | jq              deploys and invocations as data"""
)
@click.option(
    "--port", default=4310, show_default=True, type=click.IntRange(0, 65535), metavar="PORT", help="0 takes a free one."
)
@click.option("--seed", type=FILE, metavar="FILE", help="Add what this file holds, unless it is there.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, even if the emulator target is protected.")
@keep_invocations_option
@common_options
@pass_app
def dev(app: App, port: int, seed: Path | None, yes: bool, keep_invocations: int) -> int:
    """Run the local platform, deploy to it on every save, and show every invocation, until q or Ctrl-C.

    On a terminal, the last line is the status: r fires the last event again (a sample if there was none), t chooses a
    recent event or a sample, c clears the screen, ? lists the keys, q quits. Elsewhere everything is plain lines; the
    first on stdout is `ready http://ADDRESS:PORT`.
    An emulator of the project that runs already is used as it is.
    """
    from ckfunc.cli.developing import develop

    return develop(app, port, seed, yes=yes, keep_invocations=keep_invocations)
