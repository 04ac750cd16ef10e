"""How a stack of a bundled script reads in terms of the local files that it was made of."""

from __future__ import annotations

import re

from ckfunc.bundle.source_map import SourceMap


def map_stack(stack: str, name: str, source_map: str) -> str:
    """Return `stack`, or any text that holds one, with the places in the script `name` as places in local files.

    `name` is what the script is called in frames (`TYPE@3.ts:10:5`); `source_map` is JSON, its sources are paths. A
    place that came from no file stays as it is, and so does everything when the map cannot be read.
    """
    if f"{name}:" not in stack:
        return stack
    try:
        known = SourceMap(source_map)
    except ValueError:
        return stack

    def place(found: re.Match[str]) -> str:
        original = known.original(int(found[1]), int(found[2]))
        return "{}:{}:{}".format(*original) if original else found[0]

    return re.sub(rf"(?<![\w.@/-]){re.escape(name)}:(\d+):(\d+)", place, stack)
