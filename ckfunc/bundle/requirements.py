"""Requirements of scripts: modules that they import, and the function handleEvent."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from ckfunc.base.documents import read_jsonc
from ckfunc.base.errors import Problem
from ckfunc.base.files import lossy_text, read_file
from ckfunc.base.frozen import frozen
from ckfunc.base.text import nearest, newlines
from ckfunc.bundle.graph import candidates
from ckfunc.bundle.source_map import SourceMap
from ckfunc.manifest.definition import PACKAGE_NAME
from ckfunc.model.execution import Compiled, Import, MissingExport, Resolution, SyntaxProblem
from ckfunc.model.project import Script

Compile: TypeAlias = "Callable[[Sequence[tuple[str, str]]], Sequence[Compiled | SyntaxProblem]]"
"""Compile scripts, given as pairs of name and text; return the results in the same order."""

_SETTINGS = "tsconfig.json"
_MAX_SETTINGS = 20
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


@frozen
class MissingRequirements:
    """Missing requirements of scripts, by place. Errors prevent a script from running; warnings may not.

    `imports` are imports of declared packages, which may not have the module, with places in the project's files.
    """

    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    imports: tuple[tuple[str, Import], ...] = ()


@frozen
class _ImportProblem:
    """The reason why an import finds no module; `certain` if no package in the application could provide it."""

    message: str
    hint: str | None
    certain: bool = True


class Requirements:
    """The modules that scripts of a project can import.

    `packages` are the npm packages that handlers can import. If the list is not `complete`, because the manifest does
    not manage dependencies, the application may have other packages.
    """

    def __init__(self, root: Path, packages: Collection[str], *, complete: bool = True) -> None:
        self._root = root
        self._packages = frozenset(packages)
        self._complete = complete

    def missing(
        self, scripts: Sequence[Script], compile_all: Compile, initialization_script: Script | None = None
    ) -> MissingRequirements:
        """Return the missing requirements of `scripts`, with places in the project's files; includes syntax errors.

        All scripts except the `initialization_script` are handlers. Raises what `compile_all` raises.
        """
        errors: list[Problem] = []
        warnings: list[Problem] = []
        imports: list[tuple[str, Import]] = []
        compiled = compile_all([(script.path, script.text) for script in scripts])
        for script, result in zip(scripts, compiled, strict=True):
            positions = _Positions(self._root, script)
            if isinstance(result, SyntaxProblem):
                errors.append(positions.problem(result))
                continue
            failures = (result.failure,) if script == initialization_script else (result.no_handler, result.failure)
            errors += [positions.problem(failure) for failure in failures if failure is not None]
            if result.warning is not None:
                warnings.append(positions.problem(result.warning))
            for imported in result.imports:
                path, line, column = place = positions.of(imported.line, imported.column, imported.name)
                module = replace(imported, line=line, column=column)
                if (export := module.missing) is not None:
                    hint = f"did you mean {export.instead}?" if export.instead else None
                    errors.append(Problem(*place, f"{module.name} has no export {export.name}", hint))
                elif module.problem:
                    errors.append(_attribute_problem(path, module, module.problem))
                elif (problem := self._problem_of(module.name, path)) is None:
                    if not module.guarded and not module.name.startswith("data:"):
                        imports.append((path, module))
                elif module.guarded:
                    hint = "the script handles this error; declare the package if the script should use it"
                    warnings.append(Problem(*place, problem.message, hint))
                elif problem.certain or self._complete:
                    errors.append(Problem(*place, problem.message, problem.hint))
                else:
                    message = f"{package_of(module.name)} must be installed in the application"
                    hint = "functions.yaml does not manage runtime.dependencies, so this cannot be checked"
                    warnings.append(Problem(*place, message, hint))
        return MissingRequirements(tuple(dict.fromkeys(errors)), tuple(dict.fromkeys(warnings)), tuple(imports))

    def _problem_of(self, name: str, importer: str) -> _ImportProblem | None:
        """Return the problem with importing `name`, which is not built into Node, in the file `importer`, or None."""
        package = package_of(name)
        if package in self._packages or name.startswith("data:"):
            return None
        if name.startswith("#"):
            hint = f"`imports` of package.json do not apply to handlers{_instead(self._local(name, importer))}"
            return _ImportProblem(f'"{name}" is not an npm package', hint)
        if (pattern := self._aliases.pattern(name)) is not None:
            local = self._relative(self._aliases.target(pattern, name), importer)
            if local or pattern != "*":
                return _ImportProblem(f"{package} is not in runtime.dependencies", f"{_NO_ALIASES}{_instead(local)}")
        return _never_a_package(name) or self._undeclared(package, name, self._local(name, importer))

    def _undeclared(self, package: str, name: str, local: str | None) -> _ImportProblem:
        """Return the problem with an import that may be a package."""
        if not PACKAGE_NAME[0].allows(package) or package == "~":
            return _ImportProblem(f'"{name}" is not an npm package', f"{_NO_ALIASES}{_instead(local)}")
        message = f"{package} is not in runtime.dependencies"
        if local is not None:
            return _ImportProblem(message, f"write {local} for the local file", certain="/" in name)
        if name in _ONLY_WITH_PREFIX:
            return _ImportProblem(message, f"write node:{name} for the Node module", certain=False)
        if near := nearest(package, self._packages):
            return _ImportProblem(message, f"did you mean {near}?", certain=False)
        linked, version = self._installed(package)
        if linked:
            hint = "it is only linked locally: publish it to the npm registry, or import its files by a relative path"
            return _ImportProblem(message, hint, certain=False)
        key = f'"{package}"' if package.startswith("@") else package
        return _ImportProblem(
            message, f"add `{key}: {version}` under runtime.dependencies in functions.yaml", certain=False
        )

    def _installed(self, package: str) -> tuple[bool, str]:
        """Return whether a package in `node_modules` is a link to elsewhere, and a range for its version."""
        directory = self._root / "node_modules" / package
        try:
            linked = directory.is_symlink() and "node_modules" not in directory.resolve().parts
            version = json.loads(read_file(directory / "package.json"))["version"]
        except (OSError, ValueError, KeyError, TypeError):
            return False, "latest"
        return linked, f"^{version}" if re.fullmatch(r"[\w.+-]+", str(version)) else "latest"

    def _local(self, name: str, importer: str) -> str | None:
        """Return the relative path of the local file that a name without `./` may refer to, in quotes."""
        base_url = self._aliases.base_url
        return self._relative(re.sub(r"^[@~#]?/|^#", "", name), importer) or (
            self._relative(f"{base_url}/{name}", importer) if base_url is not None else None
        )

    def _relative(self, base: str, importer: str) -> str | None:
        for path in candidates("project", f"./{base}"):
            if (self._root / path).is_file():
                relative = posixpath.relpath(posixpath.normpath(base), posixpath.dirname(importer) or ".")
                return f'"{relative if relative.startswith(".") else f"./{relative}"}"'
        return None

    @cached_property
    def _aliases(self) -> _Aliases:
        return _Aliases(self._root)


def unresolved(imports: Sequence[tuple[str, Import]], modules: Sequence[Resolution]) -> tuple[Problem, ...]:
    """Return problems for the imports (of MissingRequirements) that fail with the installed packages."""
    return tuple(
        _import_problem(path, module_import, module)
        for (path, module_import), module in zip(imports, modules, strict=True)
        if not module.there or module.problem or module.missing
    )


def _import_problem(path: str, imported: Import, module: Resolution) -> Problem:
    if module.problem:
        return _attribute_problem(path, imported, module.problem)
    if module.missing:
        return _export_problem(path, imported, module.missing)
    package = package_of(imported.name)
    missing = f"module {imported.name}" if imported.name != package else "main module"
    message = f"the package {package} has no {missing}"
    hint = f'write "{module.instead}"' if module.instead else "see `exports` and the files of the package"
    return Problem(path, imported.line, imported.column, message, hint)


def _export_problem(path: str, imported: Import, export: MissingExport) -> Problem:
    if export.name == "default":
        message, hint = "no default export", f'write `import * as name from "{imported.name}"`'
    elif export.commonjs:  # Node finds names of CommonJS modules only in assignments that it recognizes
        message = f"no export {export.name} that Node can import by name"
        hint = f'write `import name from "{imported.name}"`, and use `name.{export.name}`'
    else:
        message, hint = f"no export {export.name}", None
    return Problem(path, imported.line, imported.column, f"{imported.name} has {message}", hint)


def _attribute_problem(path: str, imported: Import, problem: str) -> Problem:
    hints = {"": 'add `with { type: "json" }`', "json": "remove `with { type: … }`"}
    hint = hints.get(imported.type or "", 'the only supported one is `with { type: "json" }`, for JSON')
    return Problem(path, imported.line, imported.column, f"{imported.name} {problem}", hint)


def package_of(name: str) -> str:
    """Return the package of a module: `@scope/name` for `@scope/name/sub`."""
    parts = name.split("/")
    return "/".join(parts[: 2 if name.startswith("@") else 1])


def _never_a_package(name: str) -> _ImportProblem | None:
    """Return the problem with an import that cannot be a package, or None if it may be one."""
    if name.startswith("node:"):
        if name.removeprefix("node:") in (*_BUILT_IN, *_ONLY_WITH_PREFIX):
            return _ImportProblem(f"{name} is not available to handlers", None)
        near = nearest(name.removeprefix("node:"), (*_BUILT_IN, *_ONLY_WITH_PREFIX))
        return _ImportProblem(f"there is no module {name}", f"did you mean node:{near}?" if near else None)
    if name.startswith((".", "/", "file:")):
        return _ImportProblem(
            f'"{name}" is not in the bundle', "use `import` or `require` with a literal relative path"
        )
    if re.match(r"[a-z]+:", name):
        return _ImportProblem(f'"{name}" cannot be imported', "import npm packages and Node modules by name")
    return None


def _instead(local: str | None) -> str:
    return f": write {local}" if local else ": import local files by a relative path"


class _Positions:
    """Maps positions in a script to the files of the project."""

    def __init__(self, root: Path, script: Script) -> None:
        self._root = root
        self._script = script
        self._source_map: SourceMap | None = None

    def problem(self, problem: SyntaxProblem) -> Problem:
        """Return a problem of the script with its place in the project's files."""
        return Problem(*self.of(problem.line, problem.column), problem.message)

    def of(self, line: int, column: int, imported: str | None = None) -> tuple[str, int, int]:
        """Return path, line and column in the project's files; for an import, those of its quote if it is found."""
        if self._script.source_map is None:
            return self._script.path, line, column
        if self._source_map is None:
            self._source_map = SourceMap(self._script.source_map)
        position = self._source_map.original(line, column)
        if position is None:
            return self._script.path, 1, 1
        return position if imported is None else self._quote(*position, imported)

    def _quote(self, path: str, line: int, column: int, imported: str) -> tuple[str, int, int]:
        text = self._script.source
        if path != self._script.path:
            text = (lossy_text(self._root / path) or "").removeprefix("\ufeff")
        lines = newlines(text).split("\n")
        start = sum(len(each) + 1 for each in lines[: line - 1]) + column - 1
        quote = re.compile(rf"""(["'`]){re.escape(imported)}\1""").search("\n".join(lines), start)
        if quote is None:
            return path, line, column
        before = "\n".join(lines)[: quote.start()]
        return path, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _Aliases:
    """The path aliases in the project's tsconfig.json, and in files of the project that it extends."""

    def __init__(self, root: Path) -> None:
        self._targets = dict(_paths(root, root / _SETTINGS))
        self.base_url = _base_url(root)
        """The directory of names that are not relative, relative to the project, or None."""

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
    """Yield the aliases, each with its first target, relative to `root`."""
    for _ in range(_MAX_SETTINGS):
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


def _base_url(root: Path) -> str | None:
    options = _document(root / _SETTINGS).get("compilerOptions")
    base = options.get("baseUrl") if isinstance(options, dict) else None
    return posixpath.normpath(base) if isinstance(base, str) and not base.startswith("/") else None


def _document(path: Path) -> dict[str, Any]:
    try:
        document = read_jsonc(read_file(path).decode("utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
