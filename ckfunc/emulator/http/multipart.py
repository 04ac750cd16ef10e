"""How a multipart form is taken apart: by looking for its boundary, so that a file of any size costs one copy.

Source: RFC 7578, and RFC 2046 section 5.1. The standard library's parser reads line by line: it needs seconds for a
file that this has in milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser

from ckfunc.emulator.http.problems import Refused

MOST_PARTS = 100
_LONGEST_HEAD_BYTES = 16 * 1024
_BLANK_LINE = re.compile(rb"\r\n\r\n|\n\n")
_LONGEST_BOUNDARY = 200  # RFC 2046 allows 70; some clients make longer ones

_NO_PARTS = "the multipart form has no fields; is its boundary right?"


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form. `file_name` and `content_type` are as they were sent, or None."""

    name: str
    content: bytes
    file_name: str | None = None
    content_type: str | None = None

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")


def split(body: bytes, boundary: str) -> list[Part]:
    """Return the named parts of a form, in order. Raises Refused when there are none, or too many."""
    if not boundary or len(boundary) > _LONGEST_BOUNDARY:
        raise Refused(_NO_PARTS)
    parts: list[Part] = []
    for start, end in _spans(body, b"--" + boundary.encode("latin-1", "replace")):
        part = _part(body, start, end)
        if part is not None:
            parts.append(part)
        if len(parts) > MOST_PARTS:
            raise Refused(f"the multipart form has more than {MOST_PARTS} fields")
    if not parts:
        raise Refused(_NO_PARTS)
    return parts


def _spans(body: bytes, delimiter: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each part begins and ends; a form that was cut off ends without its last part."""
    start: int | None = None
    at = body.find(delimiter)
    while at >= 0:
        after = at + len(delimiter)
        last = body[after : after + 2] == b"--"
        line_end = after if last else _line_end(body, after)
        if (at == 0 or body[at - 1 : at] == b"\n") and line_end is not None:
            if start is not None:
                yield start, at - (2 if body[at - 2 : at] == b"\r\n" else 1)
            if last:
                return
            start = line_end
        at = body.find(delimiter, after)


def _line_end(body: bytes, at: int) -> int | None:
    """Return where the next line begins, or None when there is more on this one than blanks."""
    while body[at : at + 1] in (b" ", b"\t"):
        at += 1
    if body[at : at + 2] == b"\r\n":
        return at + 2
    return at + 1 if body[at : at + 1] == b"\n" else None


def _part(body: bytes, start: int, end: int) -> Part | None:
    """Read the part between two boundaries; one without a name, or without an end of its head, is none."""
    blank = _BLANK_LINE.search(body, start, min(end + 2, start + _LONGEST_HEAD_BYTES))
    if blank is None:
        return None
    head = body[start : blank.start()].decode("utf-8", "replace").replace("\r\n", "\n")
    headers = HeaderParser().parsestr(head)
    name = _parameter(headers, "name")
    if name is None:
        return None
    content = body[blank.end() : max(blank.end(), end)]
    return Part(name, content, _parameter(headers, "filename"), headers["content-type"])


def _parameter(headers: Message, name: str) -> str | None:
    found = headers.get_param(name, header="content-disposition")
    if isinstance(found, tuple):  # RFC 2231: charset, language and text
        charset, _, encoded = found
        try:
            return encoded.encode("latin-1").decode(charset or "utf-8", "replace")
        except (LookupError, UnicodeEncodeError):
            return encoded
    return found if isinstance(found, str) else None
