"""Messages sent as forms with a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ckfunc.emulator.http.bodies import read_json, uploaded_file
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store import files
from ckfunc.emulator.store.database import Database
from ckfunc.emulator.store.files import StoredFile
from ckfunc.model.chat import File, FileType, NewMessage
from ckfunc.wire.messages import read_new_file_message


def read_upload(call: Call) -> tuple[NewMessage, StoredFile]:
    """Return the message of a form, and its file, which is not stored yet. Raises Refused and Malformed."""
    parts = call.multipart()
    given: dict[str, Any] = {name: part.text for name, part in parts.items() if name != "file" and part.text.strip()}
    if "properties" in given:
        try:
            given["properties"] = read_json(parts["properties"].content, None)
        except Refused as error:
            raise Refused(f"field 'properties': {error.explanation}") from None
    file = uploaded_file(parts)
    return read_new_file_message(given, _hosted(file, "")), file


def stored(database: Database, new: NewMessage, file: StoredFile, key: str | None = None) -> NewMessage:
    """Store the file of a message under a key (see files.add), and return the message that refers to it."""
    return replace(new, file=_hosted(file, files.add(database, file, key)))


def _hosted(file: StoredFile, key: str) -> File:
    return File(files.FILE_URL + key, file.name, file.content_type, len(file.content), FileType.HOSTED)
