"""Multipart forms, with limits on fields and their headers.

Source: RFC 7578, and RFC 2046 section 5.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import Message

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from ckfunc.emulator.http.problems import Refused

MOST_PARTS = 100
_MOST_HEADER_BYTES = 8 * 1024
_MOST_HEADERS = 8
_SLICE_BYTES = 256 * 1024  # in one piece, a large form takes three times as long and holds up other threads
_LONGEST_BOUNDARY = 200  # RFC 2046 allows 70; some clients make longer ones

_NO_PARTS = "the multipart form has no fields; check its boundary"


@dataclass(frozen=True, slots=True)
class Part:
    """One field of a form. `file_name` and `content_type` are as sent, or None."""

    name: str
    content: bytes
    file_name: str | None = None
    content_type: str | None = None

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")


def split(body: bytes, boundary: str) -> list[Part]:
    """Return the fields of a form, in order. Raises Refused if there are none or too many, or one is malformed."""
    if not boundary or len(boundary) > _LONGEST_BOUNDARY or "\n" in boundary:
        raise Refused(_NO_PARTS)
    parts: list[Part] = []
    segment: MultipartSegment | None = None
    content: list[bytes] = []
    try:
        # The parser has its limits from the start: one part too many ends it, whatever the part holds.
        parser = PushMultipartParser(
            boundary.encode("latin-1", "replace"),
            max_header_size=_MOST_HEADER_BYTES,
            max_header_count=_MOST_HEADERS,
            max_segment_count=MOST_PARTS,
        )
        form = _without_padding(body, boundary)
        for at in range(0, len(form), _SLICE_BYTES):
            for event in parser.parse(form[at : at + _SLICE_BYTES]):
                if isinstance(event, MultipartSegment):
                    segment, content = event, []
                elif event is not None:
                    content.append(bytes(event))
                elif segment is not None:
                    parts.append(_part(segment, b"".join(content)))
        parser.close()
    except ParserLimitReached:
        raise Refused(
            f"the multipart form has more than {MOST_PARTS} fields, or a field has more than {_MOST_HEADERS} headers"
            f" or one of more than {_MOST_HEADER_BYTES // 1024} KiB"
        ) from None
    except (MultipartError, ValueError) as error:
        raise Refused(_NO_PARTS if segment is None else f"the multipart form is malformed: {error}"[:300]) from None
    if not parts:
        raise Refused(_NO_PARTS)
    return parts


def _without_padding(body: bytes, boundary: str) -> bytes:
    """Return the form without blanks after its boundaries, which RFC 2046 allows and the parser does not."""
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    if not any(delimiter + blank in body for blank in (b" ", b"\t")):
        return body  # the expression below takes longer

    def without_blanks(found: re.Match[bytes]) -> bytes:
        begins_line = found.start() == 0 or body.startswith(b"\r\n", found.start() - 2)
        return delimiter if begins_line else found[0]

    # An expression that begins with the start of a line takes a second for a large file; this one begins with text.
    return re.sub(re.escape(delimiter) + rb"[ \t]+(?=\r\n)", without_blanks, body)


def _part(segment: MultipartSegment, content: bytes) -> Part:
    disposition = segment.header("Content-Disposition") or ""
    if not segment.name:
        raise Refused("a field of the multipart form has no `name` in its Content-Disposition (`name*` is not allowed)")
    file_name = segment.filename
    if file_name is None and "filename*" in disposition.lower():
        file_name = _extended(disposition)
    return Part(segment.name, content, file_name, segment.header("Content-Type"))


def _extended(disposition: str) -> str | None:
    """Return a file name in the form of RFC 2231, which RFC 7578 forbids and some clients still send."""
    message = Message()
    message["content-disposition"] = " ".join(disposition.split())
    return message.get_filename()
