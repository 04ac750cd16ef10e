"""`ckfunc whoami`: which application the target's credentials belong to."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc whoami
  ckfunc whoami --target production --json"""
)
@common_options
@pass_app
def whoami(app: App) -> None:
    """Ask the platform which application the target's credentials belong to, and tell where they come from."""
    from ckfunc.cli.identity import who_am_i

    who_am_i(app)
