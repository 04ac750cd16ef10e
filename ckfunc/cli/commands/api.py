"""`ckfunc api`: send any request to the Platform API."""

from __future__ import annotations

import click

from ckfunc.api import Client, connection_from_environment
from ckfunc.api.requests import checked_path, pages, send
from ckfunc.base.documents import read_data
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, NoProject, UsageProblem
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_data
from ckfunc.cli.options import argument, command, flag, option, yes_option


@command
@argument("method", kind=click.Choice(["GET", "POST", "PUT", "PATCH", "DELETE"], case_sensitive=False))
@argument("path", "PATH")
@option("--data", "JSON", "The body: JSON, @FILE, or - for standard input.", complete=complete_data)
@flag("--paginate", "Fetch all pages of a list, as one JSON array.")
@yes_option("Do not ask for confirmation before a write to a protected target.")
def api(app: App, method: str, path: str, data: str | None, paginate: bool, yes: bool) -> int:
    """Send a request to the Platform API with the target's credentials, and print the JSON response.

    PATH is the part after the host, including the query. Values of environment variables are masked. On a protected
    target, every method but GET asks for confirmation. Exits 1 if the platform returns an error.
    """
    method = method.upper()
    path = checked_path(path)
    if paginate and (method != "GET" or data is not None):
        raise UsageProblem("--paginate only works with GET", hint="for example, `ckfunc api GET /v1/users --paginate`")
    body = None if data is None else read_data(data, app.directory, "body", '{"name": "jane"}')
    if method != "GET":
        _, target = app.place()
        question, hint = f"Send {method} {path} to {target.name}?", "rerun with --yes to send the request"
        if not app.output.confirmed_for(target, question, yes=yes, hint=hint, cancelled="Nothing was sent."):
            return EXIT_FAILED
    client = _client(app)
    if paginate:
        with app.output.progress("reading pages"):
            items = list(pages(client, path))
        app.output.document(items)
    elif isinstance(answer := send(client, method, path, body), str):
        app.output.text(printable(answer))
    elif answer is not None:
        app.output.document(answer)
    return EXIT_OK


def _client(app: App) -> Client:
    """Return a client of the target; outside of a project, of the application that the environment names."""
    try:
        return app.connect(app.connection(app.target()))
    except NoProject:
        if app.settings.target is not None:
            raise
        return app.connect(connection_from_environment(app.environ))
