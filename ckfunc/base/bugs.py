"""Reports of bugs in ckfunc."""

from __future__ import annotations

import re
import sys
import tempfile
import traceback
from collections.abc import Iterable, Iterator, Sequence

from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Masker, Secret
from ckfunc.base.text import Line


@frozen
class BugReport:
    """A report of an error, and the file that it was written to; None if no file could be written."""

    error: str
    text: str
    path: str | None

    def lines(self) -> Iterator[Line]:
        """Yield a message with the place of the report, and a hint."""
        place, attachment = (f"in {self.path}", "that file") if self.path else ("above", "these lines")
        yield [("error: ", "failure"), (f"this is a bug in ckfunc ({self.error}); the details are {place}", "")]
        yield [("hint: ", "muted"), (f"please report it with {attachment}", "")]


def bug_report(error: BaseException, args: Sequence[str], secrets: Iterable[Secret], version: str) -> BugReport:
    """Write a traceback to a temporary file.

    The report contains neither `secrets` nor arguments other than names of commands, options and types.
    """
    trace = Masker(secrets)("".join(traceback.format_exception(error)))
    shown = [match[0] if (match := re.match(r"--?[A-Za-z-]+|[a-z_.]{1,40}$", arg)) else "…" for arg in args]
    text = f"{version}, Python {sys.version}, {sys.platform}\nckfunc {' '.join(shown)}\n\n{trace}"
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="ckfunc-bug-", suffix=".log", delete=False, encoding="utf-8", errors="backslashreplace"
        ) as file:
            file.write(text)
    except OSError:  # a full disk, or no directory for temporary files
        return BugReport(type(error).__name__, text, None)
    return BugReport(type(error).__name__, text, file.name)
