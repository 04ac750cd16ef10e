"""`ckfunc help` and `ckfunc completion`: help, manual page, and shell completions."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence

import click
from click.shell_completion import get_completion_class

from ckfunc import __version__
from ckfunc.base.errors import UsageProblem
from ckfunc.base.files import templates
from ckfunc.base.roff import CommandHelp, manual_page
from ckfunc.base.text import nearest
from ckfunc.cli.app import App
from ckfunc.cli.main import subcommands
from ckfunc.cli.options import argument, command, examples, flag, is_common
from ckfunc.model.command_outputs import command_schema

_COMPINIT = """\
if (( ! $+functions[compdef] )); then
    autoload -Uz compinit && compinit -i
fi
"""
"""Loads zsh's completion system if nothing else has loaded it."""


def complete_commands(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Return the commands that begin with `incomplete`, or those of the command that was named before it."""
    try:
        named = named_command(ctx.find_root(), ctx.params.get("names") or ())
    except UsageProblem:
        return []
    return [name for name in subcommands(named) if name.startswith(incomplete)]


@command
@argument("names", "[COMMAND]...", complete=complete_commands, nargs=-1)
@flag("--man", "Print the manual page, in roff.")
@flag("--schema", "Print the JSON Schema of the command's --json output.")
def help(app: App, names: tuple[str, ...], man: bool, schema: bool) -> None:  # noqa: A001 - the command's name
    """Show the help of a command, or list all commands."""
    root = click.get_current_context().find_root()
    if man and schema:
        raise UsageProblem(
            "--man and --schema can't be used together", hint="`ckfunc help --man` describes all commands"
        )
    if man and names:
        raise UsageProblem("--man can't be used with a command", hint="`ckfunc help --man` describes all commands")
    if man:
        commands = [_described(context) for context in contexts(root)]
        app.output.text(manual_page(__version__, _described(root, common=True), commands))
    elif schema:
        app.output.document(command_schema(named_command(root, names).command_path.removeprefix("ckfunc").strip()))
    else:
        app.output.text(f"{named_command(root, names).get_help()}\n")


def named_command(root: click.Context, names: Sequence[str]) -> click.Context:
    """Return the context of the command that `names` lead to. Raises UsageProblem when there is none."""
    ctx = root
    for number, name in enumerate(names):
        context = within(ctx, name)
        if context is None:
            hint = f"`{ctx.command_path} --help` lists the commands"
            if close := nearest(name, subcommands(ctx)):
                hint = f"did you mean `ckfunc help {' '.join((*names[:number], close))}`?"
            raise UsageProblem(f"there is no command '{' '.join(names[: number + 1])}'", hint=hint)
        ctx = context
    return ctx


def contexts(parent: click.Context) -> Iterator[click.Context]:
    """Yield the contexts of all commands below one, in the order of its help."""
    for name in subcommands(parent):
        context = within(parent, name)
        if context is not None and not context.command.hidden:
            yield context
            yield from contexts(context)


def within(ctx: click.Context, name: str) -> click.Context | None:
    """Return the context of a subcommand, None if there is none; `test` has some too, although it is no group."""
    if isinstance(ctx.command, click.Group):
        command = ctx.command.get_command(ctx, name)
        return None if command is None else click.Context(command, parent=ctx, info_name=name)
    command = getattr(ctx.command, "commands", {}).get(name)
    return None if command is None else click.Context(command, parent=ctx.parent, info_name=f"{ctx.info_name} {name}")


def _described(context: click.Context, *, common: bool = False) -> CommandHelp:
    """Return the help of one command, with its own options or those that are common to all commands."""
    command = context.command
    shown = [each for each in command.params if isinstance(each, click.Option) and is_common(each) is common]
    return CommandHelp(
        " ".join([context.command_path, *command.collect_usage_pieces(context)]),
        inspect.cleandoc(command.help or ""),
        dict(record for option in shown if (record := option.get_help_record(context))),
        examples(context),
    )


@command
@argument("shell", kind=click.Choice(["bash", "zsh", "fish"]))
def completion(app: App, shell: str) -> None:
    """Print a completion script for a shell: for commands, options, trigger types, targets, channels and users."""
    if shell == "bash":
        # It passes on the line up to the cursor, because bash also splits words at `@` and other characters.
        script = (templates() / "completion.bash").read_text(encoding="utf-8")
    else:
        completion_class = get_completion_class(shell)
        assert completion_class is not None  # noqa: S101 - click knows these shells
        root = click.get_current_context().find_root().command
        script = completion_class(root, {}, "ckfunc", "_CKFUNC_COMPLETE").source()
        script = script.replace("#compdef ckfunc\n", f"#compdef ckfunc\n{_COMPINIT}", 1)  # only zsh has this line
    app.output.text(script)
