"""Which JSON value a node of YAML is: the one that every reader takes it for, or a complaint."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from ckfunc.manifest.scalars import boolean, retyped_as
from ckfunc.manifest.tree import Mapping, Node, Scalar

Report = Callable[[Node, str, str], None]
"""Takes a node, what is wrong with it, and a hint."""

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_MOST_DIGITS = 400


def json_value(node: Node, report: Report) -> Any:
    """Return what JSON would call the node; what is not clear is reported, and null in the result."""
    if isinstance(node, Scalar):
        return _scalar(node, report)
    if isinstance(node, Mapping):
        return _object(node, report)
    return [json_value(one, report) for one in node.items]


def _object(node: Mapping, report: Report) -> dict[str, Any]:
    found: dict[str, Any] = {}
    first: dict[str, Scalar] = {}
    for key, value in node.entries:
        if not isinstance(key, Scalar):
            report(key, "a key must be a single text", "quote it if it starts with { or [")
        elif (other := first.setdefault(key.text, key)) is not key:
            report(key, f"duplicate key, first at line {other.line}, column {other.column}", "keep one")
        elif key.plain and key.text == "<<":
            report(key, "merge keys are not supported", "write the entries out, or quote the key")
        else:
            found[key.text] = json_value(value, report)
    return found


def _scalar(node: Scalar, report: Report) -> Any:
    if not node.plain:
        return node.text
    if (flag := boolean(node.text)) is not None:
        return flag
    number = _NUMBER.fullmatch(node.text)
    if number and len(node.text) < _MOST_DIGITS:
        value = int(node.text) if node.text.lstrip("-").isdigit() else float(node.text)
        if value not in (float("inf"), float("-inf")):
            return value
    retyped = retyped_as(node.text)
    if retyped == "null":
        return None
    if retyped is not None:
        meant = " (or write true or false)" if retyped == "a boolean" else ""
        report(
            node, f"this is {retyped} for some readers and a text for others", f'quote it: "{node.text[:40]}"{meant}'
        )
    return node.text
