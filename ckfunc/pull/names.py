"""Which file a function's script goes into: a name that no other file has, on any file system."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from ckfunc.base.digests import digest

_LONGEST = 100
# Source: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_DEVICES = frozenset({"con", "prn", "aux", "nul", *(f"{one}{n}" for one in ("com", "lpt") for n in range(10))})


JAVASCRIPT_SUFFIXES = (".js", ".mjs", ".cjs")
_BUNDLED = "// Bundled by ckfunc "
"""How a bundle starts, whichever version of ckfunc made it."""

IsJavaScript: TypeAlias = Callable[[str], bool]
"""Tells whether a script is JavaScript, without anything of TypeScript in it."""


def is_bundle(script: str) -> bool:
    """Return whether ckfunc made a script of several files."""
    return script.startswith(_BUNDLED)


def script_suffix(script: str, is_javascript: IsJavaScript) -> str:
    """Return how the name of a script's file ends: types are only checked in what was written with types."""
    return ".js" if is_javascript(script) else ".ts"


def handler_paths(scripts: Mapping[str, str], taken: Collection[str], is_javascript: IsJavaScript) -> dict[str, str]:
    """Return a path below the project for the script of each trigger type.

    No other file, in `taken`, has such a name, whatever the case of its letters and its extension.
    """
    used = {posixpath.splitext(one)[0].casefold() for one in taken}
    found: dict[str, str] = {}
    for trigger_type in sorted(scripts):
        stem = _stem(trigger_type)
        path, number = f"handlers/{stem}", 1
        while path.casefold() in used:
            number += 1
            path = f"handlers/{stem}-{number}"
        used.add(path.casefold())
        found[trigger_type] = path + script_suffix(scripts[trigger_type], is_javascript)
    return found


def _stem(trigger_type: str) -> str:
    stem = re.sub(r"[^A-Za-z0-9]+", "-", trigger_type).strip("-") or "handler"
    if len(stem) > _LONGEST:
        stem = f"{stem[:_LONGEST]}-{digest(trigger_type)[:8]}"
    return f"{stem}-handler" if stem.casefold() in _DEVICES else stem
