"""What stands in a project's files: read whole, as UTF-8, within bounds, and only from inside the project."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path

MAX_FILE_BYTES = 1024 * 1024
"""The most that a manifest, handler, init script or .env file may hold."""

_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Complaint:
    """Why a file cannot be used. `line` and `column` count from 1 inside that file; 0 means the file as a whole."""

    message: str
    hint: str | None = None
    line: int = 0
    column: int = 0


def read_text(path: Path, name: str) -> str | Complaint:
    """Return the text of a regular UTF-8 file with its newlines as they are, or why it cannot be read.

    A byte order mark stays. `name` is what messages call the file.
    """
    try:
        status = path.stat()
        # Asked before opening: opening a named pipe would wait for a writer for ever.
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            return Complaint(f"{name} is {kind}", "a text file must be there")
        if status.st_size > MAX_FILE_BYTES:
            return _too_large(name, status.st_size)
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return Complaint(f"{name} does not exist", "create it, or fix the path")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not usable"
        return Complaint(f"{name} cannot be read: {reason}", "check the path and its permissions")
    if len(data) > MAX_FILE_BYTES:
        return _too_large(name, len(data))
    return _decoded(data, name)


def read_script(root: Path, path: str) -> str | Complaint:
    """Return the text of the script at `path`, given relative to the resolved `root`, or why it cannot be used.

    The path must stay inside the project after resolving links. A byte order mark is dropped and every newline becomes
    `\\n`, so that checkouts with and without `core.autocrlf` deploy the same text.
    """
    try:
        actual = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):
        return Complaint(f"{path!r} cannot be resolved", "check for links that point at each other")
    if not actual.is_relative_to(root):
        hint = "move the file into the project; links may not lead out of it either"
        return Complaint(f"{path!r} is outside the project", hint)
    text = read_text(actual, repr(path))
    if isinstance(text, Complaint):
        return text
    return text.removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n")


def without_bom(text: str) -> str:
    """Return `text` without a byte order mark at its start."""
    return text.removeprefix(_BOM)


def _too_large(name: str, size_bytes: int) -> Complaint:
    size = f"{size_bytes / MAX_FILE_BYTES:.1f}" if size_bytes >= MAX_FILE_BYTES * 1.1 else "more than 1"
    return Complaint(f"{name} is too large: {size} MiB", "a file may hold at most 1 MiB")


def _decoded(data: bytes, name: str) -> str | Complaint:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Complaint(f"{name} is UTF-16, not UTF-8", "save the file as UTF-8", 1, 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix(_BOM).replace("\r\n", "\n").replace("\r", "\n")
        line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
        return Complaint(f"{name} is not UTF-8 text", "save the file as UTF-8", line, column)
