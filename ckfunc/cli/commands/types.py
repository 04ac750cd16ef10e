"""`ckfunc types`: write the type stubs and the manifest's schema."""

from __future__ import annotations

import click

from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    epilog="""\b
Examples:
  ckfunc types                        after cloning a project, or after an upgrade of ckfunc"""
)
@common_options
@pass_app
def types(app: App) -> None:
    """Write the .d.ts stubs and the JSON schema of functions.yaml, which editors read."""
    from ckfunc.cli.scaffolding import write_types

    write_types(app)
