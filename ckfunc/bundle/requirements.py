"""The modules and the function that a script needs to run."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from ckfunc.base.documents import read_jsonc
from ckfunc.base.errors import Problem
from ckfunc.base.files import read_file
from ckfunc.base.text import nearest
from ckfunc.bundle.graph import candidates
from ckfunc.bundle.source_map import SourceMap
from ckfunc.manifest.definition import PACKAGE_NAME
from ckfunc.model.execution import Compiled, Import, Resolution, SyntaxProblem
from ckfunc.model.project import Script

Compile: TypeAlias = "Callable[[Sequence[tuple[str, str]]], Sequence[Compiled | SyntaxProblem]]"
"""Takes names and texts of scripts; returns what each becomes, in the same order."""

_SETTINGS = "tsconfig.json"
_MOST_SETTINGS = 20
_NO_ALIASES = "`paths` of tsconfig.json do not apply to bundles"

# Only for suggestions; Node itself determines the built-in modules. Source: https://nodejs.org/docs/latest-v24.x/api/
_BUILT_IN = (
    *("assert", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto", "dgram"),
    *("diagnostics_channel", "dns", "events", "fs", "fs/promises", "http", "http2", "https", "inspector", "module"),
    *("net", "os", "path", "perf_hooks", "process", "punycode", "querystring", "readline", "stream", "stream/promises"),
    *("string_decoder", "test", "timers", "timers/promises", "tls", "tty", "url", "util", "v8", "vm", "worker_threads"),
    "zlib",
)
_ONLY_WITH_PREFIX = ("sea", "sqlite", "test", "test/reporters")


@dataclass(frozen=True, slots=True)
class Lacks:
    """Missing requirements of scripts, by place: errors keep a script from running, warnings may not.

    `imports` are those of declared packages, which may lack the module; their places are in the project's files, too.
    """

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    imports: tuple[tuple[str, Import], ...] = ()


@dataclass(frozen=True, slots=True)
class _Missing:
    """The reason why an import finds no module; `certain` if no package of the application could provide it."""

    message: str
    hint: str | None
    certain: bool = True


class Requirements:
    """Modules that scripts of a project can import.

    `packages` are the npm packages that handlers can import. Unless that list is `complete`, others may be there too:
    the manifest leaves them to the application.
    """

    def __init__(self, root: Path, packages: Collection[str], *, complete: bool = True) -> None:
        self._root = root
        self._packages = frozenset(packages)
        self._complete = complete

    def lacks(
        self, scripts: Sequence[Script], compile_all: Compile, initialization_script: Script | None = None
    ) -> Lacks:
        """Return the missing requirements of `scripts`, by place in the project's files; syntax errors are included.

        All of them but the `initialization_script` are handlers. Raises what `compile_all` raises.
        """
        errors: dict[Problem, None] = {}
        warnings: dict[Problem, None] = {}
        imports: list[tuple[str, Import]] = []
        made = compile_all([(one.path, one.text) for one in scripts])
        for script, result in zip(scripts, made, strict=True):
            places = _Places(self._root, script)
            if isinstance(result, SyntaxProblem):
                errors[Problem(*places.of(result.line, result.column), result.message)] = None
                continue
            if (wrong := result.no_handler) is not None and script != initialization_script:
                errors[Problem(*places.of(wrong.line, wrong.column), wrong.message)] = None
            for one in result.imports:
                path, line, column = places.of(one.line, one.column, one.name)
                if (missing := self._missing(one.name, path)) is None:
                    if not one.guarded and not one.name.startswith("data:"):
                        imports.append((path, replace(one, line=line, column=column)))
                    continue
                if one.guarded:
                    hint = "the script handles that itself; declare the package if it is to be used"
                    warnings[Problem(path, line, column, missing.message, hint)] = None
                elif missing.certain or self._complete:
                    errors[Problem(path, line, column, missing.message, missing.hint)] = None
                else:
                    message = f"{package_of(one.name)} has to be installed in the application"
                    hint = "functions.yaml does not manage runtime.dependencies, so that this cannot be checked"
                    warnings[Problem(path, line, column, message, hint)] = None
        return Lacks(tuple(errors), tuple(warnings), tuple(imports))

    def _missing(self, name: str, importer: str) -> _Missing | None:
        """Return why the module `name`, which is not built into Node, is not found from the file `importer`."""
        package = package_of(name)
        if package in self._packages or name.startswith("data:"):
            return None
        if name.startswith("#"):
            hint = f"`imports` of package.json do not apply to handlers{_instead(self._local(name, importer))}"
            return _Missing(f'"{name}" is not an npm package', hint)
        if (pattern := self._aliases.pattern(name)) is not None:
            there = self._relative(self._aliases.target(pattern, name), importer)
            if there or pattern != "*":
                return _Missing(f"{package} is not in runtime.dependencies", f"{_NO_ALIASES}{_instead(there)}")
        return _no_package(name) or self._undeclared(package, name, self._local(name, importer))

    def _undeclared(self, package: str, name: str, local: str | None) -> _Missing:
        """Return the problem of an import that may be a package."""
        if not PACKAGE_NAME[0].allows(package) or package == "~":
            return _Missing(f'"{name}" is not an npm package', f"{_NO_ALIASES}{_instead(local)}")
        message = f"{package} is not in runtime.dependencies"
        if local is not None:
            return _Missing(message, f"write {local} for the local file", certain="/" in name)
        if name in _ONLY_WITH_PREFIX:
            return _Missing(message, f"write node:{name} for the module of Node", certain=False)
        if near := nearest(package, self._packages):
            return _Missing(message, f"did you mean {near}?", certain=False)
        linked, version = self._installed(package)
        if linked:
            hint = "it is only linked here: publish it to the npm registry, or import its files by a relative path"
            return _Missing(message, hint, certain=False)
        key = f'"{package}"' if package.startswith("@") else package
        return _Missing(message, f"add `{key}: {version}` under runtime.dependencies in functions.yaml", certain=False)

    def _installed(self, package: str) -> tuple[bool, str]:
        """Return whether `node_modules` links to a package outside of it, and a range for its version."""
        place = self._root / "node_modules" / package
        try:
            linked = place.is_symlink() and "node_modules" not in place.resolve().parts
            version = json.loads(read_file(place / "package.json"))["version"]
        except (OSError, ValueError, KeyError, TypeError):
            return False, "latest"
        return linked, f"^{version}" if re.fullmatch(r"[\w.+-]+", str(version)) else "latest"

    def _local(self, name: str, importer: str) -> str | None:
        """Return the relative specifier of the local file that a name without `./` may mean."""
        return self._relative(re.sub(r"^[@~#]?/|^#", "", name), importer)

    def _relative(self, base: str, importer: str) -> str | None:
        for one in candidates("project", f"./{base}"):
            if (self._root / one).is_file():
                named = posixpath.relpath(posixpath.normpath(base), posixpath.dirname(importer) or ".")
                return f'"{named if named.startswith(".") else f"./{named}"}"'
        return None

    @cached_property
    def _aliases(self) -> _Aliases:
        return _Aliases(self._root)


def unresolved(imports: Sequence[tuple[str, Import]], modules: Sequence[Resolution]) -> tuple[Problem, ...]:
    """Return the imports (path and import, as in Lacks) that the installed packages do not have, as problems."""
    return tuple(
        Problem(
            path,
            wanted.line,
            wanted.column,
            f"the package {package_of(wanted.name)} has no module {wanted.name}"
            if wanted.name != package_of(wanted.name)
            else f"the package {wanted.name} has no main module",
            f'write "{module.instead}"' if module.instead else "see `exports` and the files of the package",
        )
        for (path, wanted), module in zip(imports, modules, strict=True)
        if not module.there
    )


def package_of(name: str) -> str:
    """Return the package that a module is in: `@scope/name/sub` is in `@scope/name`."""
    parts = name.split("/")
    return "/".join(parts[: 2 if name.startswith("@") else 1])


def _no_package(name: str) -> _Missing | None:
    """Return the problem of an import that cannot be a package."""
    if name.startswith("node:"):
        near = nearest(name.removeprefix("node:"), (*_BUILT_IN, *_ONLY_WITH_PREFIX))
        return _Missing(f"handlers have no module {name}", f"did you mean node:{near}?" if near else None)
    if name.startswith((".", "/", "file:")):
        return _Missing(f'"{name}" is not part of the script', "import local files by a literal relative path")
    if re.match(r"[a-z]+:", name):
        return _Missing(f'"{name}" cannot be imported', "handlers import npm packages and modules of Node, by name")
    return None


def _instead(local: str | None) -> str:
    return f": write {local}" if local else ": import local files by a relative path"


class _Places:
    """Maps positions in a script to the files of the project."""

    def __init__(self, root: Path, script: Script) -> None:
        self._root = root
        self._script = script
        self._known: SourceMap | None = None

    def of(self, line: int, column: int, imported: str | None = None) -> tuple[str, int, int]:
        """Return path, line and column; for an import, those of its quote if it is found."""
        if self._script.source_map is None:
            return self._script.path, line, column
        if self._known is None:
            self._known = SourceMap(self._script.source_map)
        found = self._known.original(line, column)
        if found is None:
            return self._script.path, 1, 1
        return found if imported is None else self._quoted(*found, imported)

    def _quoted(self, path: str, line: int, column: int, imported: str) -> tuple[str, int, int]:
        text = self._script.source if path == self._script.path else _text(self._root / path)
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        start = sum(len(one) + 1 for one in lines[: line - 1]) + column - 1
        seen = re.compile(rf"""(["'`]){re.escape(imported)}\1""").search("\n".join(lines), start)
        if seen is None:
            return path, line, column
        before = "\n".join(lines)[: seen.start()]
        return path, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _Aliases:
    """The path aliases of the project's tsconfig.json, and of the files of the project that it extends."""

    def __init__(self, root: Path) -> None:
        self._targets = dict(_paths(root, root / _SETTINGS))

    def pattern(self, name: str) -> str | None:
        """Return the first alias that a name matches."""
        for pattern in self._targets:
            head, star, tail = pattern.partition("*")
            if name == pattern or (star and name.startswith(head) and name.endswith(tail)):
                return pattern
        return None

    def target(self, pattern: str, name: str) -> str:
        """Return the path of an aliased name, relative to the project."""
        head, _, tail = pattern.partition("*")
        return self._targets[pattern].replace("*", name[len(head) : len(name) - len(tail)], 1)


def _paths(root: Path, settings: Path) -> Iterator[tuple[str, str]]:
    """Yield the aliases, and what each means first, relative to `root`."""
    for _ in range(_MOST_SETTINGS):
        document = _document(settings)
        options = document.get("compilerOptions")
        options = options if isinstance(options, dict) else {}
        paths = options.get("paths")
        base = settings.parent / str(options.get("baseUrl", "."))
        for pattern, targets in paths.items() if isinstance(paths, dict) else ():
            if isinstance(targets, list) and targets and isinstance(targets[0], str):
                yield pattern, posixpath.relpath((base / targets[0]).as_posix(), root.as_posix())
        extended = document.get("extends")
        if paths is not None or not isinstance(extended, str) or not extended.startswith("."):
            return
        settings = settings.parent / extended
        settings = settings if settings.suffix == ".json" else settings.with_name(settings.name + ".json")


def _document(path: Path) -> dict[str, Any]:
    try:
        found = read_jsonc(read_file(path).decode("utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8", "replace").removeprefix("\ufeff")
    except OSError:
        return ""
