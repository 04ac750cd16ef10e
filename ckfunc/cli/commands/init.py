"""`ckfunc init`: start a project."""

from __future__ import annotations

from pathlib import Path

import click

from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc init                         in this directory
  ckfunc init support-chat            in a new one"""
)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
@common_options
@pass_app
def init(app: App, directory: Path | None, force: bool) -> None:
    """Start a project in DIR (default: here): manifest, first handler, types and editor settings.

    A file that exists is never overwritten without --force.
    """
    from ckfunc.cli.scaffolding import init_project

    init_project(app, app.directory / directory if directory else app.directory, force=force)
