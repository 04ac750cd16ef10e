"""`ckfunc init`: start a project."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc init                         in this directory
  ckfunc init support-chat            in a new one
  ckfunc init --ci github             in a project: add a workflow that checks, plans, deploys and reports drift
  ckfunc init --ci gitlab --branch release
                                      a pipeline that deploys another branch than the default one"""
)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--ci", type=click.Choice(["github", "gitlab"]), help="Add a CI pipeline (only that, in an existing project)."
)
@click.option(
    "--branch", metavar="NAME", help="With --ci: the branch to deploy (default: the repository's default branch)."
)
@click.option("--install", metavar="SPEC", help="With --ci: what pip installs (default: where this ckfunc comes from).")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@common_options
@pass_app
def init(
    app: App, directory: Path | None, ci: str | None, branch: str | None, install: str | None, force: bool
) -> None:
    """Start a project in DIR (default: here): manifest, first handler, types and editor settings.

    A file that exists is never overwritten without --force. A pipeline (--ci) checks and tests every change, shows the
    plan as a comment on pull requests, deploys the default branch to --target (default: production) with a plan that
    can be approved first, and reports drift every night.
    """
    if not ci and (branch or install):
        raise UsageProblem("--branch and --install need --ci", hint="ckfunc init --ci github --branch release")
    from ckfunc.cli.scaffolding import init_project

    where = Path(os.path.normpath(app.directory / directory)) if directory else app.directory
    init_project(app, where, ci=ci, branch=branch, install=install, force=force)
