"""Which files of a project a script may be made of: all that it names, and those name, and so on."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
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


@dataclass(frozen=True, slots=True)
class _Links:
    """What the names in one source lead to."""

    found: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, Complaint] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


class Tree:
    """The sources of a project and what they import; each is looked at once, however many scripts are made of it."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._links: dict[tuple[str, str], _Links] = {}

    def names_local_files(self, path: str, source: str) -> bool:
        """Return whether the source at `path` may import any local file."""
        return not path.endswith(".json") and bool(specifiers(source))

    def graph(self, path: str, source: str) -> Graph:
        """Return what the script at `path` may be made of."""
        files = {path: source}
        unusable: dict[str, Complaint] = {}
        absent: set[str] = set()
        left = [path]
        while left:
            importer = left.pop()
            links = self._links_of(importer, files[importer])
            left += [one for one in links.found if one not in files]
            files = {**links.found, **files}
            unusable |= links.unusable
            absent |= links.absent
        return Graph(files, unusable, frozenset(absent))

    def _links_of(self, path: str, source: str) -> _Links:
        known = self._links.get((path, source))
        if known is None:
            named = () if path.endswith(".json") else specifiers(source)
            known = self._links[path, source] = self._followed(path, named) if named else _Links()
        return known

    def _followed(self, importer: str, named: Iterable[Specifier]) -> _Links:
        found: dict[str, str] = {}
        unusable: dict[str, Complaint] = {}
        absent: set[str] = set()
        for name in {one.path for one in named}:
            there = {one: text for one in candidates(importer, name) if (text := self._read(one)) is not None}
            for path, text in there.items():
                if isinstance(text, Complaint):
                    unusable[path] = text
                else:
                    found[path] = text
            if not there:
                absent.update(candidates(importer, name))
        return _Links(found, unusable, frozenset(absent))


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
