"""Choose file names for scripts that are unique on any file system."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from ckfunc.model.triggers import file_stem

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
        stem = file_stem(trigger_type)
        path, number = f"handlers/{stem}", 1
        while path.casefold() in used:
            number += 1
            path = f"handlers/{stem}-{number}"
        used.add(path.casefold())
        found[trigger_type] = path + script_suffix(scripts[trigger_type], is_javascript)
    return found
