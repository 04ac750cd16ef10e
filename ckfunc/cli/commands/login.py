"""`ckfunc login`: keep a target's credentials in the system's keyring."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc login --target production
  ckfunc login                                    outside of a project: for any project of that application
  pass chatkitty | ckfunc login --client-id ID --secret-stdin"""
)
@click.option("--client-id", metavar="ID", help="The client id; asked for without it.")
@click.option("--secret-stdin", is_flag=True, help="Read the client secret from standard input.")
@common_options
@pass_app
def login(app: App, client_id: str | None, secret_stdin: bool) -> None:
    """Ask for the client id and secret of the target, try them, and keep them in the system's keyring.

    They are never written to a file. Environment variables and .env files win over them. A login for a target that is
    bound to an application counts in every project.
    """
    from ckfunc.cli.identity import log_in

    log_in(app, client_id=client_id, from_stdin=secret_stdin)
