"""Paths of the manifest in one spelling, however they are written."""

from __future__ import annotations

import posixpath
import unicodedata
from pathlib import Path


def normal_path(path: str) -> str:
    """Return a relative path without `.`, `..` in the middle, and doubled slashes."""
    return posixpath.normpath(path)


def same_letters(path: str, other: str) -> bool:
    """Return whether two paths differ in their form alone: in how they are written, or how accents are encoded."""
    return _composed(normal_path(path)) == _composed(normal_path(other))


class Spelling:
    """How the directories of a project spell the paths in it. Each directory is looked at once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, dict[str, list[str]]] = {}

    def of(self, path: str) -> str:
        """Return the normal form of a relative path, spelled as on disk.

        File systems disagree on upper and lower case, and on how accented letters are encoded: a name that is not there
        as it is written is taken for the one that differs in that alone. Without one it stays as it is.
        """
        normal = normal_path(path)
        if normal.startswith(("../", "/")) or normal == "..":
            return normal
        found = ""
        for part in normal.split("/"):
            names = self._directory(found)
            known = sorted(names.get(_folded(part), ()))
            spelled = (
                part
                if part in known or not known
                else next((one for one in known if _composed(one) == _composed(part)), known[0])
            )
            found = posixpath.join(found, spelled)
        return found

    def _directory(self, path: str) -> dict[str, list[str]]:
        if path not in self._names:
            found: dict[str, list[str]] = {}
            try:
                for entry in (self._root / path).iterdir():
                    found.setdefault(_folded(entry.name), []).append(entry.name)
            except (OSError, ValueError):
                pass  # what reads the file says what is wrong
            self._names[path] = found
        return self._names[path]


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _composed(_composed(text).casefold())
