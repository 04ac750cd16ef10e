"""`ckfunc api`: any request to the Platform API."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_data
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc api GET /v1/users --paginate
  ckfunc api POST /v1/channels --data '{"type": "PUBLIC", "name": "lobby"}'
  ckfunc api PATCH /v1/users/7 --data @user.json
  ckfunc api DELETE /v1/users/7"""
)
@click.argument("method", type=click.Choice(["GET", "POST", "PUT", "PATCH", "DELETE"], case_sensitive=False))
@click.argument("path", metavar="PATH")
@click.option(
    "--data", metavar="JSON", shell_complete=complete_data, help="The body: JSON, @FILE, or - for standard input."
)
@click.option("--paginate", is_flag=True, help="Read every page of a list, as one JSON array.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a write to a protected target.")
@common_options
@pass_app
def api(app: App, method: str, path: str, data: str | None, paginate: bool, yes: bool) -> int:
    """Send a request to the Platform API with the target's credentials, and print the JSON of the answer.

    PATH is the part after the host, with its query. Values of environment variables are masked. Every
    method but GET asks first on a protected target. Exits 1 when the platform refuses.
    """
    from ckfunc.cli.calling import call

    return call(app, method.upper(), path, data=data, paginate=paginate, yes=yes)
