"""Whether one JSON value is another, or holds it, and how the two look side by side."""

from __future__ import annotations

import json
from typing import Any


def matches(expected: Any, actual: Any, *, subset: bool) -> bool:
    """Tell whether two JSON values are equal; with `subset`, mappings in `actual` may hold more.

    true is not 1, and 1 is 1.0: as JSON has it.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        if not subset and expected.keys() != actual.keys():
            return False
        return all(name in actual and matches(one, actual[name], subset=subset) for name, one in expected.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(
            matches(one, other, subset=subset) for one, other in zip(expected, actual, strict=True)
        )
    return isinstance(expected, bool) is isinstance(actual, bool) and bool(expected == actual)


def shown_pair(expected: Any, actual: Any, *, subset: bool) -> tuple[str, str]:
    """Return both values as indented JSON whose lines can be compared: with `subset`, only what is asked for.

    Keys come in the order of `expected`; the others follow.
    """
    return _shown(expected), _shown(_aligned(expected, actual, subset=subset))


def _aligned(expected: Any, actual: Any, *, subset: bool) -> Any:
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = {name: _aligned(one, actual[name], subset=subset) for name, one in expected.items() if name in actual}
        return found if subset else found | {name: one for name, one in actual.items() if name not in found}
    if isinstance(expected, list) and isinstance(actual, list):
        pairs = zip(expected, actual, strict=False)
        return [_aligned(one, other, subset=subset) for one, other in pairs] + actual[len(expected) :]
    return actual


def _shown(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
