"""`ckfunc watch`: deploy what changes, while logs stream."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc watch                        deploy on save, to the default target
  ckfunc watch --no-logs              without the invocations
  ckfunc watch --target production    a protected target asks once, before it starts"""
)
@click.option("--no-logs", is_flag=True, help="Do not stream the invocations of the project's functions.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before watching a protected target.")
@click.option("--allow-removals", is_flag=True, help="Remove packages and variables that functions.yaml lacks.")
@common_options
@pass_app
def watch(app: App, no_logs: bool, yes: bool, allow_removals: bool) -> int:
    """Deploy what changes on disk, as soon as it changes, until Ctrl-C; invocations stream in between.

    A manifest or handler that does not hold together is reported and not deployed; what was deployed last stays.
    A protected target needs one confirmation, which covers every deploy of the watch.
    """
    from ckfunc.cli.watching import watch_project

    return watch_project(app, logs=not no_logs, yes=yes, allow_removals=allow_removals)
