"""The project on disk, with bundled scripts as they are deployed.

Only scripts that import local files are bundled.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from pathlib import Path
from typing import TypeAlias

from ckfunc.base.errors import CkfuncError, InvalidScripts, Problem
from ckfunc.base.files import cache_dir
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.base.text import digest
from ckfunc.bundle.cache import Bundle, BundleCache, BundleInput, bundle_key
from ckfunc.bundle.graph import Graph, Reader, Tree, reader_of
from ckfunc.bundle.source_map import SourceMap
from ckfunc.manifest.project import emulator_target, find_target, load, managed_packages
from ckfunc.manifest.sources import UNRESOLVED, merge_conflicts
from ckfunc.model.execution import SyntaxProblem
from ckfunc.model.project import Project, Script, Target
from ckfunc.runtime.compiler import CachingCompiler, CompilerProcess
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy, Policy, no_policy

_MOST_IGNORED = 3
"""The number of manifest errors to report to commands that continue despite them."""

Check: TypeAlias = Callable[[Sequence[tuple[str, str]]], Sequence[SyntaxProblem]]
"""Return the syntax errors of scripts, given as pairs of name and text."""

_Key: TypeAlias = tuple[str, bool]
"""The path of a script, and whether it is a handler (or else the init script)."""


class InvalidModules(InvalidScripts):
    """Scripts cannot be bundled, because they or files that they import have errors.

    In `project`, the other scripts are bundled; `broken` are the paths of the scripts that are not.
    """

    def __init__(self, problems: Sequence[Problem], project: Project, broken: frozenset[str]) -> None:
        files = len({problem.path for problem in problems})
        summary = "a script cannot be bundled" if files == 1 else f"scripts cannot be bundled: errors in {files} files"
        if all(problem.message == UNRESOLVED for problem in problems):
            summary = "a merge is not complete"
        super().__init__(summary, problems, hint="nothing was written; fix the lines named above")
        self.project = project
        self.broken = broken


@frozen
class Bundler:
    """Bundler of scripts, with a cache directory, a syntax check, progress messages and install settings."""

    cache: Path
    check: Check = field(default=lambda _: ())
    on_progress: Callable[[str], None] | None = None
    policy: Policy = no_policy

    def project(self, project: Project) -> Project:
        """Return the project with every script as it is deployed; `watched` then includes the files of the bundles.

        A script that imports no local file stays unchanged, after a scan of its text. Raises InvalidModules with all
        errors and unresolved conflicts, NoBundler, and the errors of installing esbuild.
        """
        tree, scripts = Tree(reader_of(project.root)), _scripts(project)
        graphs = {
            key: tree.graph(script.path, script.text)
            for key, script in scripts.items()
            if tree.names_local_files(script.path, script.text)
        }
        conflicts: dict[_Key, tuple[Problem, ...]] = {}
        for key, script in scripts.items():
            files = graphs[key].files if key in graphs else {script.path: script.text}
            if marked := tuple(problem for path, text in files.items() for problem in merge_conflicts(path, text)):
                conflicts[key] = marked
        if not graphs and not conflicts:
            return project
        results = self.bundles({key: graph for key, graph in graphs.items() if key not in conflicts}) | conflicts
        bundles = {key: result for key, result in results.items() if not isinstance(result, tuple)}
        bundled = _with(project, bundles, _watched(project.root, graphs.values()))
        if problems := [problem for result in results.values() if isinstance(result, tuple) for problem in result]:
            broken = frozenset(path for path, _ in results.keys() - bundles.keys())
            raise InvalidModules(tuple(dict.fromkeys(problems)), bundled, broken)
        return bundled

    def script(self, path: str, source: str, read: Reader) -> str | None:
        """Return the deployed text of a handler at `path`, with imports read by `read`; None if it has errors."""
        tree = Tree(read)
        if not tree.names_local_files(path, source):
            return source
        (result,) = self.bundles({(path, True): tree.graph(path, source)}).values()
        return None if isinstance(result, tuple) else source if result.text is None else result.text

    def bundles(self, graphs: Mapping[_Key, Graph]) -> dict[_Key, Bundle | tuple[Problem, ...]]:
        """Return the bundle of each script, or its errors, from the cache where possible."""
        cache, digest_of = BundleCache(self.cache), functools.cache(digest)
        entries = {key: BundleInput(key[0], graph.files[key[0]], key[1], graph) for key, graph in graphs.items()}
        names = {key: bundle_key(entry, digest_of) for key, entry in entries.items()}
        cached = {key: cache.read(name) for key, name in names.items()}
        missing = {key: entries[key] for key, bundle in cached.items() if bundle is None}
        built = self._built(missing) if missing else {}
        for key, result in built.items():
            if not isinstance(result, tuple):
                cache.store(names[key], result)
        if built:
            cache.remove_unused()
        return {key: bundle if bundle is not None else built[key] for key, bundle in cached.items()}

    def _built(self, entries: Mapping[_Key, BundleInput]) -> dict[_Key, Bundle | tuple[Problem, ...]]:
        from ckfunc.bundle import build, esbuild  # not needed for cached bundles

        program = esbuild.executable(self.cache, self.on_progress, self.policy())
        results = dict(zip(entries, build.build(program, list(entries.values())), strict=True))
        return {key: self._checked(key[0], result) for key, result in results.items()}

    def _checked(self, path: str, result: Bundle | tuple[Problem, ...]) -> Bundle | tuple[Problem, ...]:
        """Return a bundle, or its syntax errors in Node, because esbuild accepts some code that Node does not."""
        if isinstance(result, tuple) or result.text is None:
            return result
        source_map = SourceMap(result.source_map or "")
        errors = self.check([(path, result.text)])
        if not errors:
            return result
        places = [source_map.original(error.line, error.column) or (path, 1, 1) for error in errors]
        return tuple(Problem(*place, error.message) for place, error in zip(places, errors, strict=True))


def _scripts(project: Project) -> dict[_Key, Script]:
    scripts = {(function.handler.path, True): function.handler for function in project.functions or ()}
    if (script := project.runtime.initialization_script) is not None:
        scripts[script.path, False] = script
    return scripts


def _with(project: Project, bundles: Mapping[_Key, Bundle], watched: Iterable[Path]) -> Project:
    def bundled(script: Script, handler: bool) -> Script:
        bundle = bundles.get((script.path, handler))
        if bundle is None or bundle.text is None:
            return script
        return Script(script.path, bundle.text, bundle.modules, script.text, bundle.source_map)

    runtime, functions = project.runtime, project.functions
    if (initial := runtime.initialization_script) is not None:
        runtime = replace(runtime, initialization_script=bundled(initial, False))
    if functions is not None:
        functions = tuple(replace(each, handler=bundled(each.handler, True)) for each in functions)
    all_watched = tuple(dict.fromkeys((*project.watched, *watched)))
    return replace(project, runtime=runtime, functions=functions, watched=all_watched)


def _watched(root: Path, graphs: Iterable[Graph]) -> Iterator[Path]:
    for graph in graphs:
        yield from (root / path for path in sorted({*graph.files, *graph.unusable, *graph.absent}))


@frozen
class Selection:
    """The project and the target that the command line selects.

    `root` returns the project's directory, or raises NoProject. `target` returns None for the default target.
    """

    root: Callable[[], Path]
    target: Callable[[], str | None]
    environ: Mapping[str, str]


def emulator_workspace(root: Path, environ: Mapping[str, str], log: Callable[[str], None]) -> Workspace:
    """Return the workspace of a project for its emulator; `log` receives all messages."""
    target = emulator_target(root, environ)
    return Workspace(Selection(lambda: root, lambda: target, environ), log, log)


class Workspace:
    """The selected project. Its parts are read when they are first used; `detail` and `warn` receive messages."""

    def __init__(self, selection: Selection, detail: Callable[[str], None], warn: Callable[[str], None]) -> None:
        self._selection = selection
        self._detail = detail
        self._warn = warn
        self._lock = threading.Lock()
        self._sources: Project | None = None
        self._project: Project | None = None
        self._scripts: Project | None = None
        self._targets: dict[str | None, tuple[Target, tuple[Problem, ...]]] = {}
        self.node = CompilerProcess()
        """The Node process that checks and compiles scripts; it starts with the first script."""
        self._compiler: CachingCompiler | None = None

    def close(self) -> None:
        """Stop Node."""
        self.node.close()

    # -- the project -----------------------------------------------------------------------------------------------

    def sources(self) -> Project:
        """Return the project without bundling its scripts. Raises InvalidManifest."""
        if self._sources is None:
            self._sources = self._read()
            for warning in self._sources.warnings:
                self._warn(str(warning))
        return self._sources

    def project(self) -> Project:
        """Return the project as it was at the first call. Raises InvalidManifest and InvalidModules."""
        if self._project is None:
            self._project = self.bundler().project(self.sources())
        return self._project

    def scripts(self) -> Project:
        """Return the project with bundled scripts, for commands that don't use its variables.

        A variable without a value is a warning, and its reference is not expanded. Raises InvalidManifest and
        InvalidModules.
        """
        if self._project is not None:
            return self._project
        if self._scripts is None:
            self._scripts = self.bundler().project(self._read(lenient=True))
        return self._scripts

    def reload_scripts(self) -> Project:
        """Read the project again after ckfunc has changed it; later calls of `scripts` return the new one.

        A functions.lock that the change made outdated is ignored. Scripts with errors are not bundled.
        """
        self._project = self._sources = None
        try:
            self._scripts = self.bundler().project(self._read(lenient=True, drifted=True))
        except InvalidModules as problem:  # such as the conflicts that a pull has just marked
            self._scripts = problem.project
        return self._scripts

    def load(self, *, lenient: bool = False) -> Project:
        """Read the project from disk now, with bundled scripts.

        With `lenient`, for commands that don't deploy (see ckfunc.manifest.load), scripts are not bundled.
        """
        project = self._read(lenient=lenient)
        return project if lenient else self.bundler().project(project)

    def _read(self, *, lenient: bool = False, drifted: bool = False) -> Project:
        selection = self._selection
        return load(selection.root(), selection.target(), selection.environ, lenient=lenient, drifted=drifted)

    def target(self) -> Target:
        """Return the selected target, even if other parts of the project are invalid."""
        return self._found_target()[0]

    def target_to_connect(self) -> Target:
        """Return the selected target; before the project was read, warn of each error in the rest of the manifest."""
        if self._sources is not None:
            return self._sources.target
        target, ignored = self._found_target()
        for problem in ignored[:_MOST_IGNORED]:
            self._warn(f"ignored: {problem}")
        if len(ignored) > _MOST_IGNORED:
            self._warn(f"ignored: {len(ignored) - _MOST_IGNORED} more mistakes; `ckfunc check` shows them")
        return target

    def _found_target(self) -> tuple[Target, tuple[Problem, ...]]:
        target = self._selection.target()
        if target not in self._targets:
            self._targets[target] = find_target(self._selection.root(), target, self._selection.environ)
        return self._targets[target]

    def secrets(self) -> tuple[Secret, ...]:
        """Return the environment values that were read so far."""
        read = [project for project in (self._sources, self._scripts) if project is not None]
        return tuple(value for project in read for value in (project.runtime.environment or {}).values())

    # -- scripts -----------------------------------------------------------------------------------------------------

    def bundler(self) -> Bundler:
        """Return the bundler of scripts and the local files that they import."""

        def check(scripts: Sequence[tuple[str, str]]) -> list[SyntaxProblem]:
            return [result for result in self.compiler().compile(scripts) if isinstance(result, SyntaxProblem)]

        return Bundler(cache_dir(), check, self._detail, self.install_policy)

    def install_policy(self) -> InstallPolicy:
        """Return the policy for installing packages of the current manifest; without a project, an empty one."""
        try:
            root = self._selection.root()
        except CkfuncError:
            return NO_POLICY
        try:
            packages = managed_packages(root)
        except CkfuncError:  # an invalid manifest, perhaps while it is being edited: no install script is allowed
            return InstallPolicy(root)
        return InstallPolicy(root, packages.dependencies or {}, packages.allow_scripts, packages.lock)

    def compiler(self) -> CachingCompiler:
        """Return a compiler that caches its results. Thread-safe."""
        with self._lock:
            if self._compiler is None:
                self._compiler = CachingCompiler(lambda: self.node, cache_dir())
        return self._compiler
