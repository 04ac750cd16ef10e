"""A finding of a check: one error at one place in the user's files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ckfunc.base.annotations import Annotation, AnnotationLevel, of_mistakes
from ckfunc.base.errors import Problem

if TYPE_CHECKING:
    from ckfunc.model.outputs import FindingJson


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """An error. `line` and `column` count from 1, columns in UTF-16 units as in editors; line 0 is the whole file.

    `code` is the compiler's ("TS2322"), "syntax" for a syntax error of Node, "runtime" for an unmet requirement of a
    script on the platform, "bundle" for an import that cannot be bundled, "manifest" for `functions.yaml`.
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
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
        }


def as_findings(problems: Iterable[Problem], code: str) -> tuple[Finding, ...]:
    """Return problems of other rooms as findings."""
    return tuple(
        Finding(
            problem.path,
            problem.line,
            problem.column,
            code,
            problem.message + (f" ({problem.hint})" if problem.hint else ""),
        )
        for problem in problems
    )


def counted(number: int, thing: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def annotations_of(findings: Iterable[Finding], warnings: Iterable[str | Problem]) -> Iterator[Annotation]:
    """Yield findings and warnings as annotations; warnings without a place are annotations of the manifest."""
    for finding in findings:
        yield Annotation(finding.path, finding.line, finding.column, finding.code, finding.message)
    for warning in warnings:
        problem = Problem("functions.yaml", 0, 0, warning) if isinstance(warning, str) else warning
        (note,) = of_mistakes([problem], "warning")
        yield replace(note, level=AnnotationLevel.WARNING)
