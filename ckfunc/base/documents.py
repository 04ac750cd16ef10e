"""Strict JSON, JSON with comments, and the nesting limit of documents."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ckfunc.base.errors import UsageProblem
from ckfunc.base.files import read_file

# Matches strings (kept), comments and commas before a closing bracket (removed). Compiled on first use, because few
# commands need it.
_COMMENTS = r"//[^\n]*(?![^\n]) | /\*[^*]*\*+(?:[^/*][^*]*\*+)*/"
_JSONC = rf"""("(?:\\.|[^"\\])*") | {_COMMENTS} | ,(?=(?: \s | {_COMMENTS} )*[}}\]])"""
DEEPEST = 200
"""The maximum nesting of objects and arrays, in requests and in results of handlers."""


_SYNTAX_ERRORS = (
    ("Expecting value", "a value is expected"),
    ("Expecting property name", "a name in double quotes is expected"),
    ("Expecting ':'", "a colon is expected"),
    ("Expecting ','", "a comma or a closing bracket is expected"),
    ("Illegal trailing comma", "a comma before a closing bracket is not allowed"),
    ("Unterminated string", "a closing quote is missing for the string"),
    ("Invalid control character", "a string has a line break or another control character"),
    ("Invalid \\", "a string has an invalid backslash escape"),
    ("Extra data", "more text follows the first value"),
)
"""How messages of Python's JSON parser start, and the text for users: a position follows it."""


class InvalidJson(ValueError):
    """A syntax error in JSON: the problem, and its line and column from 1."""

    def __init__(self, error: json.JSONDecodeError) -> None:
        if error.doc.strip():
            self.problem = "it ends too early"
            self.line, self.column = error.lineno, error.colno
            if error.doc[error.pos :].strip():
                known = (text for start, text in _SYNTAX_ERRORS if error.msg.startswith(start))
                self.problem = next(known, "the syntax is invalid")
            super().__init__(f"{self.problem} at line {self.line}, column {self.column}")
        else:
            self.problem, self.line, self.column = "it is empty", 1, 1
            super().__init__(self.problem)


def json_writer(
    *,
    ensure_ascii: bool = True,
    separators: tuple[str, str] = (", ", ": "),
    default: Callable[[Any], Any] | None = None,
) -> Callable[[Any], str]:
    """Return a function that writes JSON as `json.dumps` does with these options, in half of the time.

    A JSONEncoder builds an encoder in C for each text; this function builds one. Circular documents raise
    RecursionError.
    """
    encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, separators=separators, default=default, check_circular=False)
    make: Callable[..., Any] | None = getattr(json.encoder, "c_make_encoder", None)  # None without C extensions
    if make is None:
        return encoder.encode
    text = json.encoder.encode_basestring_ascii if ensure_ascii else json.encoder.encode_basestring
    item, key = separators
    encode = make(None, encoder.default, text, None, key, item, False, False, True)

    def write(document: Any) -> str:
        return "".join(encode(document, 0))

    return write


def json_reader(decoder: json.JSONDecoder) -> Callable[[str], Any]:
    """Return a function that reads JSON as `decoder.decode` does, in half of the time if there is no space around."""
    read = decoder.raw_decode

    def decode(text: str) -> Any:
        try:
            document, end = read(text)
        except ValueError:
            return decoder.decode(text)  # text that begins with white space, or an error with its position
        return document if end == len(text) else decoder.decode(text)

    return decode


def read_document(data: str | bytes) -> Any:
    """Parse the JSON document in `data`; bytes may be UTF-8, UTF-16 or UTF-32, with or without a byte order mark.

    Raises ValueError for invalid JSON, for values that only Python accepts (NaN, numbers out of range, halves of
    surrogate pairs), and for documents that are nested too deeply.
    """
    try:
        document = json.loads(data, parse_constant=no_constant, parse_float=finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise json_error(error) from None
    if deeper_than(document, DEEPEST):
        raise ValueError(f"it is nested too deeply: at most {DEEPEST} levels are allowed")
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it contains half of a surrogate pair, which is not valid text") from None
    return document


def read_data(data: str, directory: Path, name: str, example: str) -> Any:
    """Read the JSON document of the option `--data`: JSON itself, `@FILE`, or `-` for standard input.

    A relative FILE is in `directory`. `name` names the document in errors; `example` is shown in the hint. Raises
    UsageProblem.
    """
    content: str | bytes = data
    usage = "--data @FILE names a JSON file, and --data - reads standard input"
    if data == "@":
        raise UsageProblem("the path after --data @ is empty", hint=usage)
    try:
        if data == "-":
            content = sys.stdin.buffer.read()
        elif data.startswith("@"):
            content = read_file(directory / data[1:], pipe=True)
        return read_document(content)  # as bytes, because shells write files in different encodings
    except OSError as error:
        reason = f"{error.filename}: {error.strerror}"
        raise UsageProblem(f"cannot read the {name}: {reason}", hint=usage) from None
    except ValueError as error:
        raise UsageProblem(f"--data is not JSON: {error}", hint=f"for example, --data '{example}'") from None


def json_error(error: ValueError) -> ValueError:
    """Return a parser's error with a text for users instead of the one for Python programmers."""
    if isinstance(error, json.JSONDecodeError):
        return InvalidJson(error)
    if isinstance(error, UnicodeDecodeError):
        return ValueError(f"it is not {error.encoding.upper()} (byte {error.start})")
    return ValueError("a number has too many digits") if "integer string conversion" in str(error) else error


def no_constant(name: str) -> NoReturn:
    """Raise ValueError for a constant that Python accepts although it is not JSON, such as NaN."""
    raise ValueError(f"{name} is not a JSON value")


def finite(digits: str) -> float:
    """Parse a number. Raises ValueError if it is out of range, because it would be written as Infinity."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:40]} is too large")
    return number


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if the file cannot be read or contains something else."""
    try:
        document = json.loads(read_file(path))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def read_jsonc(text: str) -> Any:
    """Parse JSON with comments and trailing commas. Raises ValueError."""
    try:
        return json.loads(re.sub(_JSONC, lambda match: match[1] or " ", text, flags=re.DOTALL | re.VERBOSE))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def deeper_than(document: object, levels: int) -> bool:
    """Return whether a document has more than `levels` levels of objects and arrays. Does not recurse."""
    level: list[object] = [document]
    for _ in range(levels + 1):
        inner: list[object] = []
        for value in level:
            if isinstance(value, dict):
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        if not inner:
            return False
        level = inner
    return True


def matches(expected: Any, actual: Any, *, subset: bool) -> bool:
    """Return whether two JSON values are equal; with `subset`, objects in `actual` may have more fields.

    As in JSON, true does not equal 1, but 1 equals 1.0.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        if not subset and expected.keys() != actual.keys():
            return False
        return all(name in actual and matches(value, actual[name], subset=subset) for name, value in expected.items())
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(
            matches(item, other, subset=subset) for item, other in zip(expected, actual, strict=True)
        )
    return isinstance(expected, bool) is isinstance(actual, bool) and bool(expected == actual)
