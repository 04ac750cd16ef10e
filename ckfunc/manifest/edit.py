"""Add entries to `functions.yaml` in place.

Text is inserted at the right place, so that no other byte changes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from ckfunc.base.containment import require_inside
from ckfunc.base.errors import CkfuncError, InvalidManifest, NoProject, Problem
from ckfunc.base.files import write_atomically
from ckfunc.manifest.definition import FUNCTION_TYPE, HANDLER_PATH, MANIFEST_NAME
from ckfunc.manifest.kinds import Rule
from ckfunc.manifest.scalars import retyped_as
from ckfunc.manifest.sources import Complaint, read_text, without_bom
from ckfunc.manifest.tree import Mapping, Node, Scalar, parse, refused

_DEFAULT_STEP = 2


class CannotAdd(CkfuncError):
    """The entry cannot be added to the manifest as it stands."""


def add_function(root: Path, trigger_type: str, handler: str) -> None:
    """Add `trigger_type` with its `handler` (a path relative to `root`) to the manifest, and change nothing else in it.

    The section `functions` is added when it is missing. The file's indentation, newlines and style are kept. Raises
    CannotAdd when the entry exists or is not valid, InvalidManifest when the file is not YAML, NoProject when there is
    none. Mistakes elsewhere in the manifest do not matter.
    """
    for rules, value, what in ((FUNCTION_TYPE, trigger_type, "trigger type"), (HANDLER_PATH, handler, "handler")):
        _require(rules, value, what)
    require_inside(root, root / MANIFEST_NAME, followed=True)
    path = (root / MANIFEST_NAME).resolve()
    if not path.exists():
        raise NoProject(f"there is no {MANIFEST_NAME} in {root}", "run `ckfunc init` to make a project")
    text = read_text(path, MANIFEST_NAME)
    if isinstance(text, Complaint):
        raise refused(Problem(MANIFEST_NAME, text.line, text.column, text.message, text.hint))
    bare = without_bom(text)
    mark = text[: len(text) - len(bare)]
    write_atomically(path, mark + with_function(bare, trigger_type, handler), mode=path.stat().st_mode & 0o777)


def with_function(text: str, trigger_type: str, handler: str) -> str:
    """Return the manifest `text` with an entry more. Raises as `add_function` does."""
    before = parse(text, MANIFEST_NAME)
    if before is not None and not isinstance(before, Mapping):
        raise refused(Problem(MANIFEST_NAME, before.line, before.column, "the file must be a mapping of known keys"))
    newline = "\r\n" if "\r\n" in text else "\n"
    added = _inserted(text, before, trigger_type, handler).replace("\x00", newline)
    want = data(before) if before else {}
    want["functions"] = {**(want.get("functions") or {}), trigger_type: {"handler": handler}}
    try:
        after = parse(added, MANIFEST_NAME)
    except InvalidManifest:
        after = None
    if after is None or data(after) != want:
        hint = f"add it by hand under `functions`: `{_quoted(trigger_type)}: {{handler: {_quoted(handler)}}}`"
        raise CannotAdd(f"{MANIFEST_NAME} is written in a way that ckfunc cannot add to", hint)
    return added


def _inserted(text: str, root: Mapping | None, trigger_type: str, handler: str) -> str:
    """Return `text` with the entry put in; NUL, which no YAML holds, stands for the file's newline."""
    key, path = _quoted(trigger_type), _quoted(handler)
    if root is None:
        return append(text, len(text), [f"functions:\0  {key}:\0    handler: {path}"])
    found = next(((k, v) for k, v in root.entries if isinstance(k, Scalar) and k.text == "functions"), None)
    step = step_of(root)
    if root.flow and (found is None or not isinstance(found[1], Mapping)):
        return into_flow(text, root, f"functions: {{{key}: {{handler: {path}}}}}")
    if found is None:
        lines = ["functions:", f"{' ' * step}{key}:", f"{' ' * 2 * step}handler: {path}"]
        return append(text, end_of(text, root, 0), spaced(text, root, lines))
    name, section = found
    if isinstance(section, Mapping) and section.start > name.start:
        return _into_section(text, section, step, (trigger_type, key, path), root_is_flow=root.flow)
    if isinstance(section, Scalar) and section.plain and not section.text:
        lines = [f"{' ' * step}{key}:", f"{' ' * 2 * step}handler: {path}"]
        return append(text, _skip_comments(text, next_line(text, name.end), 1), lines)
    hint = "write the section out as a mapping, or remove it"
    raise refused(Problem(MANIFEST_NAME, name.line, name.column, "functions is not a mapping of its own", hint))


def _into_section(text: str, section: Mapping, step: int, entry: tuple[str, str, str], *, root_is_flow: bool) -> str:
    trigger_type, key, path = entry
    for known, _ in section.entries:
        if isinstance(known, Scalar) and known.text == trigger_type:
            message = f"{MANIFEST_NAME} already has {trigger_type} (line {known.line})"
            raise CannotAdd(message, "remove that entry first, or choose another trigger type")
    if section.flow and not section.entries and not root_is_flow:
        # `functions: {}` becomes a block; a comment after it stays where it is.
        kept = text[: section.start].rstrip(" ") + text[section.end :]
        point = next_line(kept, len(text[: section.start].rstrip(" ")))
        return append(kept, point, [f"{' ' * step}{key}:", f"{' ' * 2 * step}handler: {path}"])
    if section.flow:
        return into_flow(text, section, f"{key}: {{handler: {path}}}")
    column = _column(section)
    inner = next((found - column for _, value in section.entries if (found := _column(value)) > column), step)
    lines = [f"{' ' * column}{key}:", f"{' ' * (column + inner)}handler: {path}"]
    return append(text, end_of(text, section, column), spaced(text, section, lines))


def into_flow(text: str, mapping: Mapping, entry: str) -> str:
    """Put `entry` first between the braces: what stands last there may be a comma or a comment."""
    rest = text[mapping.start + 1 :]
    if not mapping.entries:
        return text[: mapping.start + 1] + entry + rest
    indented = re.match(r"[ \t]*\r?\n([ \t]*)", rest)
    lead, trail = (f"\0{indented[1]}", ",") if indented else ("", ", ")
    space = "" if indented else re.match(r" *", rest)[0]  # type: ignore[index]  # matches every text
    return text[: mapping.start + 1] + lead + space + entry + trail + rest[len(space) :]


def append(text: str, point: int, lines: list[str]) -> str:
    """Return `text` with `lines` put in at `point`, NUL for newlines."""
    head, tail = text[:point], text[point:]
    start = "" if not head or head.endswith(("\n", "\r")) else "\0"
    return head + start + "\0".join(lines) + "\0" + tail


def spaced(text: str, mapping: Mapping, lines: list[str]) -> list[str]:
    """Return `lines` after an empty one when the mapping's last two entries have one between them."""
    keys = [key.start for key, _ in mapping.entries][-2:]
    gap = len(keys) == 2 and re.search(r"\n[ \t]*\r?\n", text[keys[0] : keys[1]])
    return ["", *lines] if gap else lines


def end_of(text: str, mapping: Mapping, column: int) -> int:
    """Return the offset of the line after a block mapping, and after the comments that belong to it."""
    end = content_end(mapping)
    at_line_start = end > 0 and text[end - 1] in "\r\n"
    return _skip_comments(text, end if at_line_start else next_line(text, end), column)


def content_end(node: Node) -> int:
    """Return the offset behind the last character of `node` itself; aliased parts stand elsewhere, and before."""
    if not isinstance(node, Mapping) or node.flow:
        return node.start if isinstance(node, Scalar) and node.plain and not node.text else node.end
    return max(
        (content_end(part) if _has_text(part) else 0 for pair in node.entries for part in pair), default=node.end
    )


def _has_text(node: Node) -> bool:
    return not (isinstance(node, Scalar) and node.plain and not node.text)


def next_line(text: str, offset: int) -> int:
    """Return where the line after that of `offset` starts."""
    found = re.compile(r"\r\n|\n|\r|\Z").search(text, offset)
    return found.end() if found else len(text)


def _skip_comments(text: str, offset: int, column: int) -> int:
    comment = re.compile(rf"[ ]{{{column},}}#[^\r\n]*(?:\r\n|\n|\r|\Z)")
    while offset < len(text) and (found := comment.match(text, offset)):
        offset = found.end()
    return offset


def step_of(root: Mapping) -> int:
    """Return how many spaces the file indents by."""
    if root.flow:
        return _DEFAULT_STEP
    return next((column for _, value in root.entries if (column := _column(value)) > 0), _DEFAULT_STEP)


def _column(node: Node) -> int:
    """Return how far the keys of a block mapping are indented (the mapping itself may start at an anchor), else 0."""
    return node.entries[0][0].column - 1 if isinstance(node, Mapping) and not node.flow else 0


def _quoted(text: str) -> str:
    plain = re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]*", text) and retyped_as(text) is None
    return text if plain else json.dumps(text, ensure_ascii=False)


def data(node: Node) -> Any:
    """Return the texts, lists and dicts of a tree; an empty value is None."""
    if isinstance(node, Scalar):
        return node.text if _has_text(node) else None
    if isinstance(node, Mapping):
        return {
            repr(data(key)) if not isinstance(key, Scalar) else key.text: data(value) for key, value in node.entries
        }
    return [data(item) for item in node.items]


def _require(rules: tuple[Rule, ...], value: str, what: str) -> None:
    if broken := next((rule for rule in rules if not rule.allows(value)), None):
        raise CannotAdd(f"{what} {value!r} {broken.wrong}", broken.hint)
