"""The project on disk: manifest, target and bundled scripts, each read once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.base.files import cache_dir
from ckfunc.base.secrets import Secret
from ckfunc.bundle.project import Bundler
from ckfunc.manifest import find_target, load, managed_packages
from ckfunc.model.execution import SyntaxProblem
from ckfunc.model.project import Project, Target
from ckfunc.runtime.compiler import CachingCompiler, CompilerProcess
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy

MOST_IGNORED = 3
"""The number of manifest errors to report to commands that continue despite them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The project and the target that the command line selects.

    `root` returns the project's directory, or raises NoProject. `target` returns None for the default target.
    """

    root: Callable[[], Path]
    target: Callable[[], str | None]
    environ: Mapping[str, str]


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

        If the change made functions.lock outdated, the lock is ignored.
        """
        self._project = self._sources = None
        self._scripts = self.bundler().project(self._read(lenient=True, drifted=True))
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
        for problem in ignored[:MOST_IGNORED]:
            self._warn(f"ignored: {problem}")
        if len(ignored) > MOST_IGNORED:
            self._warn(f"ignored: {len(ignored) - MOST_IGNORED} more mistakes; `ckfunc check` shows them")
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
