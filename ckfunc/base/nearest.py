"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name most similar to `word`, or None when none is close."""
    import difflib  # takes some milliseconds, which only a mistake should cost

    found = difflib.get_close_matches(word, list(known), n=1)
    return found[0] if found else None
