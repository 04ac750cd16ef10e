"""Detection of changed file contents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ckfunc.base.files import read_file


class Contents:
    """Digests of the contents of files; None for missing and unreadable files, pipes and devices."""

    def __init__(self, files: Iterable[Path] = ()) -> None:
        self._known: dict[Path, bytes | None] = {}
        self._stamps: dict[Path, tuple[int, int, int] | None] = {}
        self.follow(files)

    def follow(self, files: Iterable[Path]) -> None:
        """Track exactly these files from now on."""
        wanted = set(files)
        for path in wanted - self._known.keys():
            self._stamps[path] = _stamp(path)
            self._known[path] = _content_digest(path)
        for path in self._known.keys() - wanted:
            del self._known[path], self._stamps[path]

    def touched(self) -> bool:
        """Return whether the time, size or inode of any file has changed. Cheap; also true after `touch`."""
        return any(_stamp(path) != stamp for path, stamp in self._stamps.items())

    def missing(self) -> frozenset[Path]:
        """Return the files that had content at the last call of `changed`, and are missing now."""
        return frozenset(path for path, known in self._known.items() if known is not None and _stamp(path) is None)

    def changed(self) -> frozenset[Path]:
        """Return the files whose content has changed since the last call."""
        changed = set()
        for path, known in list(self._known.items()):
            self._stamps[path] = _stamp(path)
            now = _content_digest(path)
            if now != known:
                self._known[path] = now
                changed.add(path)
        return frozenset(changed)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _content_digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(read_file(path)).digest()
    except OSError:
        return None
