"""Add a case to a test file, without changing any other text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ckfunc.base.errors import CkfuncError, InvalidManifest
from ckfunc.manifest.insertion import append, checked, data, end_of, spaced
from ckfunc.manifest.scalars import scalar
from ckfunc.manifest.tree import Mapping as Tree
from ckfunc.manifest.tree import Scalar, Sequence, parse
from ckfunc.testing.reading import refused

_WIDTH = 110


class CannotAddCase(CkfuncError):
    """The format of a test file does not allow the addition of a case."""


def new_file(case: Mapping[str, Any], schema: str) -> str:
    """Return a test file with a single case. `schema` is the path of its JSON schema, relative to the file."""
    heading = [f"type: {scalar(str(case['type']))}", ""] if "type" in case else []
    lines = [f"# yaml-language-server: $schema={schema}", *heading, "cases:"]
    return "\n".join([*lines, *_item(_without_type(case), 2)]) + "\n"


def with_case(text: str, case: Mapping[str, Any], path: str) -> str:
    """Return the test file `text` with `case` as its last case, without its type if that is the file's.

    `path` is the file's name in messages. Raises CannotAddCase if the file would not be read as expected, and
    InvalidCases for a file that is not YAML.
    """
    root = _parsed(text, path)
    cases = next((value for key, value in root.entries if isinstance(key, Scalar) and key.text == "cases"), None)
    if not isinstance(cases, Sequence) or not cases.items or cases.flow:
        raise _unsupported(path)
    file_type = next((value for key, value in root.entries if isinstance(key, Scalar) and key.text == "type"), None)
    has_file_type = isinstance(file_type, Scalar) and file_type.text == case.get("type")
    entry = _without_type(case) if has_file_type else case
    column = cases.column - 1
    lines = _item(entry, column)
    want = data(root)
    want["cases"] = [*want["cases"], data(_parsed("\n".join(lines) + "\n", path, item=True))]
    edited = append(text, end_of(text, cases, column + 1), spaced(text, cases, lines))
    added = checked(text, edited, want, path)
    if added is None:
        raise _unsupported(path)
    return added


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of the cases in a test file, even if it has mistakes."""
    try:
        root = parse(text.removeprefix("\ufeff"), "")
    except InvalidManifest:
        return ()
    document = data(root) if root is not None else None
    cases = document.get("cases") if isinstance(document, dict) else None
    names = [case.get("name") for case in cases if isinstance(case, dict)] if isinstance(cases, list) else []
    return tuple(name for name in names if isinstance(name, str))


def case_text(case: Mapping[str, Any]) -> str:
    """Return the YAML text of a case."""
    return "\n".join(_item(case, 2)) + "\n"


def _parsed(text: str, path: str, *, item: bool = False) -> Any:
    try:
        root = parse(text, path)
    except InvalidManifest as error:
        raise refused(error.problems) from None
    if item:
        return root.items[0] if isinstance(root, Sequence) else None
    if not isinstance(root, Tree) or root.flow:
        raise _unsupported(path)
    return root


def _unsupported(path: str) -> CannotAddCase:
    return CannotAddCase(
        f"ckfunc cannot add a case to {path} because of its format",
        hint="use another --file, or write `cases:` as a list whose items begin with `- `",
    )


def _without_type(case: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name != "type"}


def _item(case: Mapping[str, Any], column: int) -> list[str]:
    lines = _block(case)
    return [f"{' ' * column}- {lines[0]}", *(f"{' ' * column}  {line}" if line else "" for line in lines[1:])]


def _block(document: Mapping[str, Any], width: int = _WIDTH) -> list[str]:
    """Return the lines of a mapping. Short values are in braces."""
    lines: list[str] = []
    for name, value in document.items():
        key = scalar(_text(name))
        flow = _flow(value)
        if not isinstance(value, dict | list) or not value or len(key) + 2 + len(flow) <= width:
            lines.append(f"{key}: {flow}")
        elif isinstance(value, dict):
            lines += [f"{key}:", *(f"  {line}" for line in _block(value, width - 2))]
        else:
            lines += [f"{key}:", *(f"  {line}" for line in _list(value, width - 2))]
    return lines


def _list(items: list[Any], width: int) -> list[str]:
    lines: list[str] = []
    for item in items:
        flow = _flow(item)
        if isinstance(item, dict) and item and len(flow) + 2 > width:
            inner = _block(item, width - 2)
        elif isinstance(item, list) and item and len(flow) + 2 > width:
            inner = _list(item, width - 2)
        else:
            inner = [flow]
        lines += [f"- {inner[0]}", *(f"  {line}" for line in inner[1:])]
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(_text(name), flow=True)}: {_flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(item) for item in value) + "]"
    if isinstance(value, str):
        return scalar(_text(value), flow=True)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _text(text: str) -> str:
    """Replace lone surrogates, which YAML cannot contain."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)
