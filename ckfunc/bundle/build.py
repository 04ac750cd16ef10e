"""Bundling with esbuild, many scripts at once.

esbuild works on copies of the files that may matter. The copies have plain newlines, and no `package.json` or
`tsconfig.json` above them could influence the result: the same sources make the same bytes, wherever a project lies.

esbuild changes names of classes and functions when it joins files: a class that mentions itself becomes
`var NotFound = class _NotFound {…}`, and of two functions with one name the second gets a number. Both would show in
`error.name`, `constructor.name` and stacks, and are changed back here.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.bundle import esbuild
from ckfunc.bundle.cache import Bundle, BundleInput
from ckfunc.bundle.esbuild import KEPT
from ckfunc.bundle.graph import EXTENSIONS, is_module, specifiers
from ckfunc.bundle.source_map import narrowed

_HEADER = "// Bundled by ckfunc from the files named below: change those, not this."
_OPTIONS = (
    "--bundle",
    "--platform=node",
    "--packages=external",
    "--target=esnext",
    "--charset=utf8",
    "--legal-comments=inline",
    "--tsconfig-raw={}",
    f"--resolve-extensions={','.join(EXTENSIONS)}",
    "--log-level=error",
    "--log-limit=0",
    "--color=false",
    "--sourcemap=external",
    "--sources-content=false",
    "--outdir=../out",
    "--metafile=../meta.json",
)
# A bundle without imports is not a module for Node, so strict mode is explicit.
_MODULE = ("--format=esm", f'--banner:js={_HEADER}\n"use strict";')
# Nothing in such a script is marked as exported, so nothing is removed.
_COMMON = ("--format=cjs", "--tree-shaking=false", f"--banner:js={_HEADER}")
_MOST_AT_ONCE = 200
_EXPORTS = re.compile(r"\nexport \{\n(?P<names>(?:  [^\n]*\n)+)\};\n$")
_SOURCES = "../p/"

_INNER = re.compile(r"^(?:var|let|const) (?P<name>[\w$]+) = class _(?P=name)\b", re.M)
_NAMED = re.compile(
    r"\bfunction\*? (?P<function>[\w$]+)\("
    r"|\bclass (?!extends\b)(?P<class>[\w$]+)"
    r"|\b(?:var|let|const) (?P<variable>[\w$]+) = (?:/\* @__PURE__ \*/ )?"
    r"(?:async )?(?:function\b|class\b|\([^()\n]*\) =>|[\w$]+ =>)"
)
_WORD = re.compile(r"[\w$]+")


def build(program: Path, entries: Sequence[BundleInput]) -> list[Bundle | tuple[Problem, ...]]:
    """Return the bundle of each script, or its mistakes, in the same order; `program` is esbuild."""
    found: dict[int, Bundle | tuple[Problem, ...]] = {}
    for group in _groups(entries):
        try:
            made = _together(program, [entries[one] for one in group])
            found.update(zip(group, made, strict=True))
        except _Refused:
            # A mistake in one script keeps esbuild from bundling and checking the others.
            for one in group:
                found[one] = _alone(program, entries[one])
    return [found[one] for one in range(len(entries))]


class _Refused(Exception):
    """esbuild failed; the argument is its output."""


def _groups(entries: Sequence[BundleInput]) -> Iterator[list[int]]:
    """Yield groups of scripts that one run can bundle with the same result as separate runs.

    A handler that others import is staged differently for itself than for them.
    """
    imported = {path for one in entries for path in one.graph.files if path != one.path}
    paths = [one.path for one in entries]
    groups: dict[bool, list[int]] = {True: [], False: []}
    for number, one in enumerate(entries):
        special = one.path in imported or paths.count(one.path) > 1
        if special or any(path.endswith("package.json") for path in one.graph.files):
            yield [number]
        else:
            groups[is_module(one.source)].append(number)
    for group in groups.values():
        yield from (group[at : at + _MOST_AT_ONCE] for at in range(0, len(group), _MOST_AT_ONCE))


def _alone(program: Path, entry: BundleInput) -> Bundle | tuple[Problem, ...]:
    try:
        (made,) = _together(program, [entry])
    except _Refused as refused:
        found = tuple(dict.fromkeys(esbuild.problems(str(refused), entry.path, entry.graph)))
        if not found:
            raise CkfuncError(f"esbuild failed on {entry.path}: {' '.join(str(refused).split())[:300]}") from None
        return found
    return made


def _together(
    program: Path, entries: Sequence[BundleInput], *, named: bool = False
) -> list[Bundle | tuple[Problem, ...]]:
    """Return the bundles of scripts. With `named`, the bundle sets the names of functions and classes at its start."""
    with tempfile.TemporaryDirectory(prefix="ckfunc-") as name:
        place = Path(name)
        _stage(place, entries)
        how = _MODULE if is_module(entries[0].source) else _COMMON
        how = (*how, "--keep-names") if named else how
        outputs = [f"{number}=./{one.path}" for number, one in enumerate(entries)]
        said = esbuild.run(program, [*_OPTIONS, *how, *outputs], place / "p")
        if said:
            raise _Refused(said)
        meta = json.loads((place / "meta.json").read_bytes())
        made = [
            _bundle(one, meta, *((place / "out" / f"{number}{end}").read_text("utf-8") for end in (".js", ".js.map")))
            for number, one in enumerate(entries)
        ]
    if named:
        return made
    # Most bundles need no code for names, and are easier to read without it.
    return [
        _together(program, [entry], named=True)[0] if _renamed(entry, bundle) else bundle
        for entry, bundle in zip(entries, made, strict=True)
    ]


def _renamed(entry: BundleInput, made: Bundle | tuple[Problem, ...]) -> bool:
    if isinstance(made, tuple) or made.text is None:
        return False
    return renames(made.text, _sources(entry, made.modules))


def _sources(entry: BundleInput, modules: Iterable[str]) -> list[str]:
    return [entry.graph.files[path] for path in modules if path in entry.graph.files]


def _stage(place: Path, entries: Sequence[BundleInput]) -> None:
    files: dict[str, str] = {}
    for one in entries:
        files |= one.graph.files
    for one in entries:
        if one.handler and is_module(one.source):
            files[one.path] = f"{one.source}\nexport {{ handleEvent as {KEPT} }};\n"
    for path, text in files.items():
        file = place / "p" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "replace"))
    (place / "package.json").write_bytes(b"{}")


# -- results -----------------------------------------------------------------------------------------------------------


def _bundle(entry: BundleInput, meta: Mapping[str, Any], text: str, source_map: str) -> Bundle | tuple[Problem, ...]:
    inputs: Mapping[str, Any] = meta["inputs"]
    modules = _reachable(entry.path, inputs)
    if wrong := tuple(_outside(entry, modules, inputs)) or tuple(_computed(entry, modules, text)):
        return wrong
    if modules == {entry.path}:
        return Bundle(None)
    if entry.handler and is_module(entry.source):
        name, text = _without_kept(text)
        if name is None:
            return (esbuild.no_handler(entry.path),)
        if name != "handleEvent":
            numbered = re.fullmatch(r"handleEvent\d+", name)
            return (_two_handlers(entry, modules) if numbered else esbuild.renamed(entry.path, name),)
    elif entry.handler and re.search(r"\bhandleEvent2\b", text):
        return (_two_handlers(entry, modules),)
    text, local_map = with_class_names(text, _local(source_map), _sources(entry, modules))
    return Bundle(text, tuple(sorted(modules)), local_map)


def _reachable(path: str, inputs: Mapping[str, Any]) -> set[str]:
    found = {path}
    left = [path]
    while left:
        for one in inputs[left.pop()]["imports"]:
            if not one.get("external") and one["path"] not in found and one["path"] in inputs:
                found.add(one["path"])
                left.append(one["path"])
    return found


def _outside(entry: BundleInput, modules: Iterable[str], inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield imports of files outside of the project."""
    for path in sorted(modules):
        names = {one.get("original", "") for one in inputs[path]["imports"] if one["path"] not in entry.graph.files}
        for one in specifiers(entry.graph.files.get(path, "")):
            if one.absolute and one.path in names:
                yield esbuild.outside(path, one.line, one.column, one.path)


def _computed(entry: BundleInput, modules: Iterable[str], text: str) -> Iterator[Problem]:
    if "= __glob({" not in text:
        return
    for path in sorted(modules):
        for one in specifiers(entry.graph.files.get(path, "")):
            if one.computed:
                yield esbuild.computed(path, one.line, one.column)


def _without_kept(text: str) -> tuple[str | None, str]:
    """Return the name of handleEvent in a bundle, and the bundle without its temporary export."""
    exports = _EXPORTS.search(text)
    names = exports["names"].rstrip("\n").split(",\n") if exports else []
    kept = [one for one in names if one.endswith(f" as {KEPT}")]
    if exports is None or not kept:
        return None, text
    others = ",\n".join(one for one in names if one not in kept)
    end = f"\nexport {{\n{others}\n}};\n" if others else "\n"
    return kept[0].split()[0], text[: exports.start()] + end


def _two_handlers(entry: BundleInput, modules: Iterable[str]) -> Problem:
    also = [one for one in sorted(modules) if one != entry.path and "handleEvent" in entry.graph.files.get(one, "")]
    message = f"the script would have two functions named handleEvent: {' and '.join(also)} has one too"
    return Problem(entry.path, 1, 1, message, "give the other one another name, or do not export it")


def _local(source_map: str) -> str:
    document = json.loads(source_map)
    sources = [str(one).removeprefix(_SOURCES) for one in document["sources"]]
    return json.dumps({"version": 3, "sources": sources, "names": [], "mappings": document["mappings"]})


def with_class_names(text: str, source_map: str, sources: Collection[str]) -> tuple[str, str]:
    """Return a bundle and its map with classes named as in the files, whose texts are `sources`.

    Inside a class, its own name means the class, as the one that esbuild made did: the bundle does the same as before.
    A class stays as it is when a file has the other name too, since the two would be ambiguous.
    """
    known = _words(sources)
    names = [name for name in dict.fromkeys(_INNER.findall(text)) if f"_{name}" not in known]
    if not names:
        return text, source_map
    alternatives = "|".join(map(re.escape, names))
    invented = re.compile(rf"(?<![\w$])_(?=(?:{alternatives})(?![\w$]))")
    cuts: dict[int, list[int]] = {}
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if columns := [_utf16_length(line[: found.start()]) for found in invented.finditer(line)]:
            cuts[number] = columns
            lines[number] = invented.sub("", line)
    document = json.loads(source_map)
    document["mappings"] = narrowed(document["mappings"], cuts)
    return "\n".join(lines), json.dumps(document)


def renames(text: str, sources: Collection[str]) -> bool:
    """Return whether a function or class has another name in a bundle than in its files."""
    known = _words(sources)
    return bool(_INNER.search(text)) or any(one[one.lastgroup or 0] not in known for one in _NAMED.finditer(text))


def _words(sources: Collection[str]) -> set[str]:
    return {word for one in sources for word in _WORD.findall(one)}


def _utf16_length(text: str) -> int:
    """Return how many columns of a source map `text` takes."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
