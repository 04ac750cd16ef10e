"""Differences between values by name, and between scripts by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CONTEXT_LINES = 3
MOST_LINES = 20_000
"""Longer scripts are not compared line by line: that would take longer than anyone waits."""

_NO_NEWLINE = "\n\\ No newline at end of file"


class Action(StrEnum):
    """What a change does."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs. `before` is None for what is created, `after` for what is removed."""

    kind: str
    name: str
    action: Action
    before: object = field(default=None, repr=False)
    after: object = field(default=None, repr=False)


def diff(kind: str, want: Mapping[str, object], have: Mapping[str, object]) -> tuple[Change, ...]:
    """Return the changes that turn `have` into `want`, sorted by name."""
    return tuple(
        Change(kind, name, _action(name, want, have), before=have.get(name), after=want.get(name))
        for name in sorted({*want, *have})
        if name not in want or name not in have or want[name] != have[name]
    )


def _action(name: str, want: Mapping[str, object], have: Mapping[str, object]) -> Action:
    if name not in have:
        return Action.CREATE
    return Action.UPDATE if name in want else Action.REMOVE


def unified(before: str, after: str, before_name: str, after_name: str) -> Iterator[str]:
    """Yield a unified diff, as `diff -u` prints it, without line ends; nothing when the texts are equal.

    Texts have plain newlines.
    """
    old, new = _lines(before), _lines(after)
    if before != after and max(len(old), len(new)) > MOST_LINES:
        yield from (f"--- {before_name}", f"+++ {after_name}", f"@@ {len(old)} lines became {len(new)} @@")
        return
    for line in difflib.unified_diff(old, new, before_name, after_name, n=CONTEXT_LINES, lineterm=""):
        yield from line.split("\n")


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
