"""`ckfunc types`: write the type stubs and the manifest's schema."""

from __future__ import annotations

import click

from ckfunc.cli.app import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc types                        after cloning a project, or after an upgrade of ckfunc
  ckfunc types --check                say whether they are current, write nothing
  ckfunc types --no-install           offline: with the packages that are there"""
)
@click.option("--check", is_flag=True, help="Name the files that are not current; the exit code is 1 if there are any.")
@click.option("--install/--no-install", default=True, help="Fetch packages whose types are not there yet (default).")
@common_options
@pass_app
def types(app: App, check: bool, install: bool) -> int:
    """Write what editors and tsc read: .d.ts stubs, the JSON schema of functions.yaml, and links to packages.

    Packages of the runtime are linked into node_modules, from the cache that handlers run with; what is installed there
    otherwise is left alone.
    """
    from ckfunc.cli.scaffolding import check_types, write_types

    if check:
        return check_types(app)
    write_types(app, install=install)
    return 0
