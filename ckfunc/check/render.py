"""Findings as text: with the source line on a terminal, else one line each."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path

from ckfunc.base.files import read_file
from ckfunc.base.text import Line, Segment, printable
from ckfunc.check.findings import Finding
from ckfunc.check.subject import SCRIPT_SUFFIXES

_TAB = "    "
_WORD = re.compile(r"""[\w$]+|(["'`])[^"'`]*\1""")


def compact_lines(findings: Iterable[Finding]) -> Iterator[Line]:
    """Yield `path:line:column: message (code)` for each."""
    for one in findings:
        message = printable(one.sentence).replace("\n", " ")
        yield (Segment(printable(one.place), "place"), Segment(f": {message}"), Segment(f" ({one.code})", "muted"))


def full_lines(findings: Iterable[Finding], root: Path, width: int) -> Iterator[Line]:
    """Yield each finding with its whole message and, for scripts, the line that it is about.

    Lines of other files are not shown: `functions.yaml` holds values that are nobody's to see. `width` is in columns.
    """
    for path, group in groupby(findings, key=lambda one: one.path):
        source = _source(root / path) if path.endswith(SCRIPT_SUFFIXES) else []
        for one in group:
            yield from _finding(one, source, width)
            yield ()


def _finding(finding: Finding, source: Sequence[str], width: int) -> Iterator[Line]:
    first, *more = printable(finding.message).splitlines() or [""]
    yield (
        Segment(printable(finding.place), "place"),
        Segment("  "),
        Segment(finding.code, "failure"),
        Segment("  "),
        Segment(first, "title"),
    )
    for line in more:
        yield (Segment("  " + line),)
    yield from _frame(finding, source, width)


def frame(root: Path, place: tuple[str, int, int], width: int) -> Iterator[Line]:
    """Yield the source line of a script at a path, line and column below `root`, with a mark; nothing for other files.

    The mark is as wide as the word that begins there.
    """
    path, line, column = place
    source = _source(root / path) if path.endswith(SCRIPT_SUFFIXES) else []
    word = _WORD.match(source[line - 1], column - 1) if 0 < line <= len(source) else None
    yield from _frame(Finding(path, line, column, "", "", len(word[0]) if word else 1), source, width)


def _frame(finding: Finding, source: Sequence[str], width: int) -> Iterator[Line]:
    if not 0 < finding.line <= len(source):
        return
    gutter = len(str(finding.line))
    shown, caret, length = _excerpt(source[finding.line - 1], finding, width - gutter - 5)
    yield (Segment(f"  {finding.line} | ", "muted"), Segment(shown))
    yield (Segment(f"  {' ' * gutter} | ", "muted"), Segment(" " * caret), Segment("^" * length, "failure"))


def _excerpt(line: str, finding: Finding, width: int) -> tuple[str, int, int]:
    """Return what is shown of a line, the columns before the wrong part, and the columns that it takes.

    A line that is wider than the terminal is cut on both sides of the wrong part.
    """
    units = line.encode("utf-16-le", "surrogatepass")
    begin = (finding.column - 1) * 2
    before = _display(units[:begin])
    wrong = _display(units[begin : begin + finding.length * 2])
    after = _display(units[begin + finding.length * 2 :])
    caret, room = _columns(before), max(width, 20)
    if caret + _columns(wrong) + _columns(after) > room and caret > room // 2:
        before = "…" + _last(before, room // 3)
        caret = _columns(before)
    shown = _first(before + wrong + after, room)
    return shown.rstrip(), caret, max(1, min(_columns(wrong), room - caret))


def _display(units: bytes) -> str:
    return printable(units.decode("utf-16-le", "replace")).replace("\t", _TAB)


def _columns(text: str) -> int:
    return sum(_width(one) for one in text)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _first(text: str, columns: int) -> str:
    if _columns(text) <= columns:
        return text
    kept = ""
    for one in text:
        if _columns(kept) + _width(one) >= columns:
            break
        kept += one
    return kept + "…"


def _last(text: str, columns: int) -> str:
    kept = ""
    for one in reversed(text):
        if _columns(kept) + _width(one) > columns:
            break
        kept = one + kept
    return kept


def _source(path: Path) -> list[str]:
    try:
        text = read_file(path).decode("utf-8", "replace")
    except OSError:
        return []
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
