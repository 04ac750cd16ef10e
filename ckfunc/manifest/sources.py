"""Text files of a project: reading with limits, and the spelling of paths."""

from __future__ import annotations

import errno
import posixpath
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ckfunc.base.errors import Problem, UnusableFile
from ckfunc.base.files import read_file
from ckfunc.base.frozen import frozen
from ckfunc.base.text import newlines, position

MAX_FILE_BYTES = 1024 * 1024
"""The maximum size of a manifest, handler, init script or .env file."""

UNRESOLVED = "unresolved merge conflict"
"""The error for the markers of a conflict. The file may parse nevertheless: they may be in a comment or a string."""

_BOM = "\ufeff"

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""The start of a file whose content git has not fetched. Source: docs/spec.md of Git LFS."""


@frozen
class Complaint:
    """A reason why a file cannot be used. `line` and `column` in it count from 1; 0 means the whole file."""

    message: str
    hint: str | None = None
    line: int = 0
    column: int = 0

    def problem(self, path: str) -> Problem:
        """Return it as a problem of the file at `path`."""
        return Problem(path, self.line, self.column, self.message, self.hint)


def read_text(path: Path, name: str, *, pipe: bool = False) -> str | Complaint:
    """Return the text of a regular UTF-8 file, or the reason why it cannot be read.

    Newlines and a byte order mark stay unchanged. With `pipe`, reads named pipes too (see read_file). `name` is the
    file's name in messages.
    """
    try:
        data = read_file(path, limit_bytes=MAX_FILE_BYTES, pipe=pipe)
    except UnusableFile as problem:
        if problem.errno == errno.EFBIG:
            return _too_large(name, path)
        hint = (
            "start the program that writes to it, or use a regular file" if problem.errno == errno.ETIMEDOUT else None
        )
        return Complaint(f"{name} {problem.strerror}", hint or "use a text file")
    except FileNotFoundError:
        return Complaint(f"{name} does not exist", "create it, or fix the path")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "the path is not usable"
        return Complaint(f"{name} cannot be read: {reason}", "check the path and its permissions")
    return _decoded(data, name)


def read_script(root: Path, path: str) -> str | Complaint:
    """Return the text of the script at `path`, relative to the resolved `root`, or the reason why it cannot be used.

    With links resolved, the path must be inside the project. A byte order mark is removed and every newline becomes
    `\\n`, so that checkouts with and without `core.autocrlf` deploy the same text.
    """
    try:
        actual = (root / path).resolve()
    except (OSError, RuntimeError, ValueError):
        return Complaint(f"{path!r} cannot be resolved", "check for links that point to each other")
    if not actual.is_relative_to(root):
        hint = "move the file into the project; links out of it are not followed"
        return Complaint(f"{path!r} is outside the project", hint)
    text = read_text(actual, repr(path))
    if isinstance(text, Complaint):
        return text
    return newlines(without_bom(text))


def without_bom(text: str) -> str:
    """Return `text` without a byte order mark at its start."""
    return text.removeprefix(_BOM)


def merge_conflicts(path: str, text: str) -> Iterator[Problem]:
    """Yield the conflicts that `ckfunc pull` or git has marked in the file at `path`."""
    hint = "edit the lines between <<<<<<< and >>>>>>>, and remove the markers"
    start, divided = 0, False
    for number, line in enumerate(newlines(text).split("\n") if "<<<<<<< " in text else (), 1):
        if line.startswith("<<<<<<< "):
            start, divided = number, False
        elif line == "=======":
            divided = start > 0
        elif divided and line.startswith(">>>>>>> "):
            yield Problem(path, start, 1, UNRESOLVED, hint)
            start, divided = 0, False


def _too_large(name: str, path: Path) -> Complaint:
    try:
        size_bytes = path.stat().st_size
    except OSError:
        size_bytes = 0
    size = f"{size_bytes / MAX_FILE_BYTES:.1f}" if size_bytes >= MAX_FILE_BYTES * 1.1 else "more than 1"
    return Complaint(f"{name} is too large: {size} MiB", "a file may have at most 1 MiB")


def _decoded(data: bytes, name: str) -> str | Complaint:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Complaint(f"{name} is UTF-16, not UTF-8", "save the file as UTF-8", 1, 1)
    if data.startswith(_LFS_POINTER):
        return Complaint(f"{name} is a Git LFS pointer, not the file itself", "run `git lfs pull`", 1, 1)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = without_bom(data[: error.start].decode("utf-8"))
        line, column = position(before, len(before))
        return Complaint(f"{name} is not UTF-8 text", "save the file as UTF-8", line, column)


def normal_path(path: str) -> str:
    """Return a relative path without `.`, inner `..` and double slashes."""
    return posixpath.normpath(path)


def same_letters(path: str, other: str) -> bool:
    """Return whether two paths differ only in redundant parts or in the encoding of accents."""
    return _composed(normal_path(path)) == _composed(normal_path(other))


class Spelling:
    """The spelling of a project's paths on disk. Each directory is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, dict[str, list[str]]] = {}

    def of(self, path: str) -> str:
        """Return the normal form of a relative path, spelled as on disk.

        File systems treat case and the encoding of accented letters differently. A name that does not exist is replaced
        by an existing name that differs only in these; without such a name, it stays unchanged.
        """
        normal = normal_path(path)
        if normal.startswith(("../", "/")) or normal == "..":
            return normal
        spelled = ""
        for part in normal.split("/"):
            names = self._directory(spelled)
            similar = sorted(names.get(_folded(part), ()))
            actual = (
                part
                if part in similar or not similar
                else next((name for name in similar if _composed(name) == _composed(part)), similar[0])
            )
            spelled = posixpath.join(spelled, actual)
        return spelled

    def _directory(self, path: str) -> dict[str, list[str]]:
        if path not in self._names:
            names: dict[str, list[str]] = {}
            try:
                for entry in (self._root / path).iterdir():
                    names.setdefault(_folded(entry.name), []).append(entry.name)
            except (OSError, ValueError):
                pass  # reading the file reports the error
            self._names[path] = names
        return self._names[path]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _composed(_composed(text).casefold())
