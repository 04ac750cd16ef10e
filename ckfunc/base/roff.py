"""The manual page, in roff. Source of the format: man(7) and groff_man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from inspect import cleandoc

from ckfunc.base.errors import EXIT_CODES
from ckfunc.base.frozen import frozen

_SPECIAL = {"\\": "\\e", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "-": "\\-", "…": "..."}

VARIABLES = {
    "CHATKITTY_CLIENT_ID": "Client id of the application.",
    "CHATKITTY_CLIENT_SECRET": "Client secret of the application.",
    "CHATKITTY_API_URL": "Address of the Platform API.",
    "CHATKITTY_AUTHORIZATION_URL": "Address of the token endpoint.",
    "CKFUNC_NODE": "Path of another Node to run handlers with (24 or newer), or of a script that starts one.",
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


@frozen
class CommandHelp:
    """The help of a command: its usage, text and options, and its examples below a heading."""

    usage: str
    text: str
    options: Mapping[str, str]
    examples: str


def manual_page(version: str, ckfunc: CommandHelp, commands: Iterable[CommandHelp]) -> str:
    """Return the manual page in ASCII, from the help of `ckfunc`, with its examples in the text, and its commands."""
    examples = ckfunc.text.partition("\b\n")[2].partition("\n")[2]
    summary = _paragraphs(ckfunc.text)[0].rstrip(".")
    lines = [
        f'.TH CKFUNC 1 "" "ckfunc {version}" "ckfunc manual"',
        ".SH NAME",
        f"ckfunc \\- {_roff(summary[:1].lower() + summary[1:])}",
        ".SH SYNOPSIS",
        ".B ckfunc",
        "[options] COMMAND [arguments]",
        ".SH DESCRIPTION",
        "ckfunc compares a manifest in git with an application, shows the differences and deploys them. Start here:",
        *_code(examples),
        ".SH OPTIONS",
        "These options can precede or follow the name of the command.",
        *_terms(ckfunc.options),
        ".SH COMMANDS",
    ]
    for command in commands:
        lines += _section(command)
    lines += [".SH EXIT STATUS", *_terms({str(code): meaning for code, meaning in EXIT_CODES.items()})]
    lines += [".SH ENVIRONMENT", *_terms(VARIABLES), ".SH FILES", *_terms(FILES)]
    return "\n".join(lines) + "\n"


def _section(command: CommandHelp) -> Iterator[str]:
    """Yield the lines about one command."""
    yield f'.SS "{_roff(command.usage, bold=False)}"'
    for number, paragraph in enumerate(_paragraphs(command.text)):
        yield from [".PP"] if number else []
        yield _roff(paragraph)
    yield from _terms(command.options)
    heading, _, examples = command.examples.partition("\n")
    if examples:
        yield from (".PP", _roff(heading), *_code(examples))


def _paragraphs(text: str) -> list[str]:
    """Return the paragraphs of a help, each on one line, without its examples."""
    return [" ".join(part.split()) for part in text.split("\n\n") if "\b" not in part]


def _terms(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a list of terms with their descriptions."""
    for term, text in texts.items():
        yield from (".TP", f".B {_roff(term, bold=False)}", _roff(text))


def _code(text: str) -> Iterator[str]:
    """Yield the lines of an example, which keeps its line ends."""
    yield from (".PP", ".RS 4", ".EX", *(_roff(line, bold=False) for line in cleandoc(text).splitlines()), ".EE", ".RE")


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
