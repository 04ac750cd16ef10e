"""Unified diffs of texts, and their styles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ckfunc.base.text import Segment, printable

CONTEXT_LINES = 3
MOST_LINES = 20_000
"""Longer scripts are not compared line by line: that would take longer than anyone waits."""

_NO_NEWLINE = "\n\\ No newline at end of file"
_STYLES = {"+": "create", "-": "remove", "@": "place", " ": "plain"}


def unified(before: str, after: str, before_name: str, after_name: str) -> Iterator[str]:
    """Yield a unified diff, as `diff -u` prints it, without line ends; nothing when the texts are equal.

    Texts have plain newlines.
    """
    old, new = _lines(before), _lines(after)
    if before != after and max(len(old), len(new)) > MOST_LINES:
        yield from (f"--- {before_name}", f"+++ {after_name}", f"@@ {len(old)} lines became {len(new)} @@")
        return
    import difflib  # takes some milliseconds, which only a difference should cost

    for line in difflib.unified_diff(old, new, before_name, after_name, n=CONTEXT_LINES, lineterm=""):
        yield from line.split("\n")


def styled_diff(lines: Iterable[str]) -> Iterator[Segment]:
    """Yield the lines of a unified diff as they are shown; control characters of remote text are removed."""
    for number, line in enumerate(lines):
        yield Segment(printable(line), "title" if number < 2 else diff_style(line))


def diff_style(line: str) -> str:
    """Return the style of a line below the two first ones of a unified diff."""
    return _STYLES.get(line[:1], "muted")


def line_count(text: str) -> int:
    """Return how many lines a text has; a last line without a newline counts."""
    return len(_lines(text))


def _lines(text: str) -> list[str]:
    # Not splitlines(): a form feed or U+2028 inside a string literal is no line end in TypeScript tools' counts.
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += _NO_NEWLINE
    else:
        lines.pop()
    return lines
