"""What `${NAME}` and `$$` in a value stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
"""What a variable's name looks like."""

TEMPLATE = rf"[^$]*(?:\$(?:\$|\{{{NAME}\}}|(?![{{$]))[^$]*)*"
"""What a whole value looks like: a `$` that is followed by neither `$` nor `{` stands for itself."""

_PARTS = re.compile(rf"\$\$|\$\{{({NAME})\}}")


def references(text: str) -> tuple[tuple[str, int], ...]:
    """Return the variables that `text` names, each with its offset, in order and with repetitions."""
    return tuple((part[1], part.start()) for part in _PARTS.finditer(text) if part[1])


def expand(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with its variables' values put in, as they are, and `$$` as `$`. `values` must have all of them."""
    return _PARTS.sub(lambda part: values[part[1]] if part[1] else "$", text)


def whole_reference(text: str) -> str | None:
    """Return the variable that `text` is a reference to and nothing else, or None."""
    part = _PARTS.fullmatch(text)
    return part[1] if part else None
