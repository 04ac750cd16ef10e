"""A finding of a check: one mistake at one place of the user's files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ckfunc.base.errors import Problem


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A mistake. `line` and `column` count from 1, columns in UTF-16 units as editors do; line 0 is the whole file.

    `code` is the compiler's ("TS2322"), "syntax" for what Node does not parse, "runtime" for what a script lacks where
    it runs, "manifest" for `functions.yaml`.
    `message` may have several lines; `length` is how much of the line is meant, at least 1.
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
        """Where it is, as editors and terminals read it: `handlers/x.ts:3:5`."""
        return f"{self.path}:{self.line}:{self.column}" if self.line else self.path

    @property
    def sentence(self) -> str:
        """The message on one line: what is wrong, and the innermost reason when there are several."""
        first, *more = [one.strip() for one in self.message.splitlines() if one.strip()] or [""]
        return f"{first} {more[-1]}" if more else first

    def to_json(self) -> dict[str, Any]:
        """Return it as data."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
        }


def of_problems(problems: Iterable[Problem], code: str) -> tuple[Finding, ...]:
    """Return what other rooms complain of, in the form of a check."""
    return tuple(
        Finding(one.path, one.line, one.column, code, one.message + (f" ({one.hint})" if one.hint else ""))
        for one in problems
    )


def counted(number: int, thing: str) -> str:
    """Return `1 file`, `2 files`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
