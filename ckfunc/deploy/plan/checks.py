"""Checks of a plan before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, TypeAlias

from ckfunc.base.errors import CkfuncError, InvalidScripts, Problem
from ckfunc.base.text import printable
from ckfunc.deploy.plan.diff import ChangeAction
from ckfunc.deploy.plan.plan import Plan
from ckfunc.deploy.resources import BY_KIND, DEPENDENCIES
from ckfunc.model.project import Project, Script

if TYPE_CHECKING:
    from ckfunc.bundle.requirements import Compile

Check: TypeAlias = Callable[[Sequence[Script], Collection[str]], Sequence[Problem]]
"""Takes scripts, and the packages that they can import; returns why they cannot run."""

_MOST_NAMES = 8


def requirements_check(project: Project, compile_all: Compile) -> Check:
    """Return a check of a project's scripts. `compile_all` starts Node for scripts that are not in its cache."""

    def check(scripts: Sequence[Script], packages: Collection[str]) -> Sequence[Problem]:
        from ckfunc.bundle.requirements import Requirements  # brings YAML; a deploy without changed scripts needs none

        required = Requirements(project.root, packages)
        return required.lacks(scripts, compile_all, project.runtime.initialization_script).errors

    return check


def require_valid(plan: Plan, check: Check) -> None:
    """Refuse scripts that cannot run, before anything is written.

    These are looked at, in one call: the scripts that change; all scripts when a package is removed. Raises
    InvalidScripts with every problem.
    """
    removes = any(one.kind == DEPENDENCIES and one.action is ChangeAction.REMOVE for one in plan.changes)
    changed = {
        (one.kind, one.name)
        for one in plan.changes
        if BY_KIND[one.kind].source and one.action is not ChangeAction.REMOVE
    }
    scripts = [script for key, script in plan.files.items() if (removes and script.text) or key in changed]
    # Several functions may share a file.
    unique = list({one.path: one for one in sorted(scripts, key=lambda one: one.path)}.values())
    problems = check(unique, plan.packages) if unique else ()
    if problems:
        files = len({one.path for one in problems})
        raise InvalidScripts(
            "a script cannot run" if files == 1 else f"{files} scripts cannot run",
            problems,
            hint="nothing was written; correct the lines named above",
        )


class NeedsFlag(CkfuncError):
    """What is to be done needs to be allowed."""


def allow_removals(plan: Plan, *, allowed: bool) -> None:
    """Refuse to remove packages and variables that the manifest lacks, unless that is allowed. Raises NeedsFlag."""
    # The init script goes when its file is empty, which says what is meant.
    gone = [one for one in plan.removals if not BY_KIND[one.kind].source]
    if allowed or not gone:
        return
    names = [f"{BY_KIND[one.kind].noun} {printable(one.name)}" for one in gone]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    raise NeedsFlag(
        f"the application has what functions.yaml lacks, and would lose it: {', '.join(names[:_MOST_NAMES])}{more}",
        hint="add it to functions.yaml (`ckfunc pull` does that), or pass --allow-removals",
    )
