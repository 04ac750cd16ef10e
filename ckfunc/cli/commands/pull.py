"""`ckfunc pull`: write manifest and handlers from an application that has functions already."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc pull                              in an empty directory: a project from the application
  ckfunc pull --with-values                with the environment's values, into .env
  ckfunc pull --application 42             whose login is in the keyring
  ckfunc pull --target production --yes    into this project, without asking"""
)
@click.option("--application", metavar="ID", help="For a new project: the application's id or key.")
@click.option("--with-values", is_flag=True, help="Write the environment's values to .env, for your eyes only.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before changing an existing project.")
@common_options
@pass_app
def pull(app: App, application: str | None, with_values: bool, yes: bool) -> int:
    """Make a project of an application that was made in the dashboard: manifest, handlers, init script, packages.

    Environment variables become references like ${NAME}, their names go to .env.example. In a project that exists, what
    changed in the application is shown and merged after asking; local edits are kept. Exits 1 when both changed the
    same lines, which are then marked as git does.
    """
    from ckfunc.cli.pulling import pull_project

    return pull_project(app, application=application, with_values=with_values, yes=yes)
