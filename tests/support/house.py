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


if __name__ == "__main__":
    found = list(complaints())
    print("".join(f"{problem}\n" for problem in found), end="", file=sys.stderr)
    sys.exit(bool(found))
