"""Which names an init script exports: they are in scope of every handler, so the types must declare them."""

from __future__ import annotations

import re

# What may hide a word `export` that is none: comments, strings, templates (without nested ones in `${}`).
_NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`""",
    re.DOTALL | re.VERBOSE,
)
_NAME = r"[A-Za-z_$][\w$]*"
_DECLARED = re.compile(
    rf"\bexport\s+(?:declare\s+)?(?:(?:abstract\s+)?class|(?:async\s+)?function\s*\*?|const\s+enum|const|let|var|enum)\s+({_NAME})"
)
_LISTED = re.compile(r"\bexport\s*\{([^}]*)\}")
_ITEM = re.compile(rf"^(?:{_NAME}\s+as\s+)?({_NAME})$")


def exported_names(source: str) -> tuple[str, ...]:
    """Return the names of the values that `source`, TypeScript, exports, sorted, without `default` and types.

    `export * from …` and destructuring declarations are not followed: their names stay undeclared.
    """
    text = _NOISE.sub(" ", source)
    names = set(_DECLARED.findall(text))
    for body in _LISTED.findall(text):
        for item in body.split(","):
            if found := _ITEM.match(" ".join(item.split())):
                names.add(found[1])
    return tuple(sorted(names - {"default"}))
