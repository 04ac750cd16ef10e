"""Local files that a script imports, directly or indirectly.

Imports are found by pattern, so that most handlers cost nothing more. More is found than there is (in comments, in
types), which esbuild sorts out; less is not, whatever stands in between.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ckfunc.manifest.sources import Complaint, read_script

# Possessive, so that long gaps are not scanned again.
_GAP = r"(?:\s|/\*[^*]*\*+(?:[^/*][^*]*\*+)*/|//[^\n]*\n)*+"
_PLACE = r"""\.\.?(?:/[^"'`\n$]*)?|/[^"'`\n$]*|[A-Za-z]:[\\/][^"'`\n$]*|file:[^"'`\n$]*"""
_IMPORT = re.compile(
    rf"""\b(?P<how>from|import|require)\b{_GAP}(?P<call>\({_GAP})?(?P<quote>["'`])(?P<path>{_PLACE})(?P<end>["'`]|\$\{{)"""
)
# Imports that a compiler drops.
_OF_TYPES = re.compile(
    r"""\b(?:import|export)\s+type\s+(?:[\w$]+|\{[^{}]*\}|\*(?:\s*as\s+[\w$]+)?)\s*from\s*(["'])[^"'\n]*\1"""
)
_MODULE = re.compile(r"^[ \t]*(?:import\b(?!\s*[(.])|export\b)", re.MULTILINE)

EXTENSIONS = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json")
"""File name extensions of imports, in the order of resolution."""
_TYPESCRIPT_OF = {".js": ".ts", ".mjs": ".mts", ".cjs": ".cts"}
Reader: TypeAlias = Callable[[str], "str | Complaint | None"]
"""Returns the text of a project file by its path: None if it is missing, a Complaint if it cannot be used."""


@dataclass(frozen=True, slots=True)
class Specifier:
    """A local file as named in a source: `path` as written; `line` and `column` of the quote count from 1.

    A `computed` one continues with an expression; `absolute` ones are not relative to the
    source.
    """

    path: str
    line: int
    column: int
    computed: bool = False

    @property
    def absolute(self) -> bool:
        """Whether it names a place on this machine rather than in the project."""
        return not self.path.startswith(".")


def specifiers(source: str) -> tuple[Specifier, ...]:
    """Return the possible local imports of `source`, TypeScript or JavaScript, in order."""
    looked_at = _OF_TYPES.sub(lambda found: " " * len(found[0]), source) if "type" in source else source
    return tuple(_specifiers(source, looked_at))


def _specifiers(source: str, looked_at: str) -> list[Specifier]:
    found = []
    for one in _IMPORT.finditer(looked_at):
        if one["how"] == "from" and one["call"]:
            continue
        computed = one["end"] == "${"
        if (one["quote"] != one["end"] and not computed) or (computed and one["quote"] != "`"):
            continue
        at = one.start("quote")
        line_start = source.rfind("\n", 0, at) + 1
        found.append(Specifier(one["path"], source.count("\n", 0, at) + 1, at - line_start + 1, computed))
    return found


def is_module(source: str) -> bool:
    """Return whether `source` uses `import` or `export` as statements, rather than `require` and `module.exports`."""
    return _MODULE.search(source) is not None


@dataclass(frozen=True, slots=True)
class Graph:
    """The files that a script may need, itself included, by path.

    `unusable` files exist but cannot be used. `absent` are the candidates of imports without a file.
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
    """The imported files of one source."""

    found: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, Complaint] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


class Tree:
    """The sources of a project and their imports. Each source is scanned once."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._links: dict[tuple[str, str], _Links] = {}

    def names_local_files(self, path: str, source: str) -> bool:
        """Return whether the source at `path` may import any local file."""
        return not path.endswith(".json") and bool(specifiers(source))

    def graph(self, path: str, source: str) -> Graph:
        """Return the files that the script at `path` may need."""
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
    """Yield the candidate paths of an import in the file `importer`; none outside of the project."""
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
    """Return the path of an import in the file `importer`; None outside of the project."""
    if not named.startswith("."):
        return None
    base = posixpath.normpath(posixpath.join(posixpath.dirname(importer), named))
    return None if base == ".." or base.startswith("../") else base
