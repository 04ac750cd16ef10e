"""Edits of YAML text that change no other byte.

In inserted text, NUL, which YAML cannot contain, is a placeholder for the file's newline; `checked` replaces it.
"""

from __future__ import annotations

import re
from typing import Any

from ckfunc.base.errors import InvalidManifest
from ckfunc.manifest.tree import Mapping, Node, Scalar, Sequence, parse

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
