"""`ckfunc logout`: remove a target's credentials from the system's keyring."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc logout --target production
  ckfunc logout --application 42"""
)
@click.option("--application", metavar="ID", help="Of this application, by id or key, instead of a target's.")
@common_options
@pass_app
def logout(app: App, application: str | None) -> None:
    """Remove the credentials of the target from the system's keyring."""
    from ckfunc.cli.identity import log_out

    log_out(app, application=application)
