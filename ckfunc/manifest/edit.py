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
from ckfunc.base.errors import CkfuncError, InvalidManifest, NoProject, Problem
from ckfunc.base.files import write_atomically
from ckfunc.manifest.definition import FUNCTION_TYPE, HANDLER_PATH, MANIFEST_NAME
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.scalars import scalar
from ckfunc.manifest.sources import Complaint, read_text, without_bom
from ckfunc.manifest.tree import Mapping, Node, Scalar, parse, refused

_DEFAULT_STEP = 2


class CannotAdd(CkfuncError):
    """The entry cannot be added to the manifest in its current form."""


def add_function(root: Path, trigger_type: str, handler: str) -> None:
    """Add `trigger_type` with its `handler` (a path relative to `root`) to the manifest, and change nothing else in it.

    The section `functions` is added if it is missing. The file's indentation, newlines and style are kept. Raises
    CannotAdd if the entry exists or is not valid, InvalidManifest if the file is not YAML, NoProject if there is none.
    Errors elsewhere in the manifest are ignored.
    """
    for rules, value, what in ((FUNCTION_TYPE, trigger_type, "trigger type"), (HANDLER_PATH, handler, "handler")):
        _require_valid(rules, value, what)
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
    before = parse(text, MANIFEST_NAME)
    if before is not None and not isinstance(before, Mapping):
        raise refused(Problem(MANIFEST_NAME, before.line, before.column, "the file must be a mapping of known keys"))
    newline = "\r\n" if "\r\n" in text else "\n"
    added = _insert_function(text, before, trigger_type, handler).replace("\x00", newline)
    expected = data(before) if before else {}
    expected["functions"] = {**(expected.get("functions") or {}), trigger_type: {"handler": handler}}
    try:
        after = parse(added, MANIFEST_NAME)
    except InvalidManifest:
        after = None
    if after is None or data(after) != expected:
        hint = f"add it by hand under `functions`: `{scalar(trigger_type)}: {{handler: {scalar(handler)}}}`"
        raise CannotAdd(f"{MANIFEST_NAME} is written in a way that ckfunc cannot add to", hint)
    return added


def _insert_function(text: str, root: Mapping | None, trigger_type: str, handler: str) -> str:
    """Return `text` with the entry inserted; NUL, which YAML cannot contain, is a placeholder for newlines."""
    key, path = scalar(trigger_type, flow=True), scalar(handler, flow=True)
    if root is None:
        return append(text, len(text), [f"functions:\0  {key}:\0    handler: {path}"])
    found = next(((k, v) for k, v in root.entries if isinstance(k, Scalar) and k.text == "functions"), None)
    step = step_of(root)
    if root.flow and (found is None or not isinstance(found[1], Mapping)):
        return insert_into_flow(text, root, f"functions: {{{key}: {{handler: {path}}}}}")
    if found is None:
        lines = ["functions:", f"{' ' * step}{key}:", f"{' ' * 2 * step}handler: {path}"]
        return append(text, end_of(text, root, 0), spaced(text, root, lines))
    name, section = found
    if isinstance(section, Mapping) and section.start > name.start:
        return _insert_into_section(text, section, step, (trigger_type, key, path), root_is_flow=root.flow)
    if isinstance(section, Scalar) and section.plain and not section.text:
        lines = [f"{' ' * step}{key}:", f"{' ' * 2 * step}handler: {path}"]
        return append(text, _skip_comments(text, next_line(text, name.end), 1), lines)
    hint = "write the section out as a mapping, or remove it"
    raise refused(Problem(MANIFEST_NAME, name.line, name.column, "functions is not a mapping in the file itself", hint))


def _insert_into_section(
    text: str, section: Mapping, step: int, entry: tuple[str, str, str], *, root_is_flow: bool
) -> str:
    trigger_type, key, path = entry
    for known, _ in section.entries:
        if isinstance(known, Scalar) and known.text == trigger_type:
            message = f"{MANIFEST_NAME} already has {trigger_type} (line {known.line})"
            raise CannotAdd(message, "remove that entry first, or choose another trigger type")
    if section.flow and not section.entries and not root_is_flow:
        # `functions: {}` becomes a block; a comment after it keeps its place.
        rest = text[: section.start].rstrip(" ") + text[section.end :]
        point = next_line(rest, len(text[: section.start].rstrip(" ")))
        return append(rest, point, [f"{' ' * step}{key}:", f"{' ' * 2 * step}handler: {path}"])
    if section.flow:
        return insert_into_flow(text, section, f"{key}: {{handler: {path}}}")
    column = _column(section)
    inner = next((found - column for _, value in section.entries if (found := _column(value)) > column), step)
    lines = [f"{' ' * column}{key}:", f"{' ' * (column + inner)}handler: {path}"]
    return append(text, end_of(text, section, column), spaced(text, section, lines))


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


def spaced(text: str, mapping: Mapping, lines: list[str]) -> list[str]:
    """Return `lines`, after an empty line if there is one between the last two entries of the mapping."""
    keys = [key.start for key, _ in mapping.entries][-2:]
    gap = len(keys) == 2 and re.search(r"\n[ \t]*\r?\n", text[keys[0] : keys[1]])
    return ["", *lines] if gap else lines


def end_of(text: str, mapping: Mapping, column: int) -> int:
    """Return the offset of the line after a block mapping and the comments that belong to it."""
    end = content_end(mapping)
    at_line_start = end > 0 and text[end - 1] in "\r\n"
    return _skip_comments(text, end if at_line_start else next_line(text, end), column)


def content_end(node: Node) -> int:
    """Return the offset after the last character of `node`, without aliased parts, which are elsewhere in the file."""
    if not isinstance(node, Mapping) or node.flow:
        return node.start if isinstance(node, Scalar) and node.plain and not node.text else node.end
    return max(
        (content_end(part) if _has_text(part) else 0 for pair in node.entries for part in pair), default=node.end
    )


def _has_text(node: Node) -> bool:
    return not (isinstance(node, Scalar) and node.plain and not node.text)


def next_line(text: str, offset: int) -> int:
    """Return the offset of the start of the next line after `offset`."""
    line_end = re.compile(r"\r\n|\n|\r|\Z").search(text, offset)
    return line_end.end() if line_end else len(text)


def _skip_comments(text: str, offset: int, column: int) -> int:
    comment = re.compile(rf"[ ]{{{column},}}#[^\r\n]*(?:\r\n|\n|\r|\Z)")
    while offset < len(text) and (found := comment.match(text, offset)):
        offset = found.end()
    return offset


def step_of(root: Mapping) -> int:
    """Return the number of spaces per level of indentation in the file."""
    if root.flow:
        return _DEFAULT_STEP
    return next((column for _, value in root.entries if (column := _column(value)) > 0), _DEFAULT_STEP)


def _column(node: Node) -> int:
    """Return the indentation of the keys of a block mapping (which may itself start at an anchor); otherwise 0."""
    return node.entries[0][0].column - 1 if isinstance(node, Mapping) and not node.flow else 0


def data(node: Node) -> Any:
    """Return a tree as texts, lists and dicts; an empty value is None."""
    if isinstance(node, Scalar):
        return node.text if _has_text(node) else None
    if isinstance(node, Mapping):
        return {
            repr(data(key)) if not isinstance(key, Scalar) else key.text: data(value) for key, value in node.entries
        }
    return [data(item) for item in node.items]


def _require_valid(rules: tuple[Rule, ...], value: str, what: str) -> None:
    if broken := next((rule for rule in rules if not rule.allows(value)), None):
        raise CannotAdd(f"{what} {value!r} {broken.wrong}", broken.hint)


Value: TypeAlias = "str | Values[str, str] | None"


class CannotChange(CkfuncError):
    """The manifest is written in a form that ckfunc cannot edit."""


@dataclass(frozen=True, slots=True)
class ManifestChange:
    """A new value at a path: a text, a mapping of texts for a new entry, or None to remove the entry."""

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
    if not isinstance(root, Mapping):
        raise _cannot_change(change)
    expected = data(root)
    _set(expected, change.path, change.value)
    newline = "\r\n" if "\r\n" in text else "\n"
    changed = _edited(text, root, change).replace("\x00", newline)
    try:
        after = parse(changed, MANIFEST_NAME)
    except InvalidManifest:
        after = None
    if after is None or data(after) != expected:
        raise _cannot_change(change)
    return changed


def _edited(text: str, root: Mapping, change: ManifestChange) -> str:
    """Return `text` edited; NUL, which YAML cannot contain, is a placeholder for the file's newline."""
    mapping, parent = root, None
    for depth, name in enumerate(change.path):
        key, value = _entry(mapping, name)
        if key is None:
            if change.value is None:
                raise _cannot_change(change)
            return _inserted(text, root, mapping, change.path[depth:], change.value)
        if value is None or value.start < key.start:  # an alias: the value is elsewhere in the file, and shared
            raise _cannot_change(change)
        if depth == len(change.path) - 1:
            return _removed(text, mapping, parent, name) if change.value is None else _replaced(text, value, change)
        if not isinstance(value, Mapping):
            raise _cannot_change(change)
        mapping, parent = value, key
    raise _cannot_change(change)


def _entry(mapping: Mapping, name: str) -> tuple[Scalar | None, Node | None]:
    for key, value in mapping.entries:
        if isinstance(key, Scalar) and key.text == name:
            return key, value
    return None, None


def _inserted(text: str, root: Mapping, mapping: Mapping, path: Sequence[str], value: str | Values[str, str]) -> str:
    if mapping.flow:
        return insert_into_flow(text, mapping, _flow(path, value))
    column = mapping.entries[0][0].column - 1
    lines = [f"{' ' * column}{line}" for line in _block(path, value, step_of(root))]
    if isinstance(value, Values) or mapping is root:
        lines = spaced(text, mapping, lines)
    return append(text, end_of(text, mapping, column), lines)


def _flow(path: Sequence[str], value: str | Values[str, str]) -> str:
    if isinstance(value, str):
        written = scalar(value, flow=True)
    else:
        pairs = (f"{scalar(key, flow=True)}: {scalar(text, flow=True)}" for key, text in value.items())
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
        assert not isinstance(value, str)  # noqa: S101 - handled above; for the type checker
        inner = [f"{scalar(name)}: {scalar(text)}" for name, text in value.items()]
    return [f"{key}:", *(f"{' ' * step}{line}" for line in inner)]


def _replaced(text: str, old: Node, change: ManifestChange) -> str:
    if not isinstance(old, Scalar) or old.block or old.start == old.end or not isinstance(change.value, str):
        raise _cannot_change(change)
    # `flow=True` quotes more than needed in a block, but is correct inside braces too.
    return text[: old.start] + scalar(change.value, flow=True) + text[old.end :]


def _removed(text: str, mapping: Mapping, parent: Scalar | None, name: str) -> str:
    key, value = _entry(mapping, name)
    if key is None or value is None:
        return text
    end = max(key.end, content_end(value))
    if len(mapping.entries) == 1 and parent is not None and not mapping.flow:
        # An empty mapping needs braces: without them the section would have no value.
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
    """Return the offset of the end of the line of `offset`, without its newline."""
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


def _cannot_change(change: ManifestChange) -> CannotChange:
    if change.value is None:
        hint = f"remove `{change.name}` by hand"
    elif isinstance(change.value, str):
        hint = f"set `{change.name}` to {scalar(change.value)} by hand"
    else:
        hint = f"add `{change.name}` by hand, with handler {change.value.get('handler')}"
    return CannotChange(f"{MANIFEST_NAME} is written in a way that ckfunc cannot change", hint=hint)
