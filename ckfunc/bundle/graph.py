"""Local files that a script imports, directly or indirectly.

Imports are found with regular expressions, which is cheap for scripts without local imports. False positives (in
comments, in types) are possible, and resolved by esbuild. There are no false negatives.
"""

from __future__ import annotations

import posixpath
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field
from functools import cache
from pathlib import Path
from typing import TypeAlias

from ckfunc.base.frozen import frozen
from ckfunc.manifest.sources import Complaint, read_script

_SPACE = re.compile(r"\s*")
_CLOSING = {"/*": "*/", "//": "\n"}
_CHARACTERS = r"(?:(?!(?P=quote)|\$\{)[^\n])*"
_PLACE = rf"\.\.?(?:/{_CHARACTERS})?|/{_CHARACTERS}|[A-Za-z]:[\\/]{_CHARACTERS}|file:{_CHARACTERS}"
_KEYWORD = re.compile(r"\b(?:from|import|require)\b")
_QUOTED = re.compile(rf"""(?P<quote>["'`])(?P<path>{_PLACE})(?P<end>(?P=quote)|\$\{{)""")
_LITERAL = re.compile(rf"""(?P<quote>["'`])(?P<path>\.\.?/{_CHARACTERS})(?P<end>(?P=quote))""")
# Imports that a compiler drops.
_TYPE_IMPORT = re.compile(
    r"""\b(?:import|export)\s+type\s+(?:[\w$]+|\{[^{}]*\}|\*(?:\s*as\s+[\w$]+)?)\s*from\s*(["'])[^"'\n]*\1"""
)
_MODULE = re.compile(r"^[ \t]*(?:import\b(?!\s*[(.])|export\b)", re.MULTILINE)
# An `export =` of TypeScript, which becomes `module.exports =`.
_COMMON_EXPORT = re.compile(r"^[ \t]*export\s*=", re.MULTILINE)

EXTENSIONS = (".ts", ".mts", ".cts", ".js", ".mjs", ".cjs", ".json")
"""File name extensions of imports, in the order of resolution."""
_TYPESCRIPT_OF = {".js": ".ts", ".mjs": ".mts", ".cjs": ".cts"}
Reader: TypeAlias = Callable[[str], "str | Complaint | None"]
"""Return the text of a project file by its path; None if it is missing, a Complaint if it cannot be used."""


@frozen
class Specifier:
    """The path of a local file in an import, as written; `line` and `column` of the quote count from 1.

    A `computed` specifier continues with an expression.
    """

    path: str
    line: int
    column: int
    computed: bool = False

    @property
    def absolute(self) -> bool:
        """Whether it is not relative to the importing file."""
        return not self.path.startswith(".")


def specifiers(source: str) -> tuple[Specifier, ...]:
    """Return the possible local imports of `source`, TypeScript or JavaScript, in order."""
    code = _TYPE_IMPORT.sub(lambda match: " " * len(match[0]), source) if "type" in source else source
    return tuple(_specifiers(source, code))


def _specifiers(source: str, code: str) -> Iterator[Specifier]:
    line, line_start, counted = 1, 0, 0
    for match in _quoted(code):
        start, computed = match.start(), match["end"] == "${"
        if computed and match["quote"] != "`":
            continue
        line += source.count("\n", counted, start)
        line_start = max(line_start, source.rfind("\n", counted, start) + 1)
        counted = start
        yield Specifier(match["path"], line, start - line_start + 1, computed)


def _quoted(code: str) -> Iterator[re.Match[str]]:
    """Yield the paths that follow `from`, `import` or `require`, perhaps after comments and a parenthesis.

    If the argument of any call is an expression, such as `import(a ? "./b" : "./c")`, yield all relative paths of the
    source, because esbuild follows those in the expression.
    """
    gaps, start, paths, expression = _Gaps(code), 0, dict[int, re.Match[str]](), False
    while (keyword := _KEYWORD.search(code, start)) is not None:
        start = keyword.end()
        place = gaps.end(start)
        called = code.startswith("(", place)
        place = gaps.end(place + 1) if called else place
        quoted = _QUOTED.match(code, place)
        if quoted is not None:
            start = quoted.end()
        if called and keyword[0] == "from":
            continue
        if quoted is not None:
            paths[quoted.start()] = quoted
        elif called and not code.startswith((")", '"', "'", "`"), place):
            expression = True
    if expression:
        paths = {literal.start(): literal for literal in _LITERAL.finditer(code)} | paths
    yield from (paths[place] for place in sorted(paths))


class _Gaps:
    """Whitespace and comments of a source. Each is read only once, so that a scan takes linear time."""

    def __init__(self, code: str) -> None:
        self._code = code
        self._ends: dict[int, int] = {}
        self._closed: dict[str, list[int]] = {}

    def end(self, start: int) -> int:
        """Return the end of the whitespace and the comments at `start`."""
        passed = [start]
        while passed[-1] not in self._ends:
            space = _SPACE.match(self._code, passed[-1])
            assert space is not None  # noqa: S101 - it also matches the empty text
            after = self._comment_end(space.end())
            if after is None:
                self._ends[passed[-1]] = space.end()
            else:
                passed.append(after)
        end = self._ends[passed[-1]]
        self._ends.update(dict.fromkeys(passed, end))
        return end

    def _comment_end(self, start: int) -> int | None:
        """Return the end of the comment at `start`; None if there is none, or if it is not closed."""
        closing = _CLOSING.get(self._code[start : start + 2])
        if closing is None:
            return None
        if closing not in self._closed:
            self._closed[closing] = [match.end() for match in re.finditer(re.escape(closing), self._code)]
        ends = self._closed[closing]
        index = bisect_left(ends, start + 2 + len(closing))
        return ends[index] if index < len(ends) else None


def is_module(source: str) -> bool:
    """Return whether `source` has `import` or `export` statements, and so is not a CommonJS script."""
    return _MODULE.search(source) is not None and _COMMON_EXPORT.search(source) is None


@frozen
class Graph:
    """The files that a script may need, by path: itself and its imports, direct or not; or those that a file imports.

    `unusable` files exist but cannot be used. `absent` are the candidate paths of imports that no file matches.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    unusable: Mapping[str, Complaint] = field(default_factory=dict)
    absent: frozenset[str] = frozenset()


def reader_of(root: Path) -> Reader:
    """Return a reader of the files of a project on disk, which reads each file once. Newlines become `\\n`."""

    @cache
    def read(path: str) -> str | Complaint | None:
        return read_script(root, path) if (root / path).is_file() else None

    return read


class Tree:
    """The sources of a project and their imports. Each source is scanned once."""

    def __init__(self, read: Reader) -> None:
        self._read = read
        self._imported: dict[tuple[str, str], Graph] = {}

    def names_local_files(self, path: str, source: str) -> bool:
        """Return whether the source at `path` may import any local file."""
        return not path.endswith(".json") and bool(specifiers(source))

    def graph(self, path: str, source: str) -> Graph:
        """Return the files that the script at `path` may need."""
        files = {path: source}
        unusable: dict[str, Complaint] = {}
        absent: set[str] = set()
        pending = [path]
        while pending:
            importer = pending.pop()
            imported = self._imports_of(importer, files[importer])
            pending += [path for path in imported.files if path not in files]
            files = {**imported.files, **files}
            unusable |= imported.unusable
            absent |= imported.absent
        return Graph(files, unusable, frozenset(absent))

    def _imports_of(self, path: str, source: str) -> Graph:
        imported = self._imported.get((path, source))
        if imported is None:
            imports = () if path.endswith(".json") else specifiers(source)
            imported = self._imported[path, source] = self._resolve(path, imports)
        return imported

    def _resolve(self, importer: str, imports: Iterable[Specifier]) -> Graph:
        resolved: dict[str, str] = {}
        unusable: dict[str, Complaint] = {}
        absent: set[str] = set()
        for name in {specifier.path for specifier in imports}:
            existing = {path: text for path in candidates(importer, name) if (text := self._read(path)) is not None}
            for path, text in existing.items():
                if isinstance(text, Complaint):
                    unusable[path] = text
                else:
                    resolved[path] = text
            if not existing:
                absent.update(candidates(importer, name))
        return Graph(resolved, unusable, frozenset(absent))


def candidates(importer: str, specifier: str) -> Iterator[str]:
    """Yield the candidate paths of an import in the file `importer`, if they are in the project."""
    base = place_of(importer, specifier)
    if base is None:
        return
    stem, extension = posixpath.splitext(base)
    if base != "." and not specifier.endswith("/"):
        if extension in EXTENSIONS:
            yield base
        if extension in _TYPESCRIPT_OF:
            yield stem + _TYPESCRIPT_OF[extension]
        yield from (base + each for each in EXTENSIONS)
    yield from (posixpath.normpath(f"{base}/index{each}") for each in EXTENSIONS)


def place_of(importer: str, specifier: str) -> str | None:
    """Return the path of an import in the file `importer`, or None if it is outside of the project."""
    if not specifier.startswith("."):
        return None
    base = posixpath.normpath(posixpath.join(posixpath.dirname(importer), specifier))
    return None if base == ".." or base.startswith("../") else base
