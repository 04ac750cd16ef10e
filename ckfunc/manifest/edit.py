"""Edit `functions.yaml` in place.

Text is inserted, replaced or removed at one place, so that no other byte of the file changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Values
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError, NoProject, Problem
from ckfunc.base.files import write_atomically
from ckfunc.manifest.definition import FUNCTION_TYPE, HANDLER_PATH, MANIFEST_NAME
from ckfunc.manifest.insertion import (
    DEFAULT_STEP,
    append,
    checked,
    column_of,
    content_end,
    data,
    end_of,
    has_text,
    insert_into_flow,
    line_end,
    next_line,
    skip_comments,
    spaced,
    step_of,
)
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.scalars import scalar
from ckfunc.manifest.sources import Complaint, read_text, without_bom
from ckfunc.manifest.tree import Mapping, Node, Scalar, parse, refused


class CannotAdd(CkfuncError):
    """The entry cannot be added to the manifest in its current form."""


def add_function(root: Path, trigger_type: str, handler: str) -> None:
    """Add `trigger_type` with its `handler` (a path relative to `root`) to the manifest, and change nothing else in it.

    The section `functions` is added if it is missing. The file's indentation, newlines and style are kept. Raises
    CannotAdd if the entry exists or is not valid, InvalidManifest if the file is not YAML, NoProject if there is none.
    Errors elsewhere in the manifest are ignored.
    """
    for rules, value, name in ((FUNCTION_TYPE, trigger_type, "trigger type"), (HANDLER_PATH, handler, "handler")):
        _require_valid(rules, value, name)
    require_inside(root, root / MANIFEST_NAME, followed=True)
    path = (root / MANIFEST_NAME).resolve()
    if not path.exists():
        raise NoProject(f"there is no {MANIFEST_NAME} in {root}", "run `ckfunc init` to create a project")
    text = read_text(path, MANIFEST_NAME)
    if isinstance(text, Complaint):
        raise refused(Problem(MANIFEST_NAME, text.line, text.column, text.message, text.hint))
    body = without_bom(text)
    bom = text[: len(text) - len(body)]
    write_atomically(path, bom + with_function(body, trigger_type, handler), mode=path.stat().st_mode & 0o777)


def with_function(text: str, trigger_type: str, handler: str) -> str:
    """Return the manifest `text` with an added function. Raises the same errors as `add_function`."""
    root = parse(text, MANIFEST_NAME)
    if root is not None and not isinstance(root, Mapping):
        raise refused(Problem(MANIFEST_NAME, root.line, root.column, "the file must be a mapping of known keys"))
    name, section = _entry(root, "functions") if root is not None else (None, None)
    if isinstance(section, Mapping):
        existing, _ = _entry(section, trigger_type)
        if existing is not None:
            message = f"{MANIFEST_NAME} already has {trigger_type} (line {existing.line})"
            raise CannotAdd(message, "remove that entry first, or choose another trigger type")
    own = isinstance(section, Mapping) or (isinstance(section, Scalar) and not has_text(section))
    if name is not None and (section is None or section.start < name.start or not own):
        hint = "write the section out as a mapping, or remove it"
        raise refused(
            Problem(MANIFEST_NAME, name.line, name.column, "functions is not a mapping in the file itself", hint)
        )
    try:
        return with_changes(text, [ManifestChange(("functions", trigger_type), {"handler": handler})])
    except CannotChange:
        hint = f"add it by hand under `functions`: `{scalar(trigger_type)}: {{handler: {scalar(handler)}}}`"
        raise CannotAdd(f"{MANIFEST_NAME} is written in a way that ckfunc cannot add to", hint) from None


def _require_valid(rules: tuple[Rule, ...], value: str, name: str) -> None:
    if broken := next((rule for rule in rules if not rule.allows(value)), None):
        raise CannotAdd(f"{name} {value!r} {broken.wrong}", broken.hint)


NewValue: TypeAlias = str | bool | Values[str, str]
Value: TypeAlias = NewValue | None


class CannotChange(CkfuncError):
    """The manifest is written in a form that ckfunc cannot edit."""


@dataclass(frozen=True, slots=True)
class ManifestChange:
    """A new value at a path: a text, a boolean, a mapping of texts for a new entry, or None to remove it."""

    path: tuple[str, ...]
    value: Value = field(repr=False)

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)


def with_changes(text: str, changes: Sequence[ManifestChange]) -> str:
    """Return the manifest `text` with `changes` applied, one after the other.

    Comments, order and style are kept. Raises CannotChange if the result would not have the expected values.
    """
    for change in changes:
        text = _changed(text, change)
    return text


def _changed(text: str, change: ManifestChange) -> str:
    root = parse(text, MANIFEST_NAME)
    if root is not None and not isinstance(root, Mapping):
        raise _cannot_change(change)
    expected = data(root) if root else {}
    _set(expected, change.path, change.value)
    changed = checked(text, _edited(text, root, change), expected, MANIFEST_NAME)
    if changed is None:
        raise _cannot_change(change)
    return changed


def _edited(text: str, root: Mapping | None, change: ManifestChange) -> str:
    if root is None:
        if change.value is None:
            raise _cannot_change(change)
        return append(text, len(text), _block(change.path, change.value, DEFAULT_STEP))
    mapping, parent = root, None
    for depth, name in enumerate(change.path):
        key, value = _entry(mapping, name)
        if key is None:
            if change.value is None:
                raise _cannot_change(change)
            return _inserted(text, root, mapping, parent, change.path[depth:], change.value)
        if value is None or value.start < key.start:  # an alias: the value is elsewhere in the file, and shared
            raise _cannot_change(change)
        if depth == len(change.path) - 1:
            return _removed(text, mapping, parent, name) if change.value is None else _replaced(text, value, change)
        if isinstance(value, Scalar) and not has_text(value) and not mapping.flow and change.value is not None:
            lines = _indented(_block(change.path[depth + 1 :], change.value, step_of(root)), key, root)
            return append(text, skip_comments(text, next_line(text, key.end), key.column), lines)
        if not isinstance(value, Mapping):
            raise _cannot_change(change)
        mapping, parent = value, key
    raise _cannot_change(change)


def _entry(mapping: Mapping, name: str) -> tuple[Scalar | None, Node | None]:
    for key, value in mapping.entries:
        if isinstance(key, Scalar) and key.text == name:
            return key, value
    return None, None


def _inserted(
    text: str,
    root: Mapping,
    mapping: Mapping,
    parent: Scalar | None,
    path: Sequence[str],
    value: NewValue,
) -> str:
    if mapping.flow and not mapping.entries and parent is not None and not root.flow and isinstance(value, Values):
        # `functions: {}` becomes a block; a comment after it keeps its place.
        before = text[: mapping.start].rstrip(" ")
        rest = before + text[mapping.end :]
        lines = _indented(_block(path, value, step_of(root)), parent, root)
        return append(rest, next_line(rest, len(before)), lines)
    if mapping.flow:
        return insert_into_flow(text, mapping, _flow(path, value))
    column = column_of(mapping)
    # A new entry is indented like the entries next to it.
    steps = (column_of(entry) - column for _, entry in mapping.entries)
    step = next((step for step in steps if step > 0), step_of(root)) if mapping is not root else step_of(root)
    lines = [f"{' ' * column}{line}" for line in _block(path, value, step)]
    if isinstance(value, Values) or mapping is root:
        lines = spaced(text, mapping, lines)
    return append(text, end_of(text, mapping, column), lines)


def _indented(lines: list[str], parent: Scalar, root: Mapping) -> list[str]:
    """Return `lines` indented by one step more than the key `parent`."""
    return [f"{' ' * (parent.column - 1 + step_of(root))}{line}" for line in lines]


def _flow(path: Sequence[str], value: NewValue) -> str:
    if isinstance(value, (str, bool)):
        written = _written(value, flow=True)
    else:
        pairs = (f"{scalar(key, flow=True)}: {scalar(text, flow=True)}" for key, text in value.items())
        written = f"{{{', '.join(pairs)}}}"
    for key in reversed(path[1:]):
        written = f"{{{scalar(key, flow=True)}: {written}}}"
    return f"{scalar(path[0], flow=True)}: {written}"


def _block(path: Sequence[str], value: NewValue, step: int) -> list[str]:
    key = scalar(path[0])
    if len(path) == 1 and isinstance(value, (str, bool)):
        return [f"{key}: {_written(value)}"]
    if len(path) > 1:
        inner = _block(path[1:], value, step)
    else:
        assert not isinstance(value, (str, bool))  # noqa: S101 - handled above; for the type checker
        inner = [f"{scalar(name)}: {scalar(text)}" for name, text in value.items()]
    return [f"{key}:", *(f"{' ' * step}{line}" for line in inner)]


def _replaced(text: str, old: Node, change: ManifestChange) -> str:
    if not isinstance(old, Scalar) or old.block or old.start == old.end or not isinstance(change.value, (str, bool)):
        raise _cannot_change(change)
    # `flow=True` quotes more than needed in a block, but is correct inside braces too.
    return text[: old.start] + _written(change.value, flow=True) + text[old.end :]


def _written(value: str | bool, *, flow: bool = False) -> str:
    return scalar(value, flow=flow) if isinstance(value, str) else scalar_text(value)


def scalar_text(value: str | bool) -> str:
    """Return a text or boolean as the text of its scalar."""
    return value if isinstance(value, str) else "true" if value else "false"


def _removed(text: str, mapping: Mapping, parent: Scalar | None, name: str) -> str:
    key, value = _entry(mapping, name)
    if key is None or value is None:
        return text
    end = max(key.end, content_end(value))
    if len(mapping.entries) == 1 and parent is not None and not mapping.flow:
        # An empty mapping needs braces: without them the section would have no value.
        return f"{text[: parent.end]}: {{}}{text[line_end(text, end) :]}"
    if mapping.flow:
        after = re.compile(r"\s*,[ \t]*").match(text, end)
        before = re.compile(r",\s*$").search(text[: key.start])
        if after:
            return text[: key.start] + text[after.end() :]
        return (text[: before.start()] if before else text[: key.start]) + text[end:]
    start = text.rfind("\n", 0, key.start) + 1
    return text[:start] + text[next_line(text, end) :]


def _set(tree: dict[str, Any], path: Sequence[str], value: Value) -> None:
    for name in path[:-1]:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = tree[name]
    if value is None:
        tree.pop(path[-1], None)
    else:
        tree[path[-1]] = dict(value) if isinstance(value, Values) else scalar_text(value)


def _cannot_change(change: ManifestChange) -> CannotChange:
    if change.value is None:
        hint = f"remove `{change.name}` by hand"
    elif isinstance(change.value, (str, bool)):
        hint = f"set `{change.name}` to {_written(change.value)} by hand"
    else:
        hint = f"add `{change.name}` by hand, with handler {change.value.get('handler')}"
    return CannotChange(f"{MANIFEST_NAME} is written in a way that ckfunc cannot change", hint=hint)
