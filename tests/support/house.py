"""Check the project's own rules, as `make lint` does."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MOST_WORDS = 12
_POSSESSIVE = re.compile(r"[\])\w.][*+?}]\+|\(\?>")
_INSTALLED = {"packaging"}
"""Directories of tests whose names are those of installed packages, which are imported instead."""
_RIDDLE = re.compile(r"(How|What|Which|Where|Whether|Who|Whom|Whose|When|Why)\b")


def complaints(root: Path = ROOT) -> Iterator[str]:
    """Yield a line for everything in the package that breaks a rule, as PATH:LINE: what is wrong."""
    files = {file: ast.parse(file.read_bytes()) for file in sorted((root / "ckfunc").rglob("*.py"))}
    trees = {file.relative_to(root).as_posix(): tree for file, tree in files.items()}
    yield from _docstrings(trees)
    yield from _class_names(trees)
    yield from _circles(trees)
    yield from _possessive(trees)
    yield from _costly_dataclasses(trees)
    yield from _missing_names(root, trees)


def _docstrings(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    for path, tree in trees.items():
        opening, _, _ = (ast.get_docstring(tree) or "").partition("\n\n")
        first = re.split(r"(?<=[.:])\s", opening, maxsplit=1)[0]
        if not opening:
            yield f"{path}:1: the module has no docstring"
        elif riddle := _RIDDLE.match(opening):
            yield f"{path}:1: a module's docstring is a noun phrase or an imperative, not a {riddle[0]} clause"
        elif len(first.split()) > MOST_WORDS:
            yield f"{path}:1: the docstring's first sentence has {len(first.split())} words, more than {MOST_WORDS}"


def _class_names(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    places: dict[str, list[str]] = defaultdict(list)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                places[node.name].append(f"{path}:{node.lineno}")
    for name, (first, *others) in places.items():
        yield from (f"{other}: the class name {name} is taken by {first}" for other in others)


def _possessive(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Find regular expressions that Python before 3.11.5 matches wrongly.

    Source: https://github.com/python/cpython/issues/101955.
    """
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _POSSESSIVE.search(node.value):
                yield f"{path}:{node.lineno}: Python 3.11.2 matches possessive quantifiers and atomic groups wrongly"


def _costly_dataclasses(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node) == "dataclass(frozen=True, slots=True)":
                yield f"{path}:{node.lineno}: use `@frozen` of ckfunc/base/frozen.py"


def _circles(trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Find import circles. Imports inside functions and for type checking count too."""
    modules = {
        path.removesuffix(".py").removesuffix("/__init__").replace("/", "."): tree for path, tree in trees.items()
    }
    graph = {name: {*_imported(tree, modules)} - {name} for name, tree in modules.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        yield f"import circle: {' <- '.join(error.args[1])}"


def _imported(tree: ast.Module, modules: Mapping[str, object]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{name.name}" for name in node.names]
            yield from (module for module in inner if module in modules)
            if node.module in modules and not all(module in modules for module in inner):
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in modules)


def _missing_names(root: Path, trees: Mapping[str, ast.Module]) -> Iterator[str]:
    """Find names that programs outside of the package use, and that no module has: mypy skips most of them."""
    programs = {
        f"{directory}/{file.relative_to(root / directory).as_posix()}": ast.parse(file.read_bytes())
        for directory in ("bench", "example-project", "tests", "website")
        for file in sorted((root / directory).rglob("*.py"))
    }
    modules = {_module(path): tree for path, tree in (trees | programs).items()}
    known = {name: set(_bound(tree)) for name, tree in modules.items()}
    for path, tree in programs.items():
        yield from (f"{path}:{line}: {text}" for line, text in _unknown(tree, known))


def _module(path: str) -> str:
    """Return the name with which programs import a module; those of all directories except `bench` run next to it."""
    name = re.sub(r"(/__init__)?\.py$", "", path).replace("/", ".")
    return re.sub(r"^(tests|website|example-project)\.", "", name)


def _bound(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module binds outside of functions and classes."""
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
                continue
            case ast.alias(name=name, asname=alias):
                yield alias or name.partition(".")[0]
            case ast.Name(id=name, ctx=ast.Store()):
                yield name
        yield from _bound(node)


def _unknown(tree: ast.Module, known: Mapping[str, set[str]]) -> Iterator[tuple[int, str]]:
    """Yield line and text for each import, and each attribute of an imported module, that is not `known`."""
    tops = {name.partition(".")[0] for name in known} - _INSTALLED

    def problems(line: int, module: str, name: str) -> Iterator[tuple[int, str]]:
        if module.partition(".")[0] in tops and f"{module}.{name}" not in known and not name.startswith("__"):
            if module not in known:
                yield line, f"there is no module {module}"
            elif name not in known[module]:
                yield line, f"{module} has no {name}"

    nodes = list(ast.walk(tree))
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    aliases: dict[str, str] = {}
    for node in imports:
        for each in node.names:
            yield from problems(node.lineno, str(node.module), each.name)
            if (module := f"{node.module}.{each.name}") in known:
                aliases[each.asname or each.name] = module
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    assigned |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in aliases and name not in assigned:
                yield from problems(node.lineno, aliases[name], attribute)


if __name__ == "__main__":
    found = list(complaints())
    print("".join(f"{problem}\n" for problem in found), end="", file=sys.stderr)
    sys.exit(bool(found))
