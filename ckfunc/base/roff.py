"""Text of manual pages. Source of the format: man(7) and groff_man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_SPECIAL = {"\\": "\\e", "'": "\\(aq", "`": "\\(ga", "^": "\\(ha", "~": "\\(ti", "-": "\\-", "…": "..."}


def terms(texts: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of a list of terms with their descriptions."""
    for term, text in texts.items():
        yield from (".TP", f".B {roff(term, bold=False)}", roff(text))


def code(text: str) -> Iterator[str]:
    """Yield the lines of an example, which keeps its line ends."""
    yield from (".PP", ".RS 4", ".EX", *(roff(line, bold=False) for line in text.splitlines()), ".EE", ".RE")


def roff(text: str, *, bold: bool = True) -> str:
    """Return one line of text in roff; with `bold`, words in backticks are bold."""
    if bold:
        parts = re.split("`([^`]*)`", text)
        return "".join(
            f"\\fB{roff(part, bold=False)}\\fR" if index % 2 else _escaped(part) for index, part in enumerate(parts)
        )
    return _escaped(text)


def _escaped(text: str) -> str:
    plain = "".join(_SPECIAL.get(letter, letter if letter.isascii() else f"\\[u{ord(letter):04X}]") for letter in text)
    return f"\\&{plain}" if plain.startswith((".", "\\(aq")) else plain
