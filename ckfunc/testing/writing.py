"""Addition of a case to a test file.

Text is inserted at the right place, so that no other byte changes.
"""

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
    """The test file is written in a way that ckfunc cannot add to."""


def new_file(case: Mapping[str, Any], schema: str) -> str:
    """Return a test file with one case; `schema` is where its JSON schema lies, seen from the file."""
    lines = [f"# yaml-language-server: $schema={schema}", f"type: {scalar(str(case['type']))}", "", "cases:"]
    return "\n".join([*lines, *_item(_without_type(case), 2)]) + "\n"


def with_case(text: str, case: Mapping[str, Any], path: str) -> str:
    """Return the test file `text` with `case` as its last one.

    Its type is left away where the file says the same. Raises CannotAddCase when the result would be another than is
    wanted, and InvalidCases for a file that is not YAML; `path` is what the file is called.
    """
    root = _parsed(text, path)
    cases = next((value for key, value in root.entries if isinstance(key, Scalar) and key.text == "cases"), None)
    if not isinstance(cases, Sequence) or not cases.items or cases.flow:
        raise _by_hand(path)
    whole = next((value for key, value in root.entries if isinstance(key, Scalar) and key.text == "type"), None)
    said = isinstance(whole, Scalar) and whole.text == case["type"]
    wanted = _without_type(case) if said else case
    column = cases.column - 1
    lines = _item(wanted, column)
    want = data(root)
    want["cases"] = [*want["cases"], data(_parsed("\n".join(lines) + "\n", path, item=True))]
    edited = append(text, end_of(text, cases, column + 1), spaced(text, cases, lines))
    added = checked(text, edited, want, path)
    if added is None:
        raise _by_hand(path)
    return added


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of the cases in a test file, whatever else may be wrong with it."""
    try:
        root = parse(text.removeprefix("\ufeff"), "")
    except InvalidManifest:
        return ()
    document = data(root) if root is not None else None
    cases = document.get("cases") if isinstance(document, dict) else None
    found = [one.get("name") for one in cases if isinstance(one, dict)] if isinstance(cases, list) else []
    return tuple(one for one in found if isinstance(one, str))


def case_text(case: Mapping[str, Any]) -> str:
    """Return a case as it looks in a file."""
    return "\n".join(_item(case, 2)) + "\n"


def _parsed(text: str, path: str, *, item: bool = False) -> Any:
    try:
        root = parse(text, path)
    except InvalidManifest as error:
        raise refused(error.problems) from None
    if item:
        return root.items[0] if isinstance(root, Sequence) else None
    if not isinstance(root, Tree) or root.flow:
        raise _by_hand(path)
    return root


def _by_hand(path: str) -> CannotAddCase:
    return CannotAddCase(
        f"{path} is written in a way that ckfunc cannot add to",
        hint="give another --file, or write `cases:` as a list whose items begin with `- `",
    )


def _without_type(case: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in case.items() if name != "type"}


def _item(case: Mapping[str, Any], column: int) -> list[str]:
    lines = _block(case)
    return [f"{' ' * column}- {lines[0]}", *(f"{' ' * column}  {line}" if line else "" for line in lines[1:])]


def _block(document: Mapping[str, Any], width: int = _WIDTH) -> list[str]:
    """Return the lines of a mapping, what is short in braces."""
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
    for one in items:
        flow = _flow(one)
        if isinstance(one, dict) and one and len(flow) + 2 > width:
            inner = _block(one, width - 2)
        elif isinstance(one, list) and one and len(flow) + 2 > width:
            inner = _list(one, width - 2)
        else:
            inner = [flow]
        lines += [f"- {inner[0]}", *(f"  {line}" for line in inner[1:])]
    return lines


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(_text(name), flow=True)}: {_flow(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_flow(one) for one in value) + "]"
    if isinstance(value, str):
        return scalar(_text(value), flow=True)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def _text(text: str) -> str:
    """Return what YAML can hold: half surrogate pairs are no Unicode."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)
