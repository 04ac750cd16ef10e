"""Strict JSON, JSON with comments, and the nesting limit of documents."""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

from ckfunc.base.errors import UsageProblem
from ckfunc.base.files import read_file

# Keeps texts; removes comments, and commas before a closing bracket. Compiled on first use, as few commands need it.
_JSONC = r"""("(?:\\.|[^"\\])*") | //[^\n]* | /\*.*?\*/ | ,(?=(?: \s | //[^\n]*+ | (?>/\*.*?\*/) )*+[}\]])"""
DEEPEST = 200
"""The maximum nesting of objects and arrays, in requests and in results of handlers."""


def read_document(data: str | bytes) -> Any:
    """Return the JSON document in `data`; bytes may be in any UTF, with or without a byte order mark.

    Raises ValueError, with a reason, for values that only Python accepts as JSON (NaN, numbers out of range, halves of
    surrogate pairs), and for documents that are nested too deeply.
    """
    try:
        document = json.loads(data, parse_constant=no_constant, parse_float=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if deeper_than(document, DEEPEST):
        raise ValueError(f"it is nested too deeply: at most {DEEPEST} levels are allowed")
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it contains half of a surrogate pair, which is not valid text") from None
    return document


def read_data(data: str, what: str, example: str) -> Any:
    """Return the JSON document that `--data` provides: as JSON, as `@FILE`, or as `-` for standard input.

    `what` names the document in errors, and `example` is a document. Raises UsageProblem.
    """
    given: str | bytes = data
    try:
        if data == "-":
            given = sys.stdin.buffer.read()
        elif data.startswith("@"):
            given = read_file(Path(data[1:]), pipe=True)
        return read_document(given)  # bytes in any UTF, with or without a byte order mark: what shells write
    except OSError as error:
        why = f"{error.filename}: {error.strerror}"
        raise UsageProblem(f"cannot read the {what}: {why}", hint="--data @FILE names a JSON file") from None
    except ValueError as error:
        raise UsageProblem(f"--data is not JSON: {error}", hint=f"for example --data '{example}'") from None


def no_constant(name: str) -> NoReturn:
    """Refuse a constant that Python accepts although it is not JSON; raises ValueError."""
    raise ValueError(f"{name} is not a JSON value")


def finite(digits: str) -> float:
    """Return a number. Raises ValueError for one that is too large: it would be written as Infinity."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def read_jsonc(text: str) -> Any:
    """Return the document in `text`. Raises ValueError."""
    try:
        return json.loads(re.sub(_JSONC, lambda found: found[1] or " ", text, flags=re.DOTALL | re.VERBOSE))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def deeper_than(document: object, levels: int) -> bool:
    """Return whether a document has more levels than `levels`, without recursion."""
    level: list[object] = [document]
    for _ in range(levels + 1):
        inner: list[object] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        if not inner:
            return False
        level = inner
    return True


def matches(expected: Any, actual: Any, *, subset: bool) -> bool:
    """Tell whether two JSON values are equal; with `subset`, mappings in `actual` may hold more.

    true is not 1, and 1 is 1.0: as JSON has it.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        if not subset and expected.keys() != actual.keys():
            return False
        return all(name in actual and matches(one, actual[name], subset=subset) for name, one in expected.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(
            matches(one, other, subset=subset) for one, other in zip(expected, actual, strict=True)
        )
    return isinstance(expected, bool) is isinstance(actual, bool) and bool(expected == actual)
