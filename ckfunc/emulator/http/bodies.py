"""Read request bodies: JSON, forms and uploaded files.

Source of multipart forms: RFC 7578, and RFC 2046 section 5.1.
"""

from __future__ import annotations

import json
import re
from email.message import Message
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from multipart import MultipartError, MultipartSegment, ParserLimitReached, PushMultipartParser

from ckfunc.base.documents import DEEPEST, deeper_than, finite, json_error, json_reader, no_constant
from ckfunc.base.frozen import frozen
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store.files import StoredFile

MEBIBYTE = 1024 * 1024
_LARGE_BYTES = MEBIBYTE

# The media types that the platform's documents and SDKs name, and any other `application/…+json`.
_JSON_TYPE = re.compile(r"application/(json|[\w.-]+\+json|json\+merge-patch)")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


_TOO_DEEP = f"the body is nested too deeply; at most {DEEPEST} levels are allowed"

DECODER = json.JSONDecoder(parse_constant=no_constant, parse_float=finite)
"""Reads JSON."""


_read = json_reader(DECODER)
_LARGE_DECODER = json.JSONDecoder(parse_constant=no_constant, parse_float=finite, object_hook=lambda document: document)

FILE_BYTES = 32 * MEBIBYTE
"""The largest file. The platform documents no limit; this one is ours."""

UPLOAD_BYTES = FILE_BYTES + MEBIBYTE
SEED_BYTES = 64 * MEBIBYTE
"""The largest body of a route that takes a file: the file, and the rest of its form."""

ANY_TYPE = "application/octet-stream"
_LONGEST_NAME = 200
_FILE_FIELD = "file"

# Source: RFC 9110 section 8.3.1, without parameters except a charset.
_TOKEN = r"[\w!#$&^.+-]{1,80}"  # noqa: S105 - part of a grammar
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?charset=[\w-]{{1,40}})?", re.ASCII)

# Control characters, characters that reorder text, and those with a meaning for file systems or shells.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"*:<>?|]')


MOST_PARTS = 100
_MOST_HEADER_BYTES = 8 * 1024
_MOST_HEADERS = 8
_SLICE_BYTES = 256 * 1024  # in one piece, a large form takes three times as long and holds up other threads
_LONGEST_BOUNDARY = 200  # RFC 2046 allows 70; some clients make longer ones

_NO_PARTS = "the multipart form has no fields; check its boundary"


@frozen
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


@lru_cache(maxsize=256)
def _content_type(header: str | None) -> tuple[str, dict[str, str]]:
    message = Message()
    message["content-type"] = header or ""
    return message.get_content_type() if header else "", dict(message.get_params(failobj=[])[1:])


def read_json(body: bytes, content_type: str | None) -> Any:
    """Return the JSON document in `body`, sent as `content_type`. Raises Refused, with the position of a mistake."""
    kind, parameters = _content_type(content_type)
    if kind and not _JSON_TYPE.fullmatch(kind):
        raise Refused(
            f"the body was sent as {kind[:80]}; send JSON as application/json or application/vnd.chatkitty+json"
        )
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8", "us-ascii"):
        raise Refused(f"the body is in {parameters['charset'][:40]}; JSON is sent in UTF-8")
    if not body.strip():
        raise Refused("the request has no body; send a JSON document")
    try:
        text = body.decode("utf-8")
        # A hook lets other threads run between two objects; without one the parser holds the interpreter lock.
        document = _LARGE_DECODER.decode(text) if len(body) > _LARGE_BYTES else _read(text)
    except UnicodeDecodeError as error:
        raise Refused(f"the body is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise Refused(_TOO_DEEP) from None
    except ValueError as error:
        raise Refused(f"the body is not JSON: {json_error(error)}") from None
    check_values(document, text)
    return document


def check_values(document: Any, text: str) -> None:
    """Check that a document, read from `text`, is not nested too deeply and holds valid text. Raises Refused."""
    # Text with few brackets cannot be deep, and most text has few.
    if text.count("{") + text.count("[") > DEEPEST and deeper_than(document, DEEPEST):
        raise Refused(_TOO_DEEP)
    if _ESCAPED_SURROGATE.search(text):
        try:
            json.dumps(document, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise Refused("the body contains half of a surrogate pair, which is not valid text") from None


def read_form(body: bytes, content_type: str | None) -> dict[str, str]:
    """Return the fields of an urlencoded form, the last of each name. Raises Refused."""
    kind, _ = _content_type(content_type)
    if kind in ("application/x-www-form-urlencoded", ""):
        try:
            return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=100))
        except ValueError:
            raise Refused("the form has more than 100 fields") from None
    raise Refused(f"the body was sent as {kind[:80]}; send a form")


def read_multipart(body: bytes, content_type: str | None) -> dict[str, Part]:
    """Return the parts of a multipart form by name, the last of each name. Raises Refused."""
    kind, parameters = _content_type(content_type)
    if kind != "multipart/form-data":
        sent = f"as {kind[:80]}" if kind else "without a content type"
        raise Refused(f"the body was sent {sent}; send it as multipart/form-data")
    return {part.name: part for part in split_form(body, parameters.get("boundary", ""))}


def uploaded_file(parts: dict[str, Part]) -> StoredFile:
    """Return the file in a form. Raises Refused if it is missing, empty or too large."""
    part = parts.get(_FILE_FIELD)
    if part is None:
        raise Refused(f"the form has no field {_FILE_FIELD!r}; send the file in this field")
    size = len(part.content)
    if size == 0:
        raise Refused(f"the file in field {_FILE_FIELD!r} is empty")
    if size > FILE_BYTES:
        raise Refused(f"the file has {size} bytes; at most {FILE_BYTES} ({FILE_BYTES // MEBIBYTE} MiB) are allowed")
    return StoredFile(safe_name(part.file_name), safe_type(part.content_type), part.content)


def safe_name(name: str | None) -> str:
    """Return the last part of a file's name, without characters that are not safe in a name."""
    last = re.split(r"[/\\]", name or "")[-1]
    return _UNSAFE.sub("_", last).strip(" .")[:_LONGEST_NAME] or "file"


def safe_type(content_type: str | None) -> str:
    """Return a media type if it is valid, otherwise `application/octet-stream`."""
    text = (content_type or "").strip().lower()
    return text if _MEDIA_TYPE.fullmatch(text) else ANY_TYPE


def split_form(body: bytes, boundary: str) -> list[Part]:
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

    def without_blanks(match: re.Match[bytes]) -> bytes:
        begins_line = match.start() == 0 or body.startswith(b"\r\n", match.start() - 2)
        return delimiter if begins_line else match[0]

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
