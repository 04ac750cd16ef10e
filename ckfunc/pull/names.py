"""Which file a function's script goes into: a name that no other file has, on any file system."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from ckfunc.base.digests import digest

_LONGEST = 100
# Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{one}{n}" for one in ("com", "lpt") for n in range(10))})


def handler_paths(types: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """Return a path below the project for each trigger type, none of them in `taken`, whatever the case of letters."""
    used = {one.casefold() for one in taken}
    found: dict[str, str] = {}
    for trigger_type in sorted(types):
        stem = _stem(trigger_type)
        path, number = f"handlers/{stem}.ts", 1
        while path.casefold() in used:
            number += 1
            path = f"handlers/{stem}-{number}.ts"
        used.add(path.casefold())
        found[trigger_type] = path
    return found


def _stem(trigger_type: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9]+", "-", trigger_type).strip("-") or "handler"
    if len(stem) > _LONGEST:
        stem = f"{stem[:_LONGEST]}-{digest(trigger_type)[:8]}"
    return f"{stem}-handler" if stem.casefold() in _DEVICES else stem
