"""Unified diffs, plain and styled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ckfunc.base.text import Segment, printable

CONTEXT_LINES = 3
MOST_LINES = 20_000
"""Longer scripts are not compared line by line, because that would take too long."""

_NO_NEWLINE = "\n\\ No newline at end of file"
_STYLES = {"+": "create", "-": "remove", "@": "place", " ": "plain"}


def unified(before: str, after: str, before_name: str, after_name: str) -> Iterator[str]:
    """Yield the lines of a unified diff as `diff -u` prints them, without newlines; nothing for equal texts.

    The texts must have `\\n` newlines.
    """
    old, new = _lines(before), _lines(after)
    if before != after and max(len(old), len(new)) > MOST_LINES:
        yield from (f"--- {before_name}", f"+++ {after_name}", f"@@ {len(old)} lines became {len(new)} @@")
        return
    import difflib  # takes milliseconds, and is only needed for a difference

    for line in difflib.unified_diff(old, new, before_name, after_name, n=CONTEXT_LINES, lineterm=""):
        yield from line.split("\n")


def styled_diff(lines: Iterable[str]) -> Iterator[Segment]:
    """Yield the lines of a unified diff with styles, without the control characters of remote text."""
    for number, line in enumerate(lines):
        yield Segment(printable(line), "title" if number < 2 else diff_style(line))


def diff_style(line: str) -> str:
    """Return the style of a line of a unified diff, below its two header lines."""
    return _STYLES.get(line[:1], "muted")


def line_count(text: str) -> int:
    """Return the number of lines of a text, including a last line without a newline."""
    return len(_lines(text))


def _lines(text: str) -> list[str]:
    # Not splitlines(): TypeScript tools do not count a form feed or U+2028 in a string literal as a line end.
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += _NO_NEWLINE
    else:
        lines.pop()
    return lines
