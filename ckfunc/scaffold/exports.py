"""Names that an init script exports, for their declarations in stubs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# Comments, strings and templates (without nested ones in `${}`), which may contain the word `export`.
_NOISE = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | `(?:\\.|[^`\\])*`""",
    re.DOTALL | re.VERBOSE,
)
_NAME = r"[A-Za-z_$][\w$]*"
_DECLARED = re.compile(
    rf"\bexport\s+(?:declare\s+)?(?:(?:abstract\s+)?class|(?:async\s+)?function\s*\*?|const\s+enum|const|let|var|enum)\s+({_NAME})"
)
_DESTRUCTURED = re.compile(r"\bexport\s+(?:const|let|var)\s*([{\[])([^{}\[\]=]*(?:=[^{}\[\]]*)?)[}\]]\s*(?::[^=]*)?=")
_LISTED = re.compile(r"\bexport\s*(type\s*)?\{([^}]*)\}")
_ITEM = re.compile(rf"^(type )?(?:({_NAME}) as )?({_NAME})$")
# Without types with parameters, because these cannot be used without their parameters.
_TYPE = re.compile(
    rf"\b(export\s+)?(?:declare\s+)?(?:interface|type|(?:abstract\s+)?class|const\s+enum|enum)\s+({_NAME})(?=\s*(?:[{{=]|extends\b|implements\b))"
)


@dataclass(frozen=True, slots=True)
class Exports:
    """Names of values and of types, each sorted; a class is both."""

    values: tuple[str, ...] = ()
    types: tuple[str, ...] = ()


def exports(source: str) -> Exports:
    """Return the names that `source`, in TypeScript, exports, except `default`.

    Names from `export * from …` and nested destructuring, and types with parameters are not included. A listed name
    that is declared in another file counts as a value.
    """
    text = _NOISE.sub(" ", source)
    values = {*_DECLARED.findall(text), *_destructured(text)}
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
    """Yield the items of `export { … }`: whether it is marked as a type, its name in the source, its exported name."""
    for all_types, body in _LISTED.findall(text):
        for item in body.split(","):
            if found := _ITEM.match(" ".join(item.split())):
                yield bool(all_types or found[1]), found[2] or found[3], found[3]


def _destructured(text: str) -> Iterator[str]:
    """Yield the names in `export const { a, b: c = 1, ...d } = …`."""
    for _, body in _DESTRUCTURED.findall(text):
        for item in body.split(","):
            name = item.partition("=")[0].rpartition(":")[2].strip().removeprefix("...")
            if re.fullmatch(_NAME, name):
                yield name
