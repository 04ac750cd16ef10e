"""`ckfunc doctor`: whether everything that ckfunc needs is in order."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc doctor
  ckfunc doctor --target production
  ckfunc doctor --json"""
)
@common_options
@pass_app
def doctor(app: App) -> int:
    """Check versions, Node, the package cache, the project, credentials, the platform and the clock.

    Each is a line: ok, warn or fail, with a hint. Exits 1 when one fails. Nothing is deployed.
    """
    from ckfunc.cli.doctoring import examine

    return examine(app)
