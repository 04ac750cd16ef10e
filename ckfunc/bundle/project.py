"""Projects with their scripts bundled as they are deployed.

Only scripts that import local files are bundled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ckfunc.base.errors import InvalidScripts, Problem
from ckfunc.bundle.graph import Files, Graph, Reader, Tree
from ckfunc.model.project import Project, Script
from ckfunc.runtime.policy import Policy, no_policy

if TYPE_CHECKING:
    from ckfunc.bundle.cache import Bundle, BundleInput
    from ckfunc.model.execution import SyntaxProblem

Check: TypeAlias = "Callable[[Sequence[tuple[str, str]]], Sequence[SyntaxProblem]]"
"""Takes names and texts of scripts; returns their syntax errors."""

_Key: TypeAlias = tuple[str, bool]
"""The path of a script, and whether it is a handler."""


class InvalidModules(InvalidScripts):
    """Scripts cannot be bundled: they, or files that they import, have mistakes.

    `project` has the others bundled; `broken` are the paths of those that are not.
    """

    def __init__(self, problems: Sequence[Problem], project: Project, broken: frozenset[str]) -> None:
        files = len({one.path for one in problems})
        super().__init__(
            "a script cannot be bundled" if files == 1 else f"scripts cannot be bundled: {files} files have mistakes",
            problems,
            hint="nothing was written; correct the lines named above",
        )
        self.project = project
        self.broken = broken


@dataclass(frozen=True, slots=True)
class Bundler:
    """Bundles scripts, with a cache directory, a syntax check, progress messages and install settings."""

    cache: Path
    check: Check = field(default=lambda _: ())
    on_progress: Callable[[str], None] | None = None
    policy: Policy = no_policy

    def project(self, project: Project) -> Project:
        """Return a project with every script as it is deployed, and the files it was made of among the watched ones.

        A script that imports no local file stays as it is, after a scan of its text. Raises InvalidModules with
        every mistake, NoBundler, and what installing esbuild raises.
        """
        tree = Tree(Files(project.root))
        graphs = {
            key: tree.graph(one.path, one.text)
            for key, one in _scripts(project).items()
            if tree.names_local_files(one.path, one.text)
        }
        if not graphs:
            return project
        made = self.bundles(graphs)
        good = {key: one for key, one in made.items() if not isinstance(one, tuple)}
        bundled = _with(project, good, _watched(project.root, graphs.values()))
        if problems := [problem for one in made.values() if isinstance(one, tuple) for problem in one]:
            broken = frozenset(path for path, _ in made.keys() - good.keys())
            raise InvalidModules(tuple(dict.fromkeys(problems)), bundled, broken)
        return bundled

    def script(self, path: str, source: str, read: Reader) -> str | None:
        """Return the deployed text of a handler at `path`, with imports read by `read`; None when it has mistakes."""
        tree = Tree(read)
        if not tree.names_local_files(path, source):
            return source
        (made,) = self.bundles({(path, True): tree.graph(path, source)}).values()
        return None if isinstance(made, tuple) else source if made.text is None else made.text

    def bundles(self, graphs: Mapping[_Key, Graph]) -> dict[_Key, Bundle | tuple[Problem, ...]]:
        """Return the bundle of each script, or its mistakes, from the cache where possible."""
        from ckfunc.bundle.cache import BundleCache, BundleInput, BundleKeys

        kept, keys = BundleCache(self.cache), BundleKeys()
        entries = {one: BundleInput(one[0], graph.files[one[0]], one[1], graph) for one, graph in graphs.items()}
        names = {one: keys.key(entry) for one, entry in entries.items()}
        found = {one: kept.read(name) for one, name in names.items()}
        missing = {one: entries[one] for one, bundle in found.items() if bundle is None}
        made = self._built(missing) if missing else {}
        for one, bundle in made.items():
            if not isinstance(bundle, tuple):
                kept.keep(names[one], bundle)
        if made:
            kept.forget_old()
        return {one: bundle if bundle is not None else made[one] for one, bundle in found.items()}

    def _built(self, entries: Mapping[_Key, BundleInput]) -> dict[_Key, Bundle | tuple[Problem, ...]]:
        from ckfunc.bundle import esbuild
        from ckfunc.bundle.build import build

        program = esbuild.executable(self.cache, self.on_progress, self.policy())
        made = dict(zip(entries, build(program, list(entries.values())), strict=True))
        return {one: self._checked(one[0], bundle) for one, bundle in made.items()}

    def _checked(self, path: str, made: Bundle | tuple[Problem, ...]) -> Bundle | tuple[Problem, ...]:
        """Return a bundle, or its syntax errors in Node: esbuild accepts some code that Node does not."""
        from ckfunc.bundle.source_map import SourceMap

        if isinstance(made, tuple) or made.text is None:
            return made
        known = SourceMap(made.source_map or "")
        wrong = self.check([(path, made.text)])
        if not wrong:
            return made
        places = [known.original(one.line, one.column) or (path, 1, 1) for one in wrong]
        return tuple(Problem(*place, one.message) for place, one in zip(places, wrong, strict=True))


def _scripts(project: Project) -> dict[_Key, Script]:
    found = {(one.handler.path, True): one.handler for one in project.functions or ()}
    if (script := project.runtime.initialization_script) is not None:
        found[script.path, False] = script
    return found


def _with(project: Project, bundles: Mapping[_Key, Bundle], watched: Iterable[Path]) -> Project:
    def script(one: Script, handler: bool) -> Script:
        made = bundles.get((one.path, handler))
        if made is None or made.text is None:
            return one
        return Script(one.path, made.text, made.modules, one.text, made.source_map)

    runtime, functions = project.runtime, project.functions
    if (initial := runtime.initialization_script) is not None:
        runtime = replace(runtime, initialization_script=script(initial, False))
    if functions is not None:
        functions = tuple(replace(one, handler=script(one.handler, True)) for one in functions)
    all_watched = tuple(dict.fromkeys((*project.watched, *watched)))
    return replace(project, runtime=runtime, functions=functions, watched=all_watched)


def _watched(root: Path, graphs: Iterable[Graph]) -> Iterator[Path]:
    for one in graphs:
        yield from (root / path for path in sorted({*one.files, *one.unusable, *one.absent}))
