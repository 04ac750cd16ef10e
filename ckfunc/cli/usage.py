"""Usage errors of click, in the words and shape of ours whatever its version."""

from __future__ import annotations

import re
from collections.abc import Sequence

import click

from ckfunc.base.errors import UsageProblem
from ckfunc.base.nearest import nearest
from ckfunc.base.text import cut, printable

_LONGEST_VALUE = 60
_GIVEN = re.compile("(.+?) is not (?:a valid|in the range|one of) ", re.DOTALL)
_EXTRA = re.compile(r"unexpected extra arguments? \((.*)\)", re.DOTALL)
_NO_COMMAND = re.compile(r"No such command '([^']*)'")


def usage_problem(error: click.ClickException, args: Sequence[str]) -> UsageProblem:
    """Return the error as one sentence, with a hint that names the command's help. `args` is the command line."""
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    named = next((one for one in args if ctx is None and not one.startswith("-")), "")
    see = f"see `{ctx.command_path if ctx else f'ckfunc {named}'.strip()} --help`"
    sentence, meant = _explained(error, ctx)
    return UsageProblem(printable(sentence), hint=f"did you mean {meant}? {see}" if meant else see)


def _explained(error: click.ClickException, ctx: click.Context | None) -> tuple[str, str | None]:
    """Return the sentence, and what was probably meant."""
    message, meant = error.format_message(), None
    sentence = message[:1].lower() + message[1:].rstrip(".")
    if isinstance(error, click.NoSuchOption):
        sentence, meant = f"there is no option {error.option_name}", nearest(error.option_name, _options(ctx))
    elif isinstance(error, click.BadOptionUsage):
        sentence = f"{error.option_name} {'takes no value' if 'not take' in message else 'needs a value'}"
    elif isinstance(error, click.MissingParameter):
        sentence = f"{_name(error.param)} is missing"
    elif isinstance(error, click.BadParameter):
        sentence = f"{_name(error.param)} {_wanted(error)}"
    elif found := _EXTRA.search(message):
        sentence = f"unexpected argument: {found[1]}"
    elif (found := _NO_COMMAND.search(message)) and ctx is not None:
        sentence = f"there is no command '{ctx.info_name} {found[1]}'"
        close = nearest(found[1], _names(ctx))
        meant = close and f"`{ctx.command_path} {close}`"
    return sentence, meant


def _options(ctx: click.Context | None) -> list[str]:
    return [name for one in (ctx.command.params if ctx else ()) for name in (*one.opts, *one.secondary_opts)]


def _name(param: click.Parameter | None) -> str:
    """Return how the user writes a parameter: `--port`, or `TYPE` for an argument."""
    if isinstance(param, click.Option):
        return "/".join(param.opts)
    shown = (param.metavar or (param.name or "").upper()) if param is not None else ""
    found = re.search("[A-Z_]+", shown)  # as `[DIR]` and `TYPE[@N]` are written
    return found[0] if found else "an argument"


def _wanted(error: click.BadParameter) -> str:
    """Return what is wrong with a value: what its type takes, or else click's own words."""
    kind = error.param.type if error.param is not None else None
    given = f", not {cut(found[1], _LONGEST_VALUE)}" if (found := _GIVEN.match(error.message)) else ""
    if isinstance(kind, click.Choice):
        *others, last = map(str, kind.choices)
        return f"takes {', '.join(others)} or {last}{given}"
    if isinstance(kind, click.IntRange):
        lowest, highest = kind.min, kind.max
        return f"takes a whole number from {lowest} {'on' if highest is None else f'to {highest}'}{given}"
    return f"has a wrong value: {error.message[:1].lower()}{error.message[1:].rstrip('.')}"


def command_help(root: click.Context, names: Sequence[str]) -> str:
    """Return the help of the command that `names` lead to. Raises UsageProblem when there is none."""
    ctx = root
    for number, name in enumerate(names):
        made = _within(ctx, name)
        if made is None:
            close = nearest(name, _names(ctx))
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
    return _names(ctx) if ctx is not None else []


def _names(ctx: click.Context) -> list[str]:
    command = ctx.command
    return command.list_commands(ctx) if isinstance(command, click.Group) else list(getattr(command, "commands", ()))


def _within(ctx: click.Context, name: str) -> click.Context | None:
    """Return the context of a command within another; `test` has one, though it is no group."""
    if isinstance(ctx.command, click.Group):
        command = ctx.command.get_command(ctx, name)
        return None if command is None else click.Context(command, parent=ctx, info_name=name)
    command = getattr(ctx.command, "commands", {}).get(name)
    return None if command is None else click.Context(command, parent=ctx.parent, info_name=f"{ctx.info_name} {name}")
