"""Findings of a check: errors in the files of a project, and their text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.annotations import Annotation, AnnotationLevel, of_mistakes
from ckfunc.base.errors import Problem
from ckfunc.base.files import lossy_text
from ckfunc.base.text import Line, Segment, cells, cut, newlines, printable

if TYPE_CHECKING:
    from ckfunc.model.outputs import FindingJson

TYPESCRIPT_SUFFIXES = (".ts", ".mts", ".cts", ".tsx")
DECLARATION_SUFFIXES = (".d.ts", ".d.mts", ".d.cts")
SCRIPT_SUFFIXES = (*TYPESCRIPT_SUFFIXES, ".js", ".mjs", ".cjs", ".jsx")

_TAB = "    "
_WORD = re.compile(r"""[\w$]+|(["'`])[^"'`]*\1""")


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """An error. `line` and `column` count from 1, columns in UTF-16 units as in editors; line 0 is the whole file.

    `code` is the compiler's ("TS2322"), "syntax" for a syntax error of Node, "runtime" for an unmet requirement of a
    script on the platform, "bundle" for an import that cannot be bundled, "conflict" for a merge conflict, "manifest"
    for `functions.yaml`.
    `message` may have several lines; `length` is the length of the code at fault on that line, at least 1.
    """

    path: str
    line: int
    column: int
    code: str
    message: str
    length: int = 1

    def __str__(self) -> str:
        return f"{self.place}: {self.sentence} ({self.code})"

    @property
    def place(self) -> str:
        """The place in the form that editors and terminals recognize: `handlers/x.ts:3:5`."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    @property
    def sentence(self) -> str:
        """The message on one line: the error and, if reasons follow, the innermost one."""
        first, *more = [line.strip() for line in self.message.splitlines() if line.strip()] or [""]
        return f"{first} {more[-1]}" if more else first

    def to_json(self) -> FindingJson:
        """Return the finding as `ckfunc check --json` prints it."""
        return {"path": self.path, "line": self.line, "column": self.column, "code": self.code, "message": self.message}


def as_findings(problems: Iterable[Problem], code: str) -> tuple[Finding, ...]:
    """Return problems of other rooms as findings."""
    return tuple(Finding(each.path, each.line, each.column, code, each.sentence) for each in problems)


def annotations_of(findings: Iterable[Finding], warnings: Iterable[str | Problem]) -> Iterator[Annotation]:
    """Yield findings and warnings as annotations; warnings without a place are annotations of the manifest."""
    for finding in findings:
        yield Annotation(finding.path, finding.line, finding.column, finding.code, finding.message)
    for warning in warnings:
        problem = Problem("functions.yaml", 0, 0, warning) if isinstance(warning, str) else warning
        (note,) = of_mistakes([problem], "warning")
        yield replace(note, level=AnnotationLevel.WARNING)


def finding_lines(findings: Iterable[Finding], root: Path, width: int | None) -> Iterator[Line]:
    """Yield findings with their source lines for a terminal of `width` columns, otherwise on one line each."""
    return compact_lines(findings) if width is None else full_lines(findings, root, width)


def compact_lines(findings: Iterable[Finding]) -> Iterator[Line]:
    """Yield `path:line:column: message (code)` for each finding."""
    for finding in findings:
        message = printable(finding.sentence).replace("\n", " ")
        yield (
            Segment(printable(finding.place), "place"),
            Segment(f": {message}"),
            Segment(f" ({finding.code})", "muted"),
        )


def full_lines(findings: Iterable[Finding], root: Path, width: int) -> Iterator[Line]:
    """Yield each finding with its whole message and, for scripts, its source line. `width` is in columns.

    Lines of other files are not shown, because `functions.yaml` may contain secrets.
    """
    for path, group in groupby(findings, key=lambda finding: finding.path):
        source = _source(root / path) if path.endswith(SCRIPT_SUFFIXES) else []
        for finding in group:
            yield from _finding(finding, source, width)
            yield ()


def frame(root: Path, place: tuple[str, int, int], width: int) -> Iterator[Line]:
    """Yield the source line at a path, line and column of a script below `root`; nothing for other files.

    The word that begins at the column is underlined.
    """
    path, line, column = place
    source = _source(root / path) if path.endswith(SCRIPT_SUFFIXES) else []
    word = _WORD.match(source[line - 1], column - 1) if 0 < line <= len(source) else None
    yield from _frame(Finding(path, line, column, "", "", len(word[0]) if word else 1), source, width)


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


def _frame(finding: Finding, source: Sequence[str], width: int) -> Iterator[Line]:
    if not 0 < finding.line <= len(source):
        return
    gutter = len(str(finding.line))
    shown, caret, length = _excerpt(source[finding.line - 1], finding, width - gutter - 5)
    yield (Segment(f"  {finding.line} | ", "muted"), Segment(shown))
    yield (Segment(f"  {' ' * gutter} | ", "muted"), Segment(" " * caret), Segment("^" * length, "failure"))


def _excerpt(line: str, finding: Finding, width: int) -> tuple[str, int, int]:
    """Return the visible part of a line, and the column and the width of the code at fault in it.

    A line that is wider than the terminal is cut on both sides of the code at fault.
    """
    units = line.encode("utf-16-le", "surrogatepass")
    begin = (finding.column - 1) * 2
    before = _as_displayed(units[:begin])
    fault = _as_displayed(units[begin : begin + finding.length * 2])
    after = _as_displayed(units[begin + finding.length * 2 :])
    caret, available = cells(before), max(width, 20)
    if caret + cells(fault) + cells(after) > available and caret > available // 2:
        before = "…" + _right_part(before, available // 3)
        caret = cells(before)
    shown = cut(before + fault + after, available)
    return shown.rstrip(), caret, max(1, min(cells(fault), available - caret))


def _as_displayed(units: bytes) -> str:
    return printable(units.decode("utf-16-le", "replace")).replace("\t", _TAB)


def _right_part(text: str, columns: int) -> str:
    part = ""
    for character in reversed(text):
        if cells(part) + cells(character) > columns:
            break
        part = character + part
    return part


def _source(path: Path) -> list[str]:
    text = lossy_text(path)
    return [] if text is None else newlines(text.removeprefix("\ufeff")).split("\n")
