"""In-place edits of `functions.yaml` and other YAML files.

Text is inserted, replaced or removed at one place, so that no other byte of the file changes. In inserted text, NUL,
which YAML cannot contain, is a placeholder for the file's newline; `checked` replaces it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Values
from collections.abc import Sequence as Items
from dataclasses import field
from pathlib import Path
from typing import Any, TypeAlias

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError, InvalidManifest, NoProject, Problem
from ckfunc.base.files import write_atomically
from ckfunc.base.frozen import frozen
from ckfunc.manifest.definition import FUNCTION_TYPE, HANDLER_PATH, MANIFEST_NAME
from ckfunc.manifest.kinds import Rule, violated
from ckfunc.manifest.sources import Complaint, read_text, without_bom
from ckfunc.manifest.tree import Mapping, Node, Scalar, Sequence, parse, refused, scalar


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
        raise refused(text.problem(MANIFEST_NAME))
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
    if broken := violated(rules, value):
        raise CannotAdd(f"{name} {value!r} {broken.wrong}", broken.hint)


NewValue: TypeAlias = str | bool | Values[str, str]
Value: TypeAlias = NewValue | None


class CannotChange(CkfuncError):
    """The manifest is written in a form that ckfunc cannot edit."""


@frozen
class ManifestChange:
    """A new value at a path: a text, a boolean, a mapping of texts for a new entry, or None to remove it."""

    path: tuple[str, ...]
    value: Value = field(repr=False)

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)


def with_changes(text: str, changes: Items[ManifestChange]) -> str:
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
    path: Items[str],
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


def _flow(path: Items[str], value: NewValue) -> str:
    if isinstance(value, (str, bool)):
        written = _written(value, flow=True)
    else:
        pairs = (f"{scalar(key, flow=True)}: {scalar(text, flow=True)}" for key, text in value.items())
        written = f"{{{', '.join(pairs)}}}"
    for key in reversed(path[1:]):
        written = f"{{{scalar(key, flow=True)}: {written}}}"
    return f"{scalar(path[0], flow=True)}: {written}"


def _block(path: Items[str], value: NewValue, step: int) -> list[str]:
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


def _set(tree: dict[str, Any], path: Items[str], value: Value) -> None:
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


DEFAULT_STEP = 2


def checked(before: str, edited: str, expected: Any, path: str) -> str | None:
    """Return the edited text with the newlines of `before`; None unless its data is `expected`."""
    text = edited.replace("\0", "\r\n" if "\r\n" in before else "\n")
    try:
        after = parse(text, path)
    except InvalidManifest:
        return None
    return text if after is not None and data(after) == expected else None


def insert_into_flow(text: str, mapping: Mapping, entry: str) -> str:
    """Insert `entry` as the first one in braces, because after the last one there may be a comma or a comment."""
    rest = text[mapping.start + 1 :]
    if not mapping.entries:
        return text[: mapping.start + 1] + entry + rest
    indented = re.match(r"[ \t]*\r?\n([ \t]*)", rest)
    lead, trail = (f"\0{indented[1]}", ",") if indented else ("", ", ")
    space = "" if indented else re.match(r" *", rest)[0]  # type: ignore[index]  # matches every text
    return text[: mapping.start + 1] + lead + space + entry + trail + rest[len(space) :]


def append(text: str, point: int, lines: list[str]) -> str:
    """Return `text` with `lines` inserted at the offset `point`, with NUL for newlines."""
    head, tail = text[:point], text[point:]
    start = "" if not head or head.endswith(("\n", "\r")) else "\0"
    return head + start + "\0".join(lines) + "\0" + tail


def spaced(text: str, collection: Mapping | Sequence, lines: list[str]) -> list[str]:
    """Return `lines`, after an empty line if there is one between the last two entries of the collection."""
    entries = collection.items if isinstance(collection, Sequence) else [key for key, _ in collection.entries]
    starts = [entry.start for entry in entries][-2:]
    gap = len(starts) == 2 and re.search(r"\n[ \t]*\r?\n", text[starts[0] : starts[1]])
    return ["", *lines] if gap else lines


def end_of(text: str, collection: Mapping | Sequence, column: int) -> int:
    """Return the offset of the line after a block, and after the comments below it from `column` on."""
    end = content_end(collection)
    at_line_start = end > 0 and text[end - 1] in "\r\n"
    return skip_comments(text, end if at_line_start else next_line(text, end), column)


def content_end(node: Node) -> int:
    """Return the offset after the last character of `node`, without aliased parts, which are elsewhere in the file."""
    if isinstance(node, Scalar):
        return node.end if has_text(node) else node.start
    if node.flow:
        return node.end
    parts = node.items if isinstance(node, Sequence) else [part for pair in node.entries for part in pair]
    return max((content_end(part) if has_text(part) else 0 for part in parts), default=node.end)


def has_text(node: Node) -> bool:
    """Return whether a node is more than an empty value."""
    return not (isinstance(node, Scalar) and node.plain and not node.text)


def next_line(text: str, offset: int) -> int:
    """Return the offset of the start of the next line after `offset`."""
    line_end = re.compile(r"\r\n|\n|\r|\Z").search(text, offset)
    return line_end.end() if line_end else len(text)


def line_end(text: str, offset: int) -> int:
    """Return the offset of the end of the line of `offset`, without its newline."""
    if offset and text[offset - 1] in "\r\n":
        return len(text[:offset].rstrip("\r\n"))
    match = re.compile(r"\r\n|\n|\r|\Z").search(text, offset)
    return match.start() if match else len(text)


def skip_comments(text: str, offset: int, column: int) -> int:
    """Return the offset after the comment lines at `offset` that are indented by at least `column`."""
    comment = re.compile(rf"[ ]{{{column},}}#[^\r\n]*(?:\r\n|\n|\r|\Z)")
    while offset < len(text) and (match := comment.match(text, offset)):
        offset = match.end()
    return offset


def step_of(root: Mapping) -> int:
    """Return the number of spaces per level of indentation in the file."""
    if root.flow:
        return DEFAULT_STEP
    return next((column for _, value in root.entries if (column := column_of(value)) > 0), DEFAULT_STEP)


def column_of(node: Node) -> int:
    """Return the indentation of the keys of a block mapping (which may itself start at an anchor); otherwise 0."""
    return node.entries[0][0].column - 1 if isinstance(node, Mapping) and not node.flow else 0


def data(node: Node) -> Any:
    """Return a tree as texts, lists and dicts; an empty value is None."""
    if isinstance(node, Scalar):
        return node.text if has_text(node) else None
    if isinstance(node, Mapping):
        return {
            repr(data(key)) if not isinstance(key, Scalar) else key.text: data(value) for key, value in node.entries
        }
    return [data(item) for item in node.items]
