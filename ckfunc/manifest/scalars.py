"""What other YAML readers would make of an unquoted scalar, so that nothing is ever retyped behind the user's back."""

from __future__ import annotations

import re

# The union of YAML 1.1 (https://yaml.org/type/) and the YAML 1.2 core schema: 1.1 reads `0042` as octal and `yes` as a
# boolean, 1.2 reads `1e3` as a number; a file must mean the same to every reader, editors included.
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


def retyped_as(text: str) -> str | None:
    """Return what an unquoted `text` is for some YAML reader ("null", "a boolean", "a number", "a date"), or None."""
    return next((name for name, pattern in _RETYPED if pattern.fullmatch(text)), None)


def boolean(text: str) -> bool | None:
    """Return the boolean that an unquoted `text` is for every YAML reader, or None."""
    return _BOOLEANS.get(text)


_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
