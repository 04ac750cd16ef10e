"""Bundling of many scripts in one run of esbuild.

esbuild works on copies of the files that a script may need. The copies have `\\n` newlines, and no `package.json` or
`tsconfig.json` above them, so the same sources give the same bytes in every location.

When esbuild joins files, it renames classes and functions: a class that refers to itself becomes
`var NotFound = class _NotFound {…}`, and the second of two functions with the same name gets a number. Both names would
be visible in `error.name`, `constructor.name` and stacks, so this module restores the original names.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.bundle import esbuild
from ckfunc.bundle.cache import Bundle, BundleInput
from ckfunc.bundle.esbuild import TEMPORARY_EXPORT
from ckfunc.bundle.graph import EXTENSIONS, is_module, specifiers
from ckfunc.bundle.source_map import utf16_length, without_characters

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
# Node does not treat a bundle without imports as a module, so strict mode is explicit.
_MODULE = ("--format=esm", f'--banner:js={_HEADER}\n"use strict";')
# Nothing in a CommonJS script is marked as exported, so nothing may be removed.
_COMMON = ("--format=cjs", "--tree-shaking=false", f"--banner:js={_HEADER}")
_MAX_ENTRIES = 200
_EXPORTS = re.compile(r"\nexport \{\n(?P<names>(?:  [^\n]*\n)+)\};\n$")
_SOURCES = "../p/"
_TOP_LEVEL_HANDLER = re.compile(r"^(?:(?:async )?function\*?|class|var|let|const) handleEvent\b", re.MULTILINE)

_RENAMED_CLASS = re.compile(r"^(?:var|let|const) (?P<name>[\w$]+) = class _(?P=name)\b", re.M)
_DEFINITION = re.compile(
    r"\bfunction\*? (?P<function>[\w$]+)\("
    r"|\bclass (?!extends\b)(?P<class>[\w$]+)"
    r"|\b(?:var|let|const) (?P<variable>[\w$]+) = (?:/\* @__PURE__ \*/ )?"
    r"(?:async )?(?:function\b|class\b|\([^()\n]*\) =>|[\w$]+ =>)"
)
_WORD = re.compile(r"[\w$]+")


def build(program: Path, entries: Sequence[BundleInput]) -> list[Bundle | tuple[Problem, ...]]:
    """Return the bundle of each script, or its errors, in the same order; `program` is esbuild."""
    results: dict[int, Bundle | tuple[Problem, ...]] = {}
    for group in _groups(entries):
        try:
            bundles = _build_together(program, [entries[index] for index in group])
            results.update(zip(group, bundles, strict=True))
        except _BuildFailed:
            # After an error in one script, esbuild does not bundle or check the others.
            for index in group:
                results[index] = _build_alone(program, entries[index])
    for index, entry in enumerate(entries):
        if results[index] == (esbuild.no_handler(entry.path),):
            results[index] = _build_exporting(program, entry)
    return [results[index] for index in range(len(entries))]


class _BuildFailed(Exception):
    """esbuild failed; the argument is its output."""


def _groups(entries: Sequence[BundleInput]) -> Iterator[list[int]]:
    """Yield groups of scripts, as indexes, that one run can bundle with the same result as separate runs.

    A handler that other scripts import is in a group of its own: its copy has an additional export, theirs has not.
    """
    imported = {path for entry in entries for path in entry.graph.files if path != entry.path}
    paths = [entry.path for entry in entries]
    groups: dict[bool, list[int]] = {True: [], False: []}
    for index, entry in enumerate(entries):
        separate = entry.path in imported or paths.count(entry.path) > 1
        if separate or any(path.endswith("package.json") for path in entry.graph.files):
            yield [index]
        else:
            groups[is_module(entry.source)].append(index)
    for group in groups.values():
        yield from (group[start : start + _MAX_ENTRIES] for start in range(0, len(group), _MAX_ENTRIES))


def _build_alone(program: Path, entry: BundleInput) -> Bundle | tuple[Problem, ...]:
    try:
        (bundle,) = _build_together(program, [entry])
    except _BuildFailed as failure:
        problems = tuple(dict.fromkeys(esbuild.problems(str(failure), entry.path, entry.graph)))
        if not problems:
            raise CkfuncError(f"esbuild failed on {entry.path}: {' '.join(str(failure).split())[:300]}") from None
        return problems
    return bundle


def _build_exporting(program: Path, entry: BundleInput) -> Bundle | tuple[Problem, ...]:
    """Return the bundle of a handler that exports its function without declaring it, as in `export … from`."""
    bundle = _build_alone(program, replace(entry, handler=False))
    if isinstance(bundle, tuple) or bundle.text is None:
        return bundle
    exports = {words[-1]: words[0] for words in map(str.split, _exports(bundle.text))}
    name = exports.get("handleEvent") or exports.get("default")
    if name is None:
        return (esbuild.no_handler(entry.path),)
    # The platform would call a function of that name in another file instead.
    if name != "handleEvent" and _TOP_LEVEL_HANDLER.search(bundle.text):
        return (_two_handlers(entry, bundle.modules),)
    return bundle


def _build_together(
    program: Path, entries: Sequence[BundleInput], *, named: bool = False
) -> list[Bundle | tuple[Problem, ...]]:
    """Return the bundles of scripts. With `named`, code in the bundle sets the names of functions and classes."""
    with tempfile.TemporaryDirectory(prefix="ckfunc-") as name:
        directory = Path(name)
        _stage(directory, entries)
        options = _MODULE if is_module(entries[0].source) else _COMMON
        options = (*options, "--keep-names") if named else options
        outputs = [f"{index}=./{entry.path}" for index, entry in enumerate(entries)]
        errors = esbuild.run(program, [*_OPTIONS, *options, *outputs], directory / "p")
        if errors:
            raise _BuildFailed(errors)
        meta = json.loads((directory / "meta.json").read_bytes())
        out = directory / "out"
        bundles = [
            _bundle(entry, meta, *((out / f"{index}{end}").read_text("utf-8") for end in (".js", ".js.map")))
            for index, entry in enumerate(entries)
        ]
    if named:
        return bundles
    # Most bundles do not need this code, and are easier to read without it.
    return [
        _build_together(program, [entry], named=True)[0] if _renamed(entry, bundle) else bundle
        for entry, bundle in zip(entries, bundles, strict=True)
    ]


def _renamed(entry: BundleInput, bundle: Bundle | tuple[Problem, ...]) -> bool:
    if isinstance(bundle, tuple) or bundle.text is None:
        return False
    return renames(bundle.text, _sources(entry, bundle.modules))


def _sources(entry: BundleInput, modules: Iterable[str]) -> list[str]:
    return [entry.graph.files[path] for path in modules if path in entry.graph.files]


def _stage(directory: Path, entries: Sequence[BundleInput]) -> None:
    files: dict[str, str] = {}
    for entry in entries:
        files |= entry.graph.files
    for entry in entries:
        if entry.handler and is_module(entry.source):
            files[entry.path] = f"{entry.source}\nexport {{ handleEvent as {TEMPORARY_EXPORT} }};\n"
    for path, text in files.items():
        file = directory / "p" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8", "replace"))
    (directory / "package.json").write_bytes(b"{}")


# -- results -----------------------------------------------------------------------------------------------------------


def _bundle(entry: BundleInput, meta: Mapping[str, Any], text: str, source_map: str) -> Bundle | tuple[Problem, ...]:
    inputs: Mapping[str, Any] = meta["inputs"]
    modules = _reachable(entry.path, inputs)
    if problems := tuple(_outside_imports(entry, modules, inputs)) or tuple(_computed_imports(entry, modules, text)):
        return problems
    if modules == {entry.path}:
        return Bundle(None)
    if entry.handler and is_module(entry.source):
        name, text = _without_temporary_export(text)
        if name is None:
            return (esbuild.no_handler(entry.path),)
        if name != "handleEvent":
            numbered = re.fullmatch(r"handleEvent\d+", name)
            return (_two_handlers(entry, modules) if numbered else esbuild.renamed(entry.path, name),)
    elif entry.handler and re.search(r"\bhandleEvent2\b", text):
        return (_two_handlers(entry, modules),)
    text, local_map = with_class_names(text, _with_local_sources(source_map), _sources(entry, modules))
    return Bundle(text, tuple(sorted(modules)), local_map)


def _reachable(path: str, inputs: Mapping[str, Any]) -> set[str]:
    reached = {path}
    pending = [path]
    while pending:
        for imported in inputs[pending.pop()]["imports"]:
            if not imported.get("external") and imported["path"] not in reached and imported["path"] in inputs:
                reached.add(imported["path"])
                pending.append(imported["path"])
    return reached


def _outside_imports(entry: BundleInput, modules: Iterable[str], inputs: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield imports of files outside of the project."""
    for path in sorted(modules):
        names = {each.get("original", "") for each in inputs[path]["imports"] if each["path"] not in entry.graph.files}
        for specifier in specifiers(entry.graph.files.get(path, "")):
            if specifier.absolute and specifier.path in names:
                yield esbuild.outside(path, specifier.line, specifier.column, specifier.path)


def _computed_imports(entry: BundleInput, modules: Iterable[str], text: str) -> Iterator[Problem]:
    if "= __glob({" not in text:
        return
    for path in sorted(modules):
        for specifier in specifiers(entry.graph.files.get(path, "")):
            if specifier.computed:
                yield esbuild.computed(path, specifier.line, specifier.column)


def _exports(text: str) -> list[str]:
    """Return the exports of a bundle, as `  NAME` or `  NAME as EXPORTED`."""
    exports = _EXPORTS.search(text)
    return exports["names"].rstrip("\n").split(",\n") if exports else []


def _without_temporary_export(text: str) -> tuple[str | None, str]:
    """Return the name of handleEvent in a bundle, and the bundle without its temporary export."""
    names = _exports(text)
    temporary = [name for name in names if name.endswith(f" as {TEMPORARY_EXPORT}")]
    if not temporary:
        return None, text
    remaining = ",\n".join(name for name in names if name not in temporary)
    end = f"\nexport {{\n{remaining}\n}};\n" if remaining else "\n"
    return temporary[0].split()[0], _EXPORTS.sub("", text) + end


def _two_handlers(entry: BundleInput, modules: Iterable[str]) -> Problem:
    files = entry.graph.files
    others = [path for path in sorted(modules) if path != entry.path and "handleEvent" in files.get(path, "")]
    message = f"the script would have two functions named handleEvent, the other from {' and '.join(others)}"
    return Problem(entry.path, 1, 1, message, "rename the other function, or do not export it")


def _with_local_sources(source_map: str) -> str:
    document = json.loads(source_map)
    # esbuild writes sources as URLs.
    sources = [unquote(str(source)).removeprefix(_SOURCES) for source in document["sources"]]
    return json.dumps({"version": 3, "sources": sources, "names": [], "mappings": document["mappings"]})


def with_class_names(text: str, source_map: str, sources: Collection[str]) -> tuple[str, str]:
    """Restore the names of classes in a bundle and its source map; `sources` are the texts of the bundle's files.

    This does not change what the bundle does, because a class can refer to itself by either name. A class keeps
    esbuild's name if that name also occurs in a file, because then the two would be ambiguous.
    """
    words = _words(sources)
    names = [name for name in dict.fromkeys(_RENAMED_CLASS.findall(text)) if f"_{name}" not in words]
    if not names:
        return text, source_map
    alternatives = "|".join(map(re.escape, names))
    invented = re.compile(rf"(?<![\w$])_(?=(?:{alternatives})(?![\w$]))")
    cuts: dict[int, list[int]] = {}
    lines = text.split("\n")
    for number, line in enumerate(lines):
        if columns := [utf16_length(line[: match.start()]) for match in invented.finditer(line)]:
            cuts[number] = columns
            lines[number] = invented.sub("", line)
    document = json.loads(source_map)
    document["mappings"] = without_characters(document["mappings"], cuts)
    return "\n".join(lines), json.dumps(document)


def renames(text: str, sources: Collection[str]) -> bool:
    """Return whether a function or class has a different name in a bundle than in its files."""
    words = _words(sources)
    definitions = _DEFINITION.finditer(text)
    return bool(_RENAMED_CLASS.search(text)) or any(each[each.lastgroup or 0] not in words for each in definitions)


def _words(sources: Collection[str]) -> set[str]:
    return {word for source in sources for word in _WORD.findall(source)}
