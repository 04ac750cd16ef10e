"""`ckfunc check`: whether manifest and code hold together."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.completion import complete_types
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc check                        manifest, syntax and types
  ckfunc check user.sent.message      one function and what it imports
  ckfunc check --watch                again after every save
  ckfunc check --json                 a list of {path, line, column, code, message}"""
)
@click.argument("types", metavar="[TYPE]...", nargs=-1, shell_complete=complete_types)
@click.option("-w", "--watch", is_flag=True, help="Check again whenever a file changes, until Ctrl-C.")
@common_options
@pass_app
def check(app: App, types: tuple[str, ...], watch: bool) -> int:
    """Check the manifest, the syntax of every script, and its types with the TypeScript compiler.

    The project's tsconfig.json decides how strictly. Needs no credentials, no values of variables, and no network once
    the compiler is in the cache. Exits 1 when there are errors.
    """
    from ckfunc.cli.verdicts import run_check, watch_checks

    return watch_checks(app, types) if watch else run_check(app, types)
