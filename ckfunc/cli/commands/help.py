"""`ckfunc help`: show the help of ckfunc or of one command."""

from __future__ import annotations

from collections.abc import Sequence

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.base.text import nearest
from ckfunc.cli.app import App
from ckfunc.cli.main import subcommands
from ckfunc.cli.manual import manual_page, within
from ckfunc.cli.options import common_options, pass_app


def complete_commands(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the commands that begin with `incomplete`, or those of the command that was named before it."""
    commands = commands_of(ctx.find_root(), ctx.params.get("names") or ())
    return [name for name in commands if name.startswith(incomplete)]


@click.command(
    name="help",
    epilog="""\b
Examples:
  ckfunc help                         all commands
  ckfunc help deploy                  the same as `ckfunc deploy --help`
  ckfunc help emulator seed           a subcommand
  ckfunc help --man | man -l -        the manual page
  ckfunc help deploy --schema         the JSON Schema of its --json output""",
)
@click.argument("names", metavar="[COMMAND]...", nargs=-1, shell_complete=complete_commands)
@click.option("--man", is_flag=True, help="Print the manual page, in roff.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of the command's --json output.")
@common_options
@pass_app
@click.pass_context
def help(  # noqa: A001 - the command's name
    ctx: click.Context, app: App, names: tuple[str, ...], man: bool, schema: bool
) -> None:
    """Show the help of a command, or list all commands."""
    root = ctx.find_root()
    if man and schema:
        raise UsageProblem(
            "--man and --schema can't be used together", hint="`ckfunc help --man` describes all commands"
        )
    if man and names:
        raise UsageProblem("--man can't be used with a command", hint="`ckfunc help --man` describes all commands")
    if man:
        app.output.text(manual_page(root))
    elif schema:
        _print_schema(app, named_command(root, names))
    else:
        app.output.text(f"{named_command(root, names).get_help()}\n")


def _print_schema(app: App, ctx: click.Context) -> None:
    from ckfunc.cli.schemas import command_schema, commands_with_json

    name = ctx.command_path.removeprefix("ckfunc").strip()
    schema = command_schema(name)
    if schema is None:
        below = [command for command in commands_with_json() if command.startswith(f"{name} ")]
        raise UsageProblem(
            f"`{ctx.command_path}` prints no JSON" if name else "--schema needs the name of a command",
            hint=f"run `ckfunc help {below[0] if below else 'deploy'} --schema`",
        )
    app.output.document(schema)


def named_command(root: click.Context, names: Sequence[str]) -> click.Context:
    """Return the context of the command that `names` lead to. Raises UsageProblem when there is none."""
    ctx = root
    for number, name in enumerate(names):
        made = within(ctx, name)
        if made is None:
            close = nearest(name, subcommands(ctx))
            raise UsageProblem(
                f"there is no command '{' '.join(names[: number + 1])}'",
                hint=f"did you mean `ckfunc help {' '.join((*names[:number], close))}`?"
                if close
                else f"see `{ctx.command_path} --help`",
            )
        ctx = made
    return ctx


def commands_of(root: click.Context, names: Sequence[str]) -> list[str]:
    """Return the names of the commands within the command that `names` lead to."""
    ctx: click.Context | None = root
    for name in names:
        ctx = within(ctx, name) if ctx is not None else None
    return subcommands(ctx) if ctx is not None else []
