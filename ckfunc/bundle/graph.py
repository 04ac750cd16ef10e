"""Which files of a project a script may be made of: all that it names, and those name, and so on."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ckfunc.bundle.scan import Specifier, specifiers
from ckfunc.manifest.sources import Complaint, read_script

EXTENSIONS = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json")
"""What can be imported, in the order in which a name without an extension is tried."""

_TYPESCRIPT_OF = {".js": ".ts", ".mjs": ".mts", ".cjs": ".cts"}

Reader: TypeAlias = Callable[[str], "str | Complaint | None"]
"""Gives the text of a file of the project, by its path: None when there is none, a Complaint when it cannot be used."""


@dataclass(frozen=True, slots=True)
class Graph:
    """The files that a script may be made of, its own included, by path.

    `unusable` are there, but cannot be used. `absent` are those that a name without any file would mean.
    """

    files: Mapping[str, str] = field(repr=False)
    unusable: Mapping[str, Complaint]
    absent: frozenset[str]


class Files:
    """The files of a project on disk, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, str | Complaint | None] = {}

    def __call__(self, path: str) -> str | Complaint | None:
        """Return a file's text with plain newlines; see `Reader`."""
        if path not in self._read:
            self._read[path] = read_script(self._root, path) if (self._root / path).is_file() else None
        return self._read[path]


class Scanned:
    """The names of local files in sources, looked for once in each."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[Specifier, ...]] = {}

    def __call__(self, path: str, source: str) -> tuple[Specifier, ...]:
        """Return what the source at `path` names."""
        if path.endswith(".json"):
            return ()
        if (path, source) not in self._found:
            self._found[path, source] = specifiers(source)
        return self._found[path, source]


def graph_of(path: str, source: str, read: Reader, scan: Scanned) -> Graph:
    """Return what the script at `path` may be made of."""
    files = {path: source}
    unusable: dict[str, Complaint] = {}
    absent: set[str] = set()
    left = [path]
    while left:
        importer = left.pop()
        for named in scan(importer, files[importer]):
            there = False
            for candidate in candidates(importer, named.path):
                text = files.get(candidate) or read(candidate)
                there = there or text is not None
                if isinstance(text, Complaint):
                    unusable[candidate] = text
                elif text is not None and candidate not in files:
                    files[candidate] = text
                    left.append(candidate)
            if not there:
                absent.update(candidates(importer, named.path))
    return Graph(files, unusable, frozenset(absent))


def candidates(importer: str, named: str) -> Iterator[str]:
    """Yield the paths that a name in the file `importer` may mean; none for a place outside of the project."""
    base = place_of(importer, named)
    if base is None:
        return
    stem, extension = posixpath.splitext(base)
    if base != "." and not named.endswith("/"):
        if extension in EXTENSIONS:
            yield base
        if extension in _TYPESCRIPT_OF:
            yield stem + _TYPESCRIPT_OF[extension]
        yield from (base + one for one in EXTENSIONS)
    yield from (posixpath.normpath(f"{base}/index{one}") for one in EXTENSIONS)


def place_of(importer: str, named: str) -> str | None:
    """Return the path that a name in the file `importer` stands for; None when that is outside of the project."""
    if not named.startswith("."):
        return None
    base = posixpath.normpath(posixpath.join(posixpath.dirname(importer), named))
    return None if base == ".." or base.startswith("../") else base
