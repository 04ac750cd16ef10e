"""The names of classes and functions in bundles, which esbuild changes when it joins files.

A class that mentions itself becomes `var NotFound = class _NotFound {…}`, and of two functions with one name the second
gets a number. Both would show in `error.name`, `constructor.name` and stacks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from ckfunc.bundle.source_map import narrowed

_INNER = re.compile(r"^(?:var|let|const) (?P<name>[\w$]+) = class _(?P=name)\b", re.M)
_NAMED = re.compile(
    r"\bfunction\*? (?P<function>[\w$]+)\("
    r"|\bclass (?!extends\b)(?P<class>[\w$]+)"
    r"|\b(?:var|let|const) (?P<variable>[\w$]+) = (?:/\* @__PURE__ \*/ )?"
    r"(?:async )?(?:function\b|class\b|\([^()\n]*\) =>|[\w$]+ =>)"
)
_WORD = re.compile(r"[\w$]+")


def with_class_names(text: str, source_map: str, sources: Collection[str]) -> tuple[str, str]:
    """Return a bundle and its map with classes called as in the files, whose texts are `sources`.

    Inside a class, its own name means the class, as the one that esbuild made did: the bundle does the same as before.
    A class stays as it is when a file has the other name too, as what is meant by it cannot be told apart then.
    """
    known = _words(sources)
    names = [name for name in dict.fromkeys(_INNER.findall(text)) if f"_{name}" not in known]
    if not names:
        return text, source_map
    alternatives = "|".join(map(re.escape, names))
    invented = re.compile(rf"(?<![\w$])_(?=(?:{alternatives})(?![\w$]))")
    cuts: dict[int, list[int]] = {}
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if columns := [_utf16_length(line[: found.start()]) for found in invented.finditer(line)]:
            cuts[number] = columns
            lines[number] = invented.sub("", line)
    document = json.loads(source_map)
    document["mappings"] = narrowed(document["mappings"], cuts)
    return "\n".join(lines), json.dumps(document)


def renames(text: str, sources: Collection[str]) -> bool:
    """Tell whether a bundle calls a function or class otherwise than the files that it was made of do."""
    known = _words(sources)
    return bool(_INNER.search(text)) or any(one[one.lastgroup or 0] not in known for one in _NAMED.finditer(text))


def _words(sources: Collection[str]) -> set[str]:
    return {word for one in sources for word in _WORD.findall(one)}


def _utf16_length(text: str) -> int:
    """Return how many columns of a source map `text` takes."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
