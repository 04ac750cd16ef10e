"""Check of a project, once or after each change of its files."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ckfunc import __version__
from ckfunc.base.annotations import Annotation
from ckfunc.base.clock import Clock, elapsed_text
from ckfunc.base.errors import CkfuncError, InvalidFiles, LockOutdated, PackageUnknown, Problem
from ckfunc.base.files import cache_dir, templates
from ckfunc.base.frozen import frozen
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.base.text import Line, counted, digest
from ckfunc.bundle.project import Bundler, InvalidModules, Workspace
from ckfunc.bundle.requirements import Requirements
from ckfunc.check.findings import DECLARATION_SUFFIXES, Finding, annotations_of, as_findings, finding_lines
from ckfunc.check.run import CONFLICT, REQUIREMENT, check_scripts
from ckfunc.check.subject import AmbientTypes, Tools, any_mentions, candidate_paths, list_files, subject_of
from ckfunc.check.typescript import PROJECT_SETTINGS, compiler, declarations_of_node
from ckfunc.deploy.gates import GateOutcome
from ckfunc.deploy.plan.checks import UNCHECKED, installable, missing_modules
from ckfunc.manifest.project import guests_allowed, watched_files
from ckfunc.manifest.sources import UNRESOLVED
from ckfunc.model.application import PLATFORM_RANGES
from ckfunc.model.execution import Import, SyntaxProblem
from ckfunc.model.project import Project, Script
from ckfunc.model.triggers import NoSuchFunction
from ckfunc.runtime.compiler import CachingCompiler
from ckfunc.runtime.install import scripts_warning
from ckfunc.runtime.policy import InstallPolicy
from ckfunc.runtime.tools import known_node_types
from ckfunc.scaffold.packages import (
    all_packages,
    installed_packages,
    known_packages,
    link_packages,
    with_node_types,
)
from ckfunc.scaffold.stubs import TYPES_DIR, NodeStub, Schemas, scope_of, stub_files
from ckfunc.watch import Stop, batches

MANIFEST = "manifest"
"""The code of an error in functions.yaml."""
LOCK = "lock"
"""The code of an error in functions.lock, or of a difference from functions.yaml."""
BUNDLE = "bundle"
"""The code of an error that prevents a script from being bundled with the local files that it imports."""

_EXPORT_ALL = re.compile(r"\bexport\s*\*")


@frozen
class CheckedProject:
    """The result of a check. Types were checked in `files`; the result depends on all `watched` files."""

    root: Path
    problems: tuple[Finding, ...]
    scripts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    warnings: tuple[str | Problem, ...] = ()
    watched: tuple[Path, ...] = ()
    from_cache: bool = False

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return not self.problems

    @property
    def gate_outcome(self) -> GateOutcome:
        """The outcome as a gate of a deploy."""
        return GateOutcome(self.ok, self.summary, [str(problem) for problem in self.problems])

    @property
    def summary(self) -> str:
        """The number of errors and of checked files, on one line."""
        errors = "no errors"
        if self.problems:
            paths = {problem.path for problem in self.problems}
            errors = f"{counted(len(self.problems), 'error')} in {counted(len(paths), 'file')}"
        if any(problem.code == MANIFEST for problem in self.problems):
            return f"{errors}; scripts are not checked until functions.yaml is valid"
        if any(problem.code == LOCK for problem in self.problems):
            return f"{errors}; scripts are not checked until functions.lock is up to date"
        if not self.scripts:
            return f"{errors} in functions.yaml, which has no scripts" if self.ok else errors
        return f"{errors}; checked {self._coverage}"

    def annotations(self) -> Iterator[Annotation]:
        """Yield problems and warnings as annotations."""
        return annotations_of(self.problems, self.warnings)

    def lines(self, width: int | None) -> Iterator[Line]:
        """Yield the problems for a terminal of `width` columns, otherwise on one line each."""
        return finding_lines(self.problems, self.root, width)

    def summary_line(self, took_s: float) -> Line:
        """Return the summary and the duration of the check."""
        took = f"  ({elapsed_text(took_s * 1000)}{', unchanged' if self.from_cache else ''})"
        return [(self.summary, "success" if self.ok else "failure"), (took, "muted")]

    @property
    def _coverage(self) -> str:
        modules = [path for path in self.files if path not in self.scripts and not path.endswith(DECLARATION_SUFFIXES)]
        checked = counted(len(self.scripts), "script")
        if modules:
            checked += f" and {counted(len(modules), 'module')}"
        untyped = [path for path in self.scripts if path not in self.files]
        if len(untyped) == len(self.scripts):
            return f"the syntax of {checked}; JavaScript has no types to check"
        return checked + (f" ({len(untyped)} in JavaScript: syntax only)" if untyped else "")


def check_project(
    workspace: Workspace, root: Path, types: Sequence[str], detail: Callable[[str], None]
) -> CheckedProject:
    """Check the project at `root`; with `types`, only its functions of these trigger types.

    `detail` shows progress messages. Needs no credentials and no values of variables. Raises CkfuncError if there is no
    result: NoProject, NoSuchFunction for a type that the project has no function of, CompilerMissing.
    """
    bundler, node_compiler = workspace.bundler(), workspace.compiler()
    try:
        project = workspace.load(lenient=True)
    except InvalidFiles as problem:
        return CheckedProject(
            root, as_findings(problem.problems, LOCK if isinstance(problem, LockOutdated) else MANIFEST)
        )
    require_types(project, types)
    project = _with_types(project, types)
    subject = subject_of(project, ambient_types(_with_bundled_exports(project, bundler)))
    packages = installable(project, detail)
    preparation = _Preparation(project, workspace.install_policy, detail, packages.failure)
    bundles = _Bundles(project, bundler, node_compiler)

    def parse(scripts: Sequence[Script]) -> Sequence[SyntaxProblem]:
        compiled = node_compiler.compile([(script.path, script.text) for script in scripts])
        return [result for result in compiled if isinstance(result, SyntaxProblem)]

    guests = guests_allowed(project.root)
    result = check_scripts(subject, parse=parse, tools=preparation.tools, bundle=bundles.problems)
    findings = (*result.findings, *bundles.unresolved())
    dependencies = (*result.files, *candidate_paths(result.findings))
    return CheckedProject(
        root=project.root,
        problems=(*as_findings([packages.problem] if packages.problem else [], REQUIREMENT), *findings),
        scripts=tuple(script.path for script in subject.scripts),
        files=result.files,
        warnings=(*project.warnings, *guests, *preparation.warnings, *bundles.warnings),
        watched=(*bundles.watched, *(project.root / path for path in (PROJECT_SETTINGS, *dependencies))),
        from_cache=result.from_cache,
    )


def require_types(project: Project, types: Sequence[str]) -> None:
    """Raise NoSuchFunction for a trigger type that the project has no function of."""
    for name in types:
        if name not in project.types:
            raise NoSuchFunction(name, project.types)


def _with_bundled_exports(project: Project, bundler: Bundler) -> Project:
    """Return the project with its init script bundled if that exports all names of another file (`export *`)."""
    script = project.runtime.initialization_script
    if script is None or not _EXPORT_ALL.search(script.source):
        return project
    try:
        return bundler.project(replace(project, functions=()))
    except CkfuncError:  # reported by the check
        return project


def ambient_types(project: Project) -> AmbientTypes:
    """Return the ambient declarations for the project's scripts; the stubs are generated only when they are needed."""
    scope, directory = scope_of(project), templates()
    sources = [path.read_text(encoding="utf-8") for path in sorted((directory / "types").iterdir())]

    def stubs() -> Mapping[str, str]:
        prefix = f"{TYPES_DIR}/"
        files = stub_files(Schemas(""), scope, node=NodeStub.CONFIGURED)
        return {name.removeprefix(prefix): text for name, text in files.items() if name.startswith(prefix)}

    runtime = project.runtime
    locked = None if runtime.lock is None else runtime.lock.identity
    return AmbientTypes(
        stubs=stubs,
        identity=digest(repr((__version__, scope, sources, sorted((runtime.dependencies or {}).items()), locked))),
        settings=(directory / "project" / "tsconfig.json.j2").read_text(encoding="utf-8"),
    )


class _Preparation:
    """Installs the compiler, and the packages whose types the scripts use."""

    def __init__(
        self,
        project: Project,
        policy: Callable[[], InstallPolicy],
        detail: Callable[[str], None],
        failure: CkfuncError | None,
    ) -> None:
        """`failure` is the reason if it is already known that the packages cannot be installed."""
        self._project = project
        self._policy = policy
        self._detail = detail
        self._failure = failure
        unreported = failure is not None and not isinstance(failure, PackageUnknown)
        self.warnings: tuple[str, ...] = (f"{failure.message}: {UNCHECKED}",) if failure and unreported else ()

    def tools(self) -> Tools:
        """Return the compiler and the declarations of Node. Raises CompilerMissing."""
        policy = self._policy()
        program = compiler(cache_dir(), self._detail, policy)
        complete = self._link_packages()
        # After linking: the user's packages may include declarations of Node.
        return Tools(program, declarations_of_node(self._project.root, cache_dir(), self._detail, policy), complete)

    def _link_packages(self) -> bool:
        """Link the packages that scripts import, so that they resolve; return whether all of them are installed."""
        root, dependencies = self._project.root, self._project.runtime.dependencies or {}
        if not any_mentions(root, list_files(root).scripts, {*dependencies, *PLATFORM_RANGES}):
            return True
        try:
            if self._failure is not None:
                raise self._failure
            policy = self._policy()
            packages = known_packages(dependencies, cache_dir(), policy)
            if packages is None or packages.missing is not None:
                packages = installed_packages(dependencies, cache_dir(), self._detail, policy)
            link_packages(root, with_node_types(packages, known_node_types(cache_dir())))
            missing = packages.missing
            if (note := scripts_warning(all_packages(dependencies), cache_dir(), policy)) is not None:
                self.warnings = ("{} ({})".format(*note),)
        except CkfuncError as problem:
            missing = problem
        if missing is not None:
            self.warnings += (f"{missing.message}: the types of packages were not checked",)
        return missing is None


class _Bundles:
    """The scripts as a deploy would send them: bundled with the local files that they import."""

    def __init__(self, project: Project, bundler: Bundler, node_compiler: CachingCompiler) -> None:
        self._project = project
        self._bundler = bundler
        self._compiler = node_compiler
        self.watched = project.watched
        self.warnings: tuple[Problem, ...] = ()
        self._imports: tuple[tuple[str, Import], ...] = ()

    def problems(self) -> tuple[Finding, ...]:
        """Return the errors that a deploy would report, except syntax errors in the scripts themselves."""
        try:
            project, broken = self._bundler.project(self._project), frozenset[str]()
            findings: tuple[Finding, ...] = ()
        except InvalidModules as problem:
            project, broken = problem.project, problem.broken
            findings = tuple(
                finding
                for each in problem.problems
                for finding in as_findings([each], CONFLICT if each.message == UNRESOLVED else BUNDLE)
            )
        self.watched = project.watched
        return (*findings, *self._missing_requirements(project, broken))

    def _missing_requirements(self, project: Project, broken: Collection[str]) -> tuple[Finding, ...]:
        """Return the requirements of scripts that the platform will not meet; skips broken scripts."""
        runtime = project.runtime
        packages = {*(runtime.dependencies or ()), *PLATFORM_RANGES}
        required = Requirements(project.root, packages, complete=runtime.dependencies is not None)
        init_script = runtime.initialization_script
        handlers = {function.handler.path: function.handler for function in project.functions or ()}
        compile_all = self._compiler.compile
        every = (*((init_script,) if init_script else ()), *handlers.values())
        scripts = [script for script in every if script.path not in broken]
        valid = [each for each in scripts if not isinstance(compile_all([(each.path, each.text)])[0], SyntaxProblem)]
        missing = required.missing(valid, compile_all, init_script)
        self.warnings = missing.warnings
        self._imports = missing.imports
        return as_findings(missing.errors, REQUIREMENT)

    def unresolved(self) -> tuple[Finding, ...]:
        """Return the imports of installed packages that would fail in Node; call it after `problems`."""
        return as_findings(missing_modules(self._project, self._imports, self._compiler), REQUIREMENT)


@frozen
class Recheck:
    """The result of a repeated check, with the warnings that are different from those of the last result."""

    checked: CheckedProject
    new_warnings: tuple[str | Problem, ...]
    took_s: float


def rechecks(
    check: Callable[[], CheckedProject], root: Path, target: str | None, clock: Clock
) -> Iterator[Recheck | CkfuncError]:
    """Check now and after every change, until Ctrl-C. Yield errors too: the next change may fix them.

    A check that was repeated without a change is only yielded if its result is different.
    """
    wake = threading.Event()
    watched: frozenset[Path] = frozenset()
    last: CheckedProject | None = None

    def files() -> Collection[Path]:
        # The files that the last result depends on, as far as they can be read from an invalid manifest.
        return {*watched, *watched_files(root, target)}

    wake.set()  # the first check comes after the watch has begun, so that no change is missed
    for batch in batches(files, root, Stop(), wake=wake):
        began = clock.monotonic_s()
        try:
            checked = check()
        except CkfuncError as problem:
            yield problem
            continue
        if added := frozenset(checked.watched) - watched:
            # These files were not watched while they were read, so check again for changes in the meantime.
            watched |= added
            wake.set()
        before, last = last, checked
        if before is None or batch or (before.problems, before.warnings) != (checked.problems, checked.warnings):
            new = before is None or before.warnings != checked.warnings
            yield Recheck(checked, checked.warnings if new else (), clock.monotonic_s() - began)
    require_uninterrupted()


def _with_types(project: Project, types: Sequence[str]) -> Project:
    if not types:
        return project
    return replace(project, functions=tuple(function for function in project.functions or () if function.type in types))
