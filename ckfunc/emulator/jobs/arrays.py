"""JSON arrays: read for imports, written for exports.

Arrays of any length are read one entry at a time, so that other requests are answered in between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from ckfunc.emulator.http.bodies import DECODER, check_values
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.jobs.runner import Attempt
from ckfunc.emulator.store import files
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import StoredFile
from ckfunc.emulator.store.jobs import JobFailed
from ckfunc.emulator.store.steps import Steps
from ckfunc.wire.reading import Malformed

T = TypeVar("T")

_BLANKS = re.compile(r"[ \t\r\n]*")

_BATCH_ROWS = 500


def entries(content: bytes, read: Callable[[Any], T]) -> Iterator[T]:
    """Yield the entries of a JSON array, each read with `read`. Raises JobFailed, naming the entry."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise JobFailed(f"the file is not UTF-8 (byte {error.start})") from None
    for number, (document, source) in enumerate(_documents(text), 1):
        try:
            check_values(document, source)
            yield read(document)
        except (Malformed, Refused) as error:
            raise JobFailed(f"entry {number}: {error}") from None


def is_array(content: bytes) -> bool:
    """Return whether a file begins like a JSON array."""
    return content.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"["


def _documents(text: str) -> Iterator[tuple[Any, str]]:
    """Yield the array's entries, each with its source text."""
    at = _after_blanks(text, 0)
    if text[at : at + 1] != "[":
        raise JobFailed("the file does not hold a JSON array")
    at = _after_blanks(text, at + 1)
    closed = text[at : at + 1] == "]"
    while not closed:
        try:
            document, end = DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            raise JobFailed(f"the file is not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
        except RecursionError:
            raise JobFailed("the file is nested too deeply") from None
        except ValueError as error:
            raise JobFailed(f"the file is not JSON: {error}") from None
        yield document, text[at:end]
        at = _after_blanks(text, end)
        closed = text[at : at + 1] == "]"
        if not closed and text[at : at + 1] != ",":
            line, column = text.count("\n", 0, at) + 1, at - (text.rfind("\n", 0, at) + 1) + 1
            raise JobFailed(f"the file is not JSON: ',' or ']' is missing at line {line}, column {column}")
        at = at + 1 if closed else _after_blanks(text, at + 1)
    if _after_blanks(text, at + (text[at : at + 1] == "]")) != len(text):
        raise JobFailed("the file is not JSON: there is extra data after the array")


def _after_blanks(text: str, at: int) -> int:
    found = _BLANKS.match(text, at)
    return at if found is None else found.end()


def export(attempt: Attempt, name: str, rows: Callable[[Database], Iterator[dict[str, Any]]]) -> Steps:
    """Write `rows` to a file, as a JSON array with a line for each, and finish the job with it."""
    lines: list[str] = []
    for row in rows(attempt.database):
        lines.append(json.dumps(row, ensure_ascii=False))
        if len(lines) % _BATCH_ROWS == 0:
            yield
    content = f"[{','.join(chr(10) + line for line in lines)}\n]\n".encode("utf-8", "replace")
    file = StoredFile(f"{name}-{attempt.job_id}.json", "application/json", content)
    with attempt.turn():
        attempt.finish(files.FILE_URL + files.add(attempt.database, file))
