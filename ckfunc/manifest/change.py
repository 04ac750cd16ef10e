"""Set, add and remove single values of `functions.yaml` in place.

No other byte of the file changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Values
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ckfunc.base.errors import CkfuncError, InvalidManifest
from ckfunc.manifest.definition import MANIFEST_NAME
from ckfunc.manifest.edit import append, content_end, data, end_of, into_flow, next_line, spaced, step_of
from ckfunc.manifest.scalars import scalar
from ckfunc.manifest.tree import Mapping, Node, Scalar, parse

Value: TypeAlias = "str | Values[str, str] | None"


class CannotChange(CkfuncError):
    """The manifest is written in a form that ckfunc cannot edit."""


@dataclass(frozen=True, slots=True)
class Change:
    """A new value at a path: a text, a mapping of texts for a new entry, or None to remove it."""

    path: tuple[str, ...]
    value: Value = field(repr=False)

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)


def with_changes(text: str, changes: Sequence[Change]) -> str:
    """Return the manifest `text` with `changes` made to it, one after the other.

    Comments, order and style stay. Raises CannotChange when the result would not have the wanted values.
    """
    for change in changes:
        text = _changed(text, change)
    return text


def _changed(text: str, change: Change) -> str:
    root = parse(text, MANIFEST_NAME)
    if not isinstance(root, Mapping):
        raise _by_hand(change)
    want = data(root)
    _set(want, change.path, change.value)
    newline = "\r\n" if "\r\n" in text else "\n"
    changed = _edited(text, root, change).replace("\x00", newline)
    try:
        after = parse(changed, MANIFEST_NAME)
    except InvalidManifest:
        after = None
    if after is None or data(after) != want:
        raise _by_hand(change)
    return changed


def _edited(text: str, root: Mapping, change: Change) -> str:
    """Return `text` edited; NUL, which YAML cannot contain, is a placeholder for the file's newline."""
    mapping, parent = root, None
    for depth, name in enumerate(change.path):
        key, value = _entry(mapping, name)
        if key is None:
            if change.value is None:
                raise _by_hand(change)
            return _inserted(text, root, mapping, change.path[depth:], change.value)
        if value is None or value.start < key.start:  # an alias: the value is elsewhere, and shared
            raise _by_hand(change)
        if depth == len(change.path) - 1:
            return _removed(text, mapping, parent, name) if change.value is None else _replaced(text, value, change)
        if not isinstance(value, Mapping):
            raise _by_hand(change)
        mapping, parent = value, key
    raise _by_hand(change)


def _entry(mapping: Mapping, name: str) -> tuple[Scalar | None, Node | None]:
    for key, value in mapping.entries:
        if isinstance(key, Scalar) and key.text == name:
            return key, value
    return None, None


def _inserted(text: str, root: Mapping, mapping: Mapping, path: Sequence[str], value: str | Values[str, str]) -> str:
    if mapping.flow:
        return into_flow(text, mapping, _flow(path, value))
    column = mapping.entries[0][0].column - 1
    lines = [f"{' ' * column}{line}" for line in _block(path, value, step_of(root))]
    if isinstance(value, Values) or mapping is root:
        lines = spaced(text, mapping, lines)
    return append(text, end_of(text, mapping, column), lines)


def _flow(path: Sequence[str], value: str | Values[str, str]) -> str:
    if isinstance(value, str):
        written = scalar(value, flow=True)
    else:
        pairs = (f"{scalar(key, flow=True)}: {scalar(one, flow=True)}" for key, one in value.items())
        written = f"{{{', '.join(pairs)}}}"
    for key in reversed(path[1:]):
        written = f"{{{scalar(key, flow=True)}: {written}}}"
    return f"{scalar(path[0], flow=True)}: {written}"


def _block(path: Sequence[str], value: str | Values[str, str], step: int) -> list[str]:
    key = scalar(path[0])
    if len(path) == 1 and isinstance(value, str):
        return [f"{key}: {scalar(value)}"]
    if len(path) > 1:
        inner = _block(path[1:], value, step)
    else:
        assert not isinstance(value, str)  # noqa: S101 - the case above, for the type checker
        inner = [f"{scalar(name)}: {scalar(one)}" for name, one in value.items()]
    return [f"{key}:", *(f"{' ' * step}{line}" for line in inner)]


def _replaced(text: str, old: Node, change: Change) -> str:
    if not isinstance(old, Scalar) or old.block or old.start == old.end or not isinstance(change.value, str):
        raise _by_hand(change)
    # Quotes are never wrong; whether the scalar stands inside braces need not be known.
    return text[: old.start] + scalar(change.value, flow=True) + text[old.end :]


def _removed(text: str, mapping: Mapping, parent: Scalar | None, name: str) -> str:
    key, value = _entry(mapping, name)
    if key is None or value is None:
        return text
    end = max(key.end, content_end(value))
    if len(mapping.entries) == 1 and parent is not None and not mapping.flow:
        # An empty mapping is written in braces: without them the section would have no value.
        return f"{text[: parent.end]}: {{}}{text[_line_end(text, end) :]}"
    if mapping.flow:
        after = re.compile(r"\s*,[ \t]*").match(text, end)
        before = re.compile(r",\s*$").search(text[: key.start])
        if after:
            return text[: key.start] + text[after.end() :]
        return (text[: before.start()] if before else text[: key.start]) + text[end:]
    start = text.rfind("\n", 0, key.start) + 1
    return text[:start] + text[next_line(text, end) :]


def _line_end(text: str, offset: int) -> int:
    """Return where the line of `offset` ends, its newline not included; a newline before counts as its end."""
    if offset and text[offset - 1] in "\r\n":
        return len(text[:offset].rstrip("\r\n"))
    found = re.compile(r"\r\n|\n|\r|\Z").search(text, offset)
    return found.start() if found else len(text)


def _set(tree: dict[str, Any], path: Sequence[str], value: Value) -> None:
    for name in path[:-1]:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = tree[name]
    if value is None:
        tree.pop(path[-1], None)
    else:
        tree[path[-1]] = value if isinstance(value, str) else dict(value)


def _by_hand(change: Change) -> CannotChange:
    if change.value is None:
        hint = f"remove `{change.name}` by hand"
    elif isinstance(change.value, str):
        hint = f"set `{change.name}` to {scalar(change.value)} by hand"
    else:
        hint = f"add `{change.name}` by hand, with handler {change.value.get('handler')}"
    return CannotChange(f"{MANIFEST_NAME} is written in a way that ckfunc cannot change", hint=hint)
