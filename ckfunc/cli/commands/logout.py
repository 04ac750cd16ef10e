"""`ckfunc logout`: remove a target's credentials from the system keyring."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ckfunc.base.errors import NoProject
from ckfunc.cli.app import ANY_PROJECT, App
from ckfunc.cli.options import common_options, pass_app
from ckfunc.model.project import Target

if TYPE_CHECKING:
    from ckfunc.model.outputs import LogoutJson


@click.command(
    epilog="""\b
Examples:
  ckfunc logout --target production
  ckfunc logout --application 42"""
)
@click.option("--application", metavar="ID", help="Log out of this application (id or key) instead of a target's.")
@common_options
@pass_app
def logout(app: App, application: str | None) -> None:
    """Remove the credentials of the target from the system keyring."""
    # Not at the top of the module: `ckfunc logout --help` must not load the API client.
    from ckfunc.api.credentials import entry_names, remove_login

    root, target = app.place()
    if application is not None:
        target = Target(f"application {application}", application=application)
    elif target.name == ANY_PROJECT:
        raise NoProject("outside of a project, logout needs an application", hint="--application ID")
    removed = remove_login(entry_names(root, target, *app.variables(root, target).addresses))
    if app.output.json:
        document: LogoutJson = {"target": target.name, "removed": removed}
        app.output.document(document)
    else:
        app.output.talk(("logged out" if removed else "nobody was logged in", "muted"), f": {target.name}")
