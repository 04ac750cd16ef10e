"""How deep a document is nested: what reads or writes one by recursion, as Python's json does, breaks on a deep one."""

from __future__ import annotations

DEEPEST = 200
"""How many objects and arrays may lie inside one another, in what is sent and in what a handler returns."""


def deeper_than(document: object, levels: int) -> bool:
    """Tell whether a document has more levels than that, without recursion."""
    level: list[object] = [document]
    for _ in range(levels + 1):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        if not inner:
            return False
        level = inner
    return True
