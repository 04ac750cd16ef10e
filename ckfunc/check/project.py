"""Check of a whole project: manifest, syntax, types and what scripts need to run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ckfunc import __version__
from ckfunc.base.errors import CkfuncError, InvalidFiles, PackageUnknown, UsageProblem
from ckfunc.base.files import cache_dir
from ckfunc.base.text import digest, nearest
from ckfunc.bundle.project import Bundler, InvalidModules
from ckfunc.bundle.requirements import Requirements, unresolved
from ckfunc.check.files import listing, mentions
from ckfunc.check.findings import Finding, counted, of_problems
from ckfunc.check.run import REQUIREMENT, judge
from ckfunc.check.settings import settings_files
from ckfunc.check.subject import Surroundings, Tools, sought, subject_of
from ckfunc.check.typescript import compiler, declarations_of_node
from ckfunc.deploy.registry import UNCHECKED, installable
from ckfunc.model.application import DEFAULT_PACKAGES
from ckfunc.model.execution import Import, SyntaxProblem
from ckfunc.model.project import Project, Script
from ckfunc.runtime.compiler import CachingCompiler
from ckfunc.runtime.install import runtime_directory, scripts_warning
from ckfunc.runtime.policy import InstallPolicy
from ckfunc.runtime.tools import known_node_types
from ckfunc.scaffold.packages import (
    all_packages,
    installed_packages,
    known_packages,
    link_packages,
    with_node_types,
)
from ckfunc.scaffold.render import templates
from ckfunc.scaffold.stubs import TYPES_DIR, NodeStub, Schemas, scope_of, stub_files


@dataclass(frozen=True, slots=True)
class CheckedProject:
    """The result of a check: `files` had their types checked, and the result depends on all that are `watched`."""

    root: Path
    problems: tuple[Finding, ...]
    scripts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    watched: tuple[Path, ...] = ()
    remembered: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def summary(self) -> str:
        """What was found and what was looked at, in one line."""
        errors = "no errors"
        if self.problems:
            places = {one.path for one in self.problems}
            errors = f"{counted(len(self.problems), 'error')} in {counted(len(places), 'file')}"
        if any(one.code == MANIFEST for one in self.problems):
            return f"{errors}; the scripts are checked once the manifest holds"
        if not self.scripts:
            return f"{errors} in functions.yaml, which names no scripts" if self.ok else errors
        return f"{errors}; checked {self._looked_at}"

    @property
    def _looked_at(self) -> str:
        modules = [one for one in self.files if one not in self.scripts and not one.endswith(_DECLARATIONS)]
        looked_at = counted(len(self.scripts), "script")
        if modules:
            looked_at += f" and {counted(len(modules), 'module')}"
        untyped = [one for one in self.scripts if one not in self.files]
        if len(untyped) == len(self.scripts):
            return f"the syntax of {looked_at}; in JavaScript there are no types to check"
        return looked_at + (f" ({len(untyped)} in JavaScript: syntax alone)" if untyped else "")


MANIFEST = "manifest"
"""The code of a mistake in functions.yaml."""
BUNDLE = "bundle"
"""The code of what keeps a script from being put together with the files that it imports."""
_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")


@dataclass(frozen=True, slots=True)
class Services:
    """What a check uses of a running command; `detail` gets progress in words."""

    bundler: Bundler
    compiler: CachingCompiler
    policy: Callable[[], InstallPolicy]
    detail: Callable[[str], None]


def check_project(load: Callable[[], Project], root: Path, services: Services, types: Sequence[str]) -> CheckedProject:
    """Check the project that `load` reads, or only its functions of some trigger types; prints nothing.

    Needs no credentials, and no value of a variable. Raises CkfuncError when there is no result: NoProject,
    UsageProblem for a type that the project lacks, CompilerMissing.
    """
    try:
        project = load()
    except InvalidFiles as problem:
        return CheckedProject(root, of_problems(problem.problems, MANIFEST))
    require_types(project, types)
    project = _narrowed(project, types)
    subject = subject_of(project, surroundings(project))
    packages = installable(project, services.detail)
    preparation, scripts = _Preparation(services, project, packages.failure), _Scripts(services, project)

    def parse(scripts: Sequence[Script]) -> Sequence[SyntaxProblem]:
        compiled = services.compiler.compile([(one.path, one.text) for one in scripts])
        return [one for one in compiled if isinstance(one, SyntaxProblem)]

    verdict = judge(subject, parse=parse, tools=preparation.tools, bundle=scripts.problems)
    findings = (*verdict.findings, *scripts.unresolved())
    named = (*verdict.files, *sought(verdict.findings))
    return CheckedProject(
        root=project.root,
        problems=(*of_problems([packages.problem] if packages.problem else [], REQUIREMENT), *findings),
        scripts=tuple(one.path for one in subject.scripts),
        files=verdict.files,
        warnings=(*project.warnings, *preparation.warnings, *scripts.warnings),
        watched=(*scripts.watched, *settings_files(project.root), *(project.root / one for one in named)),
        remembered=verdict.remembered,
    )


def _narrowed(project: Project, types: Sequence[str]) -> Project:
    if not types:
        return project
    return replace(project, functions=tuple(one for one in project.functions or () if one.type in types))


def require_types(project: Project, types: Sequence[str]) -> None:
    """Raise UsageProblem for a trigger type that the project has no function of."""
    known = [one.type for one in project.functions or ()]
    for one in types:
        if one not in known:
            close = nearest(one, known)
            hint = f"did you mean {close}?" if close else f"functions: {', '.join(known) or 'none'}"
            raise UsageProblem(f"functions.yaml has no function {one}", hint=hint)


def surroundings(project: Project) -> Surroundings:
    """Return what the types of the project's scripts depend on: its stubs, made only when they are needed."""
    scope, place = scope_of(project), templates()
    made_from = [path.read_text(encoding="utf-8") for path in sorted((place / "types").iterdir())]

    def stubs() -> Mapping[str, str]:
        below = f"{TYPES_DIR}/"
        files = stub_files(Schemas(""), scope, node=NodeStub.GIVEN)
        return {name.removeprefix(below): text for name, text in files.items() if name.startswith(below)}

    return Surroundings(
        stubs=stubs,
        identity=digest(repr((__version__, scope, made_from, sorted((project.runtime.dependencies or {}).items())))),
        settings=(place / "project" / "tsconfig.json.j2").read_text(encoding="utf-8"),
    )


class _Preparation:
    """Makes sure that the compiler is there, and the packages whose types scripts use."""

    def __init__(self, services: Services, project: Project, failure: CkfuncError | None) -> None:
        """`failure` is why the packages are known not to be there."""
        self._services = services
        self._project = project
        self._failure = failure
        told = failure is not None and not isinstance(failure, PackageUnknown)
        self.warnings: tuple[str, ...] = (f"{failure.message}: {UNCHECKED}",) if failure and told else ()

    def tools(self) -> Tools:
        """Return what the types are judged with. Raises CompilerMissing."""
        policy = self._services.policy()
        tell = self._services.detail
        program = compiler(cache_dir(), tell, policy)
        whole = self._link_packages()
        # Only now: packages of the user may bring their own.
        return Tools(program, declarations_of_node(self._project.root, cache_dir(), tell, policy), whole)

    def _link_packages(self) -> bool:
        """Let imports of packages find them, where there are any; return whether all are there."""
        root, wanted = self._project.root, self._project.runtime.dependencies or {}
        if not mentions(root, listing(root).scripts, {*wanted, *(one.name for one in DEFAULT_PACKAGES)}):
            return True
        try:
            if self._failure is not None:
                raise self._failure
            policy = self._services.policy()
            packages = known_packages(wanted, cache_dir(), policy)
            if packages is None or packages.missing is not None:
                packages = installed_packages(wanted, cache_dir(), self._services.detail, policy)
            link_packages(root, with_node_types(packages, known_node_types(cache_dir())))
            missing = packages.missing
            if (note := scripts_warning(all_packages(wanted), cache_dir(), policy)) is not None:
                self.warnings = ("{} ({})".format(*note),)
        except CkfuncError as problem:
            missing = problem
        if missing is not None:
            self.warnings += (f"{missing.message}: the types of packages were not looked at",)
        return missing is None


class _Scripts:
    """The scripts as a deploy would send them: put together with the local files that they import."""

    def __init__(self, services: Services, project: Project) -> None:
        self._services = services
        self._project = project
        self.watched = project.watched
        self.warnings: tuple[str, ...] = ()
        self._imports: tuple[tuple[str, Import], ...] = ()

    def problems(self) -> tuple[Finding, ...]:
        """Return what a deploy would refuse, but for syntax errors in scripts as they are written."""
        try:
            project, broken = self._services.bundler.project(self._project), frozenset[str]()
            found: tuple[Finding, ...] = ()
        except InvalidModules as problem:
            project, broken = problem.project, problem.broken
            found = of_problems(problem.problems, BUNDLE)
        self.watched = project.watched
        return (*found, *self._lacking(project, broken))

    def _lacking(self, project: Project, broken: Collection[str]) -> tuple[Finding, ...]:
        """Return what keeps scripts from running; those that are broken are left out."""
        runtime = project.runtime
        packages = {*(runtime.dependencies or ()), *(one.name for one in DEFAULT_PACKAGES)}
        required = Requirements(project.root, packages, complete=runtime.dependencies is not None)
        first = runtime.initialization_script
        handlers = {one.handler.path: one.handler for one in project.functions or ()}
        compile_all = self._services.compiler.compile
        scripts = [one for one in (*((first,) if first else ()), *handlers.values()) if one.path not in broken]
        parsing = [one for one in scripts if not isinstance(compile_all([(one.path, one.text)])[0], SyntaxProblem)]
        lacks = required.lacks(parsing, compile_all, first)
        self.warnings = tuple(map(str, lacks.warnings))
        self._imports = lacks.imports
        return of_problems(lacks.errors, REQUIREMENT)

    def unresolved(self) -> tuple[Finding, ...]:
        """Return the imports of installed packages that Node would not find; call it after `problems`."""
        if not self._imports:
            return ()
        try:
            wanted = all_packages(self._project.runtime.dependencies or {})
            directory = runtime_directory(wanted, cache_dir(), self._services.policy())
            modules = self._services.compiler.resolve(directory, [wanted for _, wanted in self._imports])
        except (CkfuncError, OSError):  # the packages are not installed: a warning says why
            return ()
        return of_problems(unresolved(self._imports, modules), REQUIREMENT)
