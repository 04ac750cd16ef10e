"""Checks of a plan before anything is written."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ckfunc.base.errors import CkfuncError, DependenciesFailed, InvalidManifest, InvalidScripts, PackageUnknown, Problem
from ckfunc.base.files import cache_dir
from ckfunc.base.frozen import frozen
from ckfunc.base.text import digest, printable
from ckfunc.deploy.plan.plan import ChangeAction, Plan
from ckfunc.deploy.resources import BY_KIND, DEPENDENCIES
from ckfunc.model.application import PLATFORM_RANGES

if TYPE_CHECKING:
    from ckfunc.bundle.requirements import Compile, MissingRequirements
    from ckfunc.model.execution import Import
    from ckfunc.model.project import Project, Script
    from ckfunc.runtime.compiler import CachingCompiler

Check: TypeAlias = "Callable[[Sequence[Script], Collection[str]], Sequence[Problem]]"
"""Takes scripts, and the packages that they can import; returns the problems that prevent them from running."""
_MOST_NAMES = 8
_NAMED = re.compile(r"((?:@[\w.~-]+/)?[\w.~-]+)@")
UNCHECKED = "the packages were not checked"


def requirements_check(project: Project, compile_all: Compile) -> Check:
    """Return a check of a project's scripts. `compile_all` starts Node only for scripts that are not in its cache."""

    def check(scripts: Sequence[Script], packages: Collection[str]) -> Sequence[Problem]:
        return _missing(project, packages, scripts, compile_all).errors

    return check


def _missing(
    project: Project, packages: Collection[str], scripts: Sequence[Script], compile_all: Compile
) -> MissingRequirements:
    from ckfunc.bundle.requirements import Requirements  # imports YAML, which only changed scripts need

    return Requirements(project.root, packages).missing(scripts, compile_all, project.runtime.initialization_script)


def require_valid(plan: Plan, check: Check) -> None:
    """Refuse scripts that cannot run, before anything is written.

    Checks the changed scripts, or all scripts if the deploy removes a package, in one call. Raises InvalidScripts with
    all problems.
    """
    scripts = _scripts_to_check(plan)
    _refuse(check(scripts, plan.packages) if scripts else ())


def _scripts_to_check(plan: Plan) -> list[Script]:
    removes = any(change.kind == DEPENDENCIES and change.action is ChangeAction.REMOVE for change in plan.changes)
    changed = {
        (change.kind, change.name)
        for change in plan.changes
        if BY_KIND[change.kind].source and change.action is not ChangeAction.REMOVE
    }
    scripts = [script for key, script in plan.files.items() if (removes and script.text) or key in changed]
    # Several functions may share a file.
    return list({script.path: script for script in sorted(scripts, key=lambda script: script.path)}.values())


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        files = len({problem.path for problem in problems})
        raise InvalidScripts(
            "a script cannot run" if files == 1 else f"{files} scripts cannot run",
            problems,
            hint="nothing was written; fix the lines above",
        )


class NeedsFlag(CkfuncError):
    """The command needs a flag that allows what it would do."""


def allow_removals(plan: Plan, *, allowed: bool) -> None:
    """Refuse to remove packages and variables that are not in the manifest, unless allowed. Raises NeedsFlag."""
    # The init script is only removed if its file is empty, which is deliberate.
    removed = [removal for removal in plan.removals if not BY_KIND[removal.kind].source]
    if allowed or not removed:
        return
    names = [f"{BY_KIND[removal.kind].noun} {printable(removal.name)}" for removal in removed]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    raise NeedsFlag(
        f"the deploy would remove values that are not in functions.yaml: {', '.join(names[:_MOST_NAMES])}{more}",
        hint="add them to functions.yaml (`ckfunc pull` does that), or pass --allow-removals",
    )


@frozen
class Installable:
    """Npm's answer: `problem` is a mistake in functions.yaml, `failure` the error if npm could not install."""

    problem: Problem | None = None
    failure: CkfuncError | None = None


def installable(project: Project, detail: Callable[[str], None]) -> Installable:
    """Ask npm whether it can install the dependencies; a positive answer is cached."""
    # Imports npm code, which most deploys do not need.
    from ckfunc.scaffold.packages import installed_packages
    from ckfunc.scaffold.types import policy_of

    dependencies = project.runtime.dependencies
    if not dependencies:
        return Installable()
    lock = project.runtime.lock
    marker = installed_marker(dependencies if lock is None else lock.identified(dependencies), cache_dir())
    if marker.exists():
        return Installable()
    # Installed into the directory that handlers run with, so that a later run finds the packages.
    failure = installed_packages(dependencies, cache_dir(), detail, policy_of(project)).missing
    if isinstance(failure, PackageUnknown):
        return Installable(_located(project.root, failure), failure)
    if failure is None:
        with contextlib.suppress(OSError):
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
    return Installable(failure=failure)


def require_packages(
    project: Project,
    plan: Plan,
    compiler: CachingCompiler,
    detail: Callable[[str], None],
    warn: Callable[[str], None],
) -> None:
    """Refuse new dependencies that the registry does not have, and imports that the installed packages do not have.

    An unreachable registry is only a warning. Raises InvalidManifest and InvalidScripts.
    """
    if any(change.kind == DEPENDENCIES and change.action is not ChangeAction.REMOVE for change in plan.changes):
        result = installable(project, detail)
        if result.problem is not None:
            raise InvalidManifest("a package in functions.yaml cannot be installed", (result.problem,))
        if result.failure is not None:
            warn(f"{result.failure.message}: {UNCHECKED}")
    if scripts := _scripts_to_check(plan):
        packages = {*(project.runtime.dependencies or ()), *PLATFORM_RANGES}
        imports = _missing(project, packages, scripts, compiler.compile).imports
        _refuse(missing_modules(project, imports, compiler))


def missing_modules(
    project: Project, imports: Sequence[tuple[str, Import]], compiler: CachingCompiler
) -> tuple[Problem, ...]:
    """Return errors for the imports (of MissingRequirements) that would fail in Node; () without installed packages."""
    if not imports:
        return ()
    from ckfunc.bundle.requirements import unresolved
    from ckfunc.scaffold.types import packages_directory

    try:
        modules = compiler.resolve(packages_directory(project), [module_import for _, module_import in imports])
    except (CkfuncError, OSError):
        return ()
    return unresolved(imports, modules)


def _located(root: Path, failure: DependenciesFailed) -> Problem:
    """Return a failure as a problem at its entry of functions.yaml, or at the whole section if no entry matches."""
    from ckfunc.manifest.project import dependency_places  # imports YAML, which is only needed after a failure

    named = _NAMED.search(failure.message)
    places = dependency_places(root)
    line, column = places.get(named[1] if named else "", places[""])
    return Problem("functions.yaml", line, column, failure.message, failure.hint)


def installed_marker(dependencies: Mapping[str, str], cache: Path) -> Path:
    """Return the path in `cache` of the file that exists once npm has installed these packages."""
    return cache / "installable" / digest(json.dumps(sorted(dependencies.items())))
