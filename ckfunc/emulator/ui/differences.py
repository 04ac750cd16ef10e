"""Differences of two scripts, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from ckfunc.base.text import DIFF_CONTEXT_LINES

MOST_COMPARED_LINES = 5_000
"""Longer scripts are not compared: that would take too long."""
MOST_ROWS = 1_000

RowKind = Literal["same", "changed", "gap"]


@dataclass(frozen=True, slots=True)
class SideBySideRow:
    """A row of two texts: the line number and text on each side, None where a side has no line."""

    kind: RowKind
    old_number: int | None = None
    old: str | None = None
    new_number: int | None = None
    new: str | None = None


def comparable(before: str, after: str) -> bool:
    """Return whether two texts are short enough to be compared."""
    return max(before.count("\n"), after.count("\n")) <= MOST_COMPARED_LINES


def side_by_side(before: str, after: str) -> list[SideBySideRow]:
    """Return the rows of a comparison: changed lines with their context, at most MOST_ROWS."""
    rows: list[SideBySideRow] = []
    for row in _rows(before.removesuffix("\n").split("\n"), after.removesuffix("\n").split("\n")):
        if len(rows) == MOST_ROWS:
            break
        rows.append(row)
    return rows


def _rows(old: list[str], new: list[str]) -> Iterator[SideBySideRow]:
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for number, group in enumerate(matcher.get_grouped_opcodes(DIFF_CONTEXT_LINES)):
        if number:
            yield SideBySideRow("gap")
        for tag, old_from, old_to, new_from, new_to in group:
            for offset in range(max(old_to - old_from, new_to - new_from)):
                left, right = old_from + offset, new_from + offset
                yield SideBySideRow(
                    "same" if tag == "equal" else "changed",
                    left + 1 if left < old_to else None,
                    old[left] if left < old_to else None,
                    right + 1 if right < new_to else None,
                    new[right] if right < new_to else None,
                )
