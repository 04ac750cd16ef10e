"""Names that an init script exports, declared for every handler."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What may hide a word `export` that is none: comments, strings, templates (without nested ones in `${}`).
_NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`""",
    re.DOTALL | re.VERBOSE,
)
_NAME = r"[A-Za-z_$][\w$]*"
_DECLARED = re.compile(
    rf"\bexport\s+(?:declare\s+)?(?:(?:abstract\s+)?class|(?:async\s+)?function\s*\*?|const\s+enum|const|let|var|enum)\s+({_NAME})"
)
_TAKEN_APART = re.compile(r"\bexport\s+(?:const|let|var)\s*([{\[])([^{}\[\]=]*(?:=[^{}\[\]]*)?)[}\]]\s*(?::[^=]*)?=")
_LISTED = re.compile(r"\bexport\s*(type\s*)?\{([^}]*)\}")
_ITEM = re.compile(rf"^(type )?(?:({_NAME}) as )?({_NAME})$")
# A type with parameters cannot be named without them.
_TYPE = re.compile(
    rf"\b(export\s+)?(?:declare\s+)?(?:interface|type|(?:abstract\s+)?class|const\s+enum|enum)\s+({_NAME})(?=\s*(?:[{{=]|extends\b|implements\b))"
)


@dataclass(frozen=True, slots=True)
class Exports:
    """Names of values and of types, each sorted; a class is both."""

    values: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


def exports(source: str) -> Exports:
    """Return the names that `source`, TypeScript, exports, without `default`.

    `export * from …` and nested destructuring are not followed, nor are types with parameters: those names stay
    undeclared. A listed name whose declaration is elsewhere counts as a value.
    """
    text = _NOISE.sub(" ", source)
    values = {*_DECLARED.findall(text), *_taken_apart(text)}
    declared = {name for _, name in _TYPE.findall(text)}
    types = {name for exported, name in _TYPE.findall(text) if exported}
    for as_type, name, exported in _listed(text):
        is_value = not as_type and (name not in declared or re.search(rf"\b(class|enum)\s+{re.escape(name)}\b", text))
        if is_value:
            values.add(exported)
        if as_type or name in declared:
            types.add(exported)
    return Exports(tuple(sorted(values - {"default"})), tuple(sorted(types - {"default"})))


def _listed(text: str) -> Iterator[tuple[bool, str, str]]:
    """Yield what `export { … }` lists: whether it says that it is a type, the name here, the name outside."""
    for all_types, body in _LISTED.findall(text):
        for item in body.split(","):
            if found := _ITEM.match(" ".join(item.split())):
                yield bool(all_types or found[1]), found[2] or found[3], found[3]


def _taken_apart(text: str) -> Iterator[str]:
    """Yield the names in `export const { a, b: c = 1, ...d } = …`."""
    for _, body in _TAKEN_APART.findall(text):
        for item in body.split(","):
            name = item.partition("=")[0].rpartition(":")[2].strip().removeprefix("...")
            if re.fullmatch(_NAME, name):
                yield name
