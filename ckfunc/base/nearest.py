"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable

_MAX_WORD = 80  # Comparing longer ones is slow, and they are no misspelt names.


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known name that `word` begins, or else the most similar one; None when none is close."""
    import difflib  # takes some milliseconds, which only a mistake should cost

    if len(word) > _MAX_WORD:
        return None
    names = list(known)
    lowered = word.lower().replace("-", "_")
    starting = [name for name in names if len(lowered) > 2 and name.startswith(lowered)]
    matches = starting or difflib.get_close_matches(lowered, names, n=1) or difflib.get_close_matches(word, names, n=1)
    return matches[0] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the known word that was probably meant, or None."""
    best = nearest(word, known)
    return f"did you mean {best!r}?" if best else None
