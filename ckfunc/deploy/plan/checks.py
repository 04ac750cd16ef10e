"""Checks of a plan before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ckfunc.base.errors import CkfuncError, InvalidScripts, Problem
from ckfunc.base.text import printable
from ckfunc.deploy.plan.diff import ChangeAction
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import BY_KIND, DEPENDENCIES

if TYPE_CHECKING:
    from ckfunc.bundle.requirements import Compile
    from ckfunc.model.project import Project, Script

Check: TypeAlias = "Callable[[Sequence[Script], Collection[str]], Sequence[Problem]]"
"""Takes scripts, and the packages that they can import; returns the problems that prevent them from running."""

_MOST_NAMES = 8


def requirements_check(project: Project, compile_all: Compile) -> Check:
    """Return a check of a project's scripts. `compile_all` starts Node only for scripts that are not in its cache."""

    def check(scripts: Sequence[Script], packages: Collection[str]) -> Sequence[Problem]:
        from ckfunc.bundle.requirements import Requirements  # imports YAML, which only changed scripts need

        required = Requirements(project.root, packages)
        return required.missing(scripts, compile_all, project.runtime.initialization_script).errors

    return check


def require_valid(plan: Plan, check: Check) -> None:
    """Refuse scripts that cannot run, before anything is written.

    Checks the changed scripts, or all scripts if the deploy removes a package, in one call. Raises InvalidScripts with
    all problems.
    """
    removes = any(change.kind == DEPENDENCIES and change.action is ChangeAction.REMOVE for change in plan.changes)
    changed = {
        (change.kind, change.name)
        for change in plan.changes
        if BY_KIND[change.kind].source and change.action is not ChangeAction.REMOVE
    }
    scripts = [script for key, script in plan.files.items() if (removes and script.text) or key in changed]
    # Several functions may share a file.
    unique = list({script.path: script for script in sorted(scripts, key=lambda script: script.path)}.values())
    problems = check(unique, plan.packages) if unique else ()
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
