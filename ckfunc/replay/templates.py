"""Common parts of texts that differ from run to run."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import TypeAlias

_TIME = r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
_UUID = r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_TOKENS = re.compile(rf"{_TIME}|{_UUID}|[^\W_]+|.", re.DOTALL)
_FORMS = {"time": re.compile(_TIME), "uuid": re.compile(_UUID)}
MOST_CHARACTERS = 5_000
"""Longer texts are not analyzed: everything in them may differ."""

Template: TypeAlias = tuple[tuple[str, ...], ...]
"""Sequences of tokens that all texts share, in this order, separated by possibly empty gaps that differ."""


def template(texts: Sequence[str]) -> Template | None:
    """Return the common tokens of the texts, or None if they are too long.

    The first sequence is the common beginning, the last one the common end; both may be empty.
    """
    if any(len(text) > MOST_CHARACTERS for text in texts):
        return None
    parts: list[str | None] = list(_tokens(texts[0]))  # None is a gap
    for text in texts[1:]:
        tokens = _tokens(text)
        merged: list[str | None] = []
        for tag, i1, i2, _, _ in difflib.SequenceMatcher(None, parts, tokens, autojunk=False).get_opcodes():
            if tag == "equal":
                merged += parts[i1:i2]
            elif not merged or merged[-1] is not None:
                merged.append(None)
        parts = merged
    runs: list[tuple[str, ...]] = []
    current: list[str] = []
    for part in parts:
        if part is None:
            runs.append(tuple(current))
            current = []
        else:
            current.append(part)
    return (*runs, tuple(current))


def fits(found: Template | None, text: str) -> bool:
    """Return whether a text matches a template."""
    if found is None or len(text) > MOST_CHARACTERS:
        return True
    tokens = tuple(_tokens(text))
    first, *middle = found
    if not middle:
        return tokens == first
    last = middle.pop()
    if len(tokens) < len(first) + len(last) or tokens[: len(first)] != first:
        return False
    end = len(tokens) - len(last)
    if tokens[end:] != last:
        return False
    at = len(first)
    for run in middle:
        while at + len(run) <= end and tokens[at : at + len(run)] != run:
            at += 1
        if at + len(run) > end:
            return False
        at += len(run)
    return True


def form(text: str) -> str | None:
    """Return "time" or "uuid" if the whole text is one, or else None."""
    return next((name for name, pattern in _FORMS.items() if pattern.fullmatch(text)), None)


def _tokens(text: str) -> list[str]:
    return _TOKENS.findall(text)
