"""YAML scalars: inferred types, quoting, and JSON values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from ckfunc.base.text import escaped
from ckfunc.manifest.tree import Mapping, Node, Scalar
from ckfunc.manifest.variables import NAME

# The union of YAML 1.1 (https://yaml.org/type/) and the YAML 1.2 core schema: 1.1 reads `0042` as octal and `yes` as a
# boolean, 1.2 reads `1e3` as a number. A file must mean the same for every YAML parser, including those of editors.
_RETYPED: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("null", re.compile(r"|~|null|Null|NULL")),
    ("a boolean", re.compile(r"true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")),
    (
        "a number",
        re.compile(
            r"[-+]?(?:0b[01_]+|0o[0-7]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
            r"|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?)"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
    ),
    (
        "a date",
        re.compile(
            r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
            r"(?:(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?[ \t]*(?:Z|[-+][0-9]{1,2}(?::?[0-9]{2})?)?)?"
        ),
    ),
)

_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_PLAIN = re.compile(r"[A-Za-z0-9_^][A-Za-z0-9_./^+-]*")
_REFERENCE = re.compile(rf"\$\{{{NAME}\}}")
Report = Callable[[Node, str, str], None]
"""Report an error: takes the node, the message and a hint."""
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_MAX_DIGITS = 400


def retyped_as(text: str) -> str | None:
    """Return the type that some YAML parsers infer for an unquoted `text`, such as "a boolean"; None for a text."""
    return next((name for name, pattern in _RETYPED if pattern.fullmatch(text)), None)


def boolean(text: str) -> bool | None:
    """Return the boolean that every YAML parser infers for an unquoted `text`, or None."""
    return _BOOLEANS.get(text)


def scalar(text: str, *, flow: bool = False) -> str:
    """Return `text` as a plain scalar if that is safe, or else in double quotes; `flow` is for use inside braces.

    Characters that hide or reorder text, and those that YAML forbids or reads as line ends, become escapes. Raises
    ValueError for lone surrogates, which YAML cannot contain.
    """
    if _PLAIN.fullmatch(text) and retyped_as(text) is None:
        return text
    if not flow and _REFERENCE.fullmatch(text):
        return text
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("YAML cannot contain a lone surrogate")
    return escaped(json.dumps(text, ensure_ascii=False))


def json_value(node: Node, report: Report) -> Any:
    """Return the JSON value of a node. Reports ambiguous values."""
    if isinstance(node, Scalar):
        return _scalar(node, report)
    if isinstance(node, Mapping):
        return _object(node, report)
    return [json_value(item, report) for item in node.items]


def _object(node: Mapping, report: Report) -> dict[str, Any]:
    document: dict[str, Any] = {}
    first: dict[str, Scalar] = {}
    for key, value in node.entries:
        if not isinstance(key, Scalar):
            report(key, "a key must be a single text", "quote it if it starts with { or [")
        elif (other := first.setdefault(key.text, key)) is not key:
            report(key, f"duplicate key, first at line {other.line}, column {other.column}", "keep one")
        elif key.plain and key.text == "<<":
            report(key, "merge keys are not supported", "write the entries out, or quote the key")
        else:
            document[key.text] = json_value(value, report)
    return document


def _scalar(node: Scalar, report: Report) -> Any:
    if not node.plain:
        return node.text
    if (flag := boolean(node.text)) is not None:
        return flag
    number = _NUMBER.fullmatch(node.text)
    if number and len(node.text) < _MAX_DIGITS:
        value = int(node.text) if node.text.lstrip("-").isdigit() else float(node.text)
        if value not in (float("inf"), float("-inf")):
            return value
    retyped = retyped_as(node.text)
    if retyped == "null":
        return None
    if retyped is not None:
        or_boolean = " (or write true or false)" if retyped == "a boolean" else ""
        report(
            node,
            f"some YAML parsers read this as {retyped}, others as a string",
            f'quote it: "{node.text[:40]}"{or_boolean}',
        )
    return node.text
