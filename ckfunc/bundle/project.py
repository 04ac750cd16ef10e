"""Projects with bundled scripts, as they are deployed.

Only scripts that import local files are bundled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ckfunc.base.errors import InvalidScripts, Problem
from ckfunc.bundle.cache import Bundle, BundleCache, BundleInput, BundleKeys
from ckfunc.bundle.graph import Files, Graph, Reader, Tree
from ckfunc.bundle.source_map import SourceMap
from ckfunc.model.project import Project, Script
from ckfunc.runtime.policy import Policy, no_policy

if TYPE_CHECKING:
    from ckfunc.model.execution import SyntaxProblem

Check: TypeAlias = "Callable[[Sequence[tuple[str, str]]], Sequence[SyntaxProblem]]"
"""Return the syntax errors of scripts, given as pairs of name and text."""

_Key: TypeAlias = tuple[str, bool]
"""The path of a script, and whether it is a handler (or else the init script)."""


class InvalidModules(InvalidScripts):
    """Scripts cannot be bundled, because they or files that they import have errors.

    In `project`, the other scripts are bundled; `broken` are the paths of the scripts that are not.
    """

    def __init__(self, problems: Sequence[Problem], project: Project, broken: frozenset[str]) -> None:
        files = len({problem.path for problem in problems})
        super().__init__(
            "a script cannot be bundled" if files == 1 else f"scripts cannot be bundled: errors in {files} files",
            problems,
            hint="nothing was written; fix the lines named above",
        )
        self.project = project
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Bundler:
    """Bundler of scripts, with a cache directory, a syntax check, progress messages and install settings."""

    cache: Path
    check: Check = field(default=lambda _: ())
    on_progress: Callable[[str], None] | None = None
    policy: Policy = no_policy

    def project(self, project: Project) -> Project:
        """Return the project with every script as it is deployed; `watched` then includes the files of the bundles.

        A script that imports no local file stays unchanged, after a scan of its text. Raises InvalidModules with all
        errors, NoBundler, and what installing esbuild raises.
        """
        tree = Tree(Files(project.root))
        graphs = {
            key: tree.graph(script.path, script.text)
            for key, script in _scripts(project).items()
            if tree.names_local_files(script.path, script.text)
        }
        if not graphs:
            return project
        results = self.bundles(graphs)
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
        cache, keys = BundleCache(self.cache), BundleKeys()
        entries = {key: BundleInput(key[0], graph.files[key[0]], key[1], graph) for key, graph in graphs.items()}
        names = {key: keys.key(entry) for key, entry in entries.items()}
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
        from ckfunc.bundle import esbuild
        from ckfunc.bundle.build import build

        program = esbuild.executable(self.cache, self.on_progress, self.policy())
        results = dict(zip(entries, build(program, list(entries.values())), strict=True))
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
