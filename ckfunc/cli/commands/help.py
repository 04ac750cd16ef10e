"""`ckfunc help`: the help of ckfunc or of one command."""

from __future__ import annotations

import click

from ckfunc.cli.completing import complete_commands
from ckfunc.cli.context import App
from ckfunc.cli.options import common_options, pass_app


@click.command(
    name="help",
    epilog="""\b
Examples:
  ckfunc help                         all commands
  ckfunc help deploy                  the same as `ckfunc deploy --help`
  ckfunc help emulator seed           a command of a command""",
)
@click.argument("names", metavar="[COMMAND]...", nargs=-1, shell_complete=complete_commands)
@common_options
@pass_app
@click.pass_context
def help(ctx: click.Context, app: App, names: tuple[str, ...]) -> None:  # noqa: A001 - the command's name
    """Show the help of a command, or list all commands."""
    from ckfunc.cli.usage import command_help

    app.output.text(command_help(ctx.find_root(), names))
