"""Whether the scripts that a plan would send parse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ckfunc.base.errors import InvalidScripts, Problem
from ckfunc.deploy.diff import Action
from ckfunc.deploy.plan import Plan
from ckfunc.deploy.resources import BY_KIND
from ckfunc.model.execution import SyntaxProblem

Check: TypeAlias = Callable[[Sequence[tuple[str, str]]], Sequence[SyntaxProblem]]
"""Takes file names with their TypeScript sources, all at once; returns what does not parse."""


def require_valid(plan: Plan, check: Check) -> None:
    """Refuse scripts that do not parse, before anything is written: the changed ones alone, all in one call.

    Raises InvalidScripts with every problem.
    """
    changed = [
        plan.files[one.kind, one.name]
        for one in plan.changes
        if BY_KIND[one.kind].source and one.action is not Action.REMOVE
    ]
    # Several functions may share a file.
    problems = check(sorted({script.path: script.text for script in changed}.items())) if changed else ()
    if problems:
        files = len({one.name for one in problems})
        raise InvalidScripts(
            "a script does not parse" if files == 1 else f"{files} scripts do not parse",
            [Problem(one.name, one.line, one.column, one.message) for one in problems],
            hint="nothing was written; correct the lines named above",
        )
