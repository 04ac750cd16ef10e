"""Choose file names for scripts that are unique on any file system."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from typing import TypeAlias

from ckfunc.model.triggers import file_stem

JAVASCRIPT_SUFFIXES = (".js", ".mjs", ".cjs")
_BUNDLED = "// Bundled by ckfunc "
"""The first characters of a bundle, in all versions of ckfunc."""

IsJavaScript: TypeAlias = Callable[[str], bool]
"""Returns whether a script is JavaScript without TypeScript syntax."""


def is_bundle(script: str) -> bool:
    """Return whether ckfunc bundled a script from several files."""
    return script.startswith(_BUNDLED)


def script_suffix(script: str, is_javascript: IsJavaScript) -> str:
    """Return the file name extension of a script. JavaScript gets .js, because type checks would only report noise."""
    return ".js" if is_javascript(script) else ".ts"


def handler_paths(scripts: Mapping[str, str], taken: Collection[str], is_javascript: IsJavaScript) -> dict[str, str]:
    """Return a path below the project for the script of each trigger type.

    Paths differ from those in `taken` even if letter case and extensions are ignored.
    """
    used = {posixpath.splitext(path)[0].casefold() for path in taken}
    paths: dict[str, str] = {}
    for trigger_type in sorted(scripts):
        stem = file_stem(trigger_type)
        path, number = f"handlers/{stem}", 1
        while path.casefold() in used:
            number += 1
            path = f"handlers/{stem}-{number}"
        used.add(path.casefold())
        paths[trigger_type] = path + script_suffix(scripts[trigger_type], is_javascript)
    return paths
