"""`ckfunc help`: show the help of ckfunc or of one command."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.base.text import nearest
from ckfunc.cli.app import App
from ckfunc.cli.main import subcommands
from ckfunc.cli.options import common_options, pass_app


def complete_commands(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the commands that begin with `incomplete`, or those of the command that was named before it."""
    found = commands_of(ctx.find_root(), ctx.params.get("names") or ())
    return [one for one in found if one.startswith(incomplete)]


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
    app.output.text(command_help(ctx.find_root(), names))


def command_help(root: click.Context, names: Sequence[str]) -> str:
    """Return the help of the command that `names` lead to. Raises UsageProblem when there is none."""
    ctx = root
    for number, name in enumerate(names):
        made = _within(ctx, name)
        if made is None:
            close = nearest(name, subcommands(ctx))
            raise UsageProblem(
                f"there is no command '{' '.join(names[: number + 1])}'",
                hint=f"did you mean `ckfunc help {' '.join((*names[:number], close))}`?"
                if close
                else f"see `{ctx.command_path} --help`",
            )
        ctx = made
    return f"{ctx.get_help()}\n"


def commands_of(root: click.Context, names: Sequence[str]) -> list[str]:
    """Return the names of the commands within the command that `names` lead to."""
    ctx: click.Context | None = root
    for name in names:
        ctx = _within(ctx, name) if ctx is not None else None
    return subcommands(ctx) if ctx is not None else []


def _within(ctx: click.Context, name: str) -> click.Context | None:
    """Return the context of a subcommand; `test` has one too, although it is no group."""
    if isinstance(ctx.command, click.Group):
        command = ctx.command.get_command(ctx, name)
        return None if command is None else click.Context(command, parent=ctx, info_name=name)
    command = getattr(ctx.command, "commands", {}).get(name)
    return None if command is None else click.Context(command, parent=ctx.parent, info_name=f"{ctx.info_name} {name}")
