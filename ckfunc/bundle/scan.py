"""Which local files a source may import: found by looking at its text, so that most handlers cost nothing more.

More is found than there is (in comments, in types); esbuild then knows better. Less is not, whatever stands in between.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Possessive: what was taken for a gap is not looked at again, however long it is.
_GAP = r"(?:\s|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/|//[^\n]*\n)*+"
_PLACE = r"""\.\.?(?:/[^"'`\n$]*)?|/[^"'`\n$]*|[A-Za-z]:[\\/][^"'`\n$]*|file:[^"'`\n$]*"""
_IMPORT = re.compile(
    rf"""\b(?P<how>from|import|require)\b{_GAP}(?P<call>\({_GAP})?(?P<quote>["'`])(?P<path>{_PLACE})(?P<end>["'`]|\$\{{)"""
)
# What a compiler drops before anything is looked up.
_OF_TYPES = re.compile(
    r"""\b(?:import|export)\s+type\s+(?:[\w$]+|\{[^{}]*\}|\*(?:\s*as\s+[\w$]+)?)\s*from\s*(["'])[^"'\n]*\1"""
)
_MODULE = re.compile(r"^[ \t]*(?:import\b(?!\s*[(.])|export\b)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Specifier:
    """How a source names a local file: `path` as it is written; `line` and `column` of the quote count from 1.

    A `computed` one goes on with something that is known at run time alone; `absolute` ones are not relative to the
    source.
    """

    path: str
    line: int
    column: int
    computed: bool = False

    @property
    def absolute(self) -> bool:
        """Whether it names a place on this machine rather than in the project."""
        return not self.path.startswith(".")


def specifiers(source: str) -> tuple[Specifier, ...]:
    """Return how `source`, TypeScript or JavaScript, may name local files, in its order."""
    looked_at = _OF_TYPES.sub(lambda found: " " * len(found[0]), source) if "type" in source else source
    return tuple(_found(source, looked_at))


def _found(source: str, looked_at: str) -> list[Specifier]:
    found = []
    for one in _IMPORT.finditer(looked_at):
        if one["how"] == "from" and one["call"]:
            continue
        computed = one["end"] == "${"
        if (one["quote"] != one["end"] and not computed) or (computed and one["quote"] != "`"):
            continue
        at = one.start("quote")
        line_start = source.rfind("\n", 0, at) + 1
        found.append(Specifier(one["path"], source.count("\n", 0, at) + 1, at - line_start + 1, computed))
    return found


def is_module(source: str) -> bool:
    """Return whether `source` uses `import` or `export` as statements, rather than `require` and `module.exports`."""
    return _MODULE.search(source) is not None
