"""Read request bodies: JSON, forms and uploaded files."""

from __future__ import annotations

import json
import re
from email.message import Message
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from ckfunc.base.documents import DEEPEST, deeper_than, finite, json_error, no_constant
from ckfunc.emulator.http.multipart import Part, split
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


def _itself(document: dict[str, Any]) -> dict[str, Any]:
    return document


_LARGE_DECODER = json.JSONDecoder(parse_constant=no_constant, parse_float=finite, object_hook=_itself)

FILE_BYTES = 32 * MEBIBYTE
"""The largest file. The platform documents no limit; this one is ours."""

UPLOAD_BYTES = FILE_BYTES + MEBIBYTE
SEED_BYTES = 64 * MEBIBYTE
"""The largest body of a route that takes a file: the file, and the rest of its form."""

ANY_TYPE = "application/octet-stream"
_LONGEST_NAME = 200

# Source: RFC 9110 section 8.3.1, without parameters except a charset.
_TOKEN = r"[\w!#$&^.+-]{1,80}"  # noqa: S105 - part of a grammar
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?charset=[\w-]{{1,40}})?", re.ASCII)

# Control characters, characters that reorder text, and those with a meaning for file systems or shells.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"*:<>?|]')


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
        document = (_LARGE_DECODER if len(body) > _LARGE_BYTES else DECODER).decode(text)
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
    return {part.name: part for part in split(body, parameters.get("boundary", ""))}


def uploaded_file(parts: dict[str, Part], name: str = "file") -> StoredFile:
    """Return the file in a form's field. Raises Refused if it is missing, empty or too large."""
    part = parts.get(name)
    if part is None:
        raise Refused(f"the form has no field {name!r}; send the file in this field")
    size = len(part.content)
    if size == 0:
        raise Refused(f"the file in field {name!r} is empty")
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
