"""The manual page, generated from the commands.

Source of the format: man(7) and groff_man(7).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence

import click

from ckfunc import __version__
from ckfunc.base.errors import EXIT_CODES
from ckfunc.cli.main import subcommands

VARIABLES = {
    "CHATKITTY_CLIENT_ID": "Client id of the application.",
    "CHATKITTY_CLIENT_SECRET": "Client secret of the application.",
    "CHATKITTY_API_URL": "Address of the Platform API.",
    "CHATKITTY_AUTHORIZATION_URL": "Address of the token endpoint.",
    "CKFUNC_NODE": "Path of another Node to run handlers with (Node 24).",
    "CKFUNC_CACHE_DIR": "Directory of the cache.",
    "CKFUNC_KEYRING": "A further keyring to trust, as MODULE.CLASS.",
    "NO_COLOR": "Turns colors off.",
    "FORCE_COLOR": "Turns colors on, even without a terminal.",
    "CI": "If set, ckfunc never asks for input.",
}
"""The environment variables of ckfunc."""

FILES = {
    "functions.yaml": "The manifest of a project: runtime, functions and targets.",
    "functions.lock": "The exact versions of npm packages.",
    "handlers/, tests/": "Handlers and test cases.",
    ".env, .env.TARGET": "Values of variables, and credentials.",
    ".ckfunc/": "Types, schemas, the data of the emulator, and journals of deploys.",
    "~/.cache/ckfunc": "The cache. ~/Library/Caches/ckfunc on macOS, %LOCALAPPDATA%\\ckfunc on Windows.",
}
"""The files of a project and of ckfunc."""

_SPECIAL = {"\\": "\\e", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "-": "\\-", "…": "..."}


def manual_page(root: click.Context) -> str:
    """Return the manual page of ckfunc in roff, in ASCII."""
    command = root.command
    common = [param for param in command.params if is_common(param)]
    examples = inspect.cleandoc((command.help or "").partition("\b\n")[2]).partition("\n")[2]
    summary = _paragraphs(command.help or "")[0].rstrip(".")
    lines = [
        f'.TH CKFUNC 1 "" "ckfunc {__version__}" "ckfunc manual"',
        ".SH NAME",
        f"ckfunc \\- {_roff(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        ".B ckfunc",
        "[options] COMMAND [arguments]",
        ".SH DESCRIPTION",
        "ckfunc compares a manifest in git with an application, shows the differences and deploys them. Start here:",
        *_code(inspect.cleandoc(examples)),
        ".SH OPTIONS",
        "These options can precede or follow the name of the command.",
        *_options(root, common),
        ".SH COMMANDS",
    ]
    for context in contexts(root):
        lines += _section(context)
    lines += [".SH EXIT STATUS", *_terms({str(code): meaning for code, meaning in EXIT_CODES.items()})]
    lines += [".SH ENVIRONMENT", *_terms(VARIABLES), ".SH FILES", *_terms(FILES)]
    return "\n".join(lines) + "\n"


def is_common(param: click.Parameter) -> bool:
    """Return whether every command has this parameter."""
    return (param.name or "").startswith("common_")


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


def _section(context: click.Context) -> Iterator[str]:
    """Yield the lines about one command."""
    command = context.command
    yield f'.SS "{_roff(" ".join([context.command_path, *command.collect_usage_pieces(context)]), bold=False)}"'
    for number, paragraph in enumerate(_paragraphs(command.help or "")):
        yield from [".PP"] if number else []
        yield _roff(paragraph)
    yield from _options(context, [param for param in command.params if not is_common(param)])
    heading, _, examples = inspect.cleandoc((command.epilog or "").replace("\b\n", "")).partition("\n")
    if examples:
        yield from (".PP", _roff(heading), *_code(inspect.cleandoc(examples)))


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help, each on one line, without its examples."""
    return [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n") if "\b" not in part]


def _options(context: click.Context, params: Sequence[click.Parameter]) -> Iterator[str]:
    options = [param for param in params if isinstance(param, click.Option)]
    records = [record for option in options if (record := option.get_help_record(context))]
    yield from _terms(dict(records))


def _terms(terms: dict[str, str]) -> Iterator[str]:
    for term, text in terms.items():
        yield from (".TP", f".B {_roff(term, bold=False)}", _roff(text))


def _code(text: str) -> Iterator[str]:
    yield from (".PP", ".RS 4", ".EX", *(_roff(line, bold=False) for line in text.splitlines()), ".EE", ".RE")


def _roff(text: str, *, bold: bool = True) -> str:
    """Return one line of text in roff; with `bold`, words in backticks are bold."""
    if bold:
        parts = re.split("`([^`]*)`", text)
        return "".join(
            f"\\fB{_roff(part, bold=False)}\\fR" if index % 2 else _escaped(part) for index, part in enumerate(parts)
        )
    return _escaped(text)


def _escaped(text: str) -> str:
    plain = "".join(_SPECIAL.get(letter, letter if letter.isascii() else f"\\[u{ord(letter):04X}]") for letter in text)
    return f"\\&{plain}" if plain.startswith((".", "\\(aq")) else plain
