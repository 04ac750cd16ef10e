"""What an uploaded file is, and what is safe of its name and type."""

from __future__ import annotations

import re

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.multipart import Part
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.routing import MEBIBYTE
from ckfunc.emulator.store.files import StoredFile

FILE_BYTES = 32 * MEBIBYTE
"""The largest file. The platform documents no limit; this one is ours."""

UPLOAD_BYTES = FILE_BYTES + MEBIBYTE
"""The largest body of a route that takes a file: the file, and the rest of its form."""

ANY_TYPE = "application/octet-stream"
_LONGEST_NAME = 200
# Source: RFC 9110 section 8.3.1, without parameters but a charset.
_TOKEN = r"[\w!#$&^.+-]{1,80}"  # noqa: S105 - of a grammar
_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(; ?charset=[\w-]{{1,40}})?", re.ASCII)
# Controls, what reorders text, and what file systems or shells take for something else.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff"*:<>?|]')


def uploaded_file(parts: dict[str, Part], name: str = "file") -> StoredFile:
    """Return the file in a form's field. Raises Refused when it is missing, empty or too large."""
    part = parts.get(name)
    if part is None:
        raise Refused(f"the form has no field {name!r}; send the file as that")
    size = len(part.content)
    if size == 0:
        raise Refused(f"the file in field {name!r} is empty")
    if size > FILE_BYTES:
        raise Refused(f"the file has {size} bytes; at most {FILE_BYTES} ({FILE_BYTES // MEBIBYTE} MiB) are allowed")
    return StoredFile(safe_name(part.file_name), safe_type(part.content_type), part.content)


def upload(call: Call) -> StoredFile:
    """Return the file of a request that is nothing but a file: a form with the field `file`. Raises Refused."""
    return uploaded_file(call.multipart())


def safe_name(given: str | None) -> str:
    """Return the last part of a file's name, without anything that could be taken for more than a name."""
    last = re.split(r"[/\\]", given or "")[-1]
    return _UNSAFE.sub("_", last).strip(" .")[:_LONGEST_NAME] or "file"


def safe_type(given: str | None) -> str:
    """Return a media type if it is one, else that of any bytes."""
    text = (given or "").strip().lower()
    return text if _TYPE.fullmatch(text) else ANY_TYPE
