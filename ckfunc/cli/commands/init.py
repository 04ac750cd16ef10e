"""`ckfunc init`: start a project."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc init                         in this directory
  ckfunc init support-chat            in a new one
  ckfunc init --ci github             in a project: a workflow that plans, deploys and looks for drift"""
)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--ci", type=click.Choice(["github", "gitlab"]), help="Write a pipeline too; in a project, it alone.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@common_options
@pass_app
def init(app: App, directory: Path | None, ci: str | None, force: bool) -> None:
    """Start a project in DIR (default: here): manifest, first handler, types and editor settings.

    A file that exists is never overwritten without --force. A pipeline (--ci) plans on pull requests, with the plan as
    a comment, deploys the main branch to --target (default: production), and looks for drift every night.
    """
    from ckfunc.cli.scaffolding import init_project

    where = Path(os.path.normpath(app.directory / directory)) if directory else app.directory
    init_project(app, where, ci=ci, force=force)
