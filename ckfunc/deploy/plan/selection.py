"""Selection of a part of a plan: some functions, or the runtime."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ckfunc.base.errors import UsageProblem
from ckfunc.base.text import nearest
from ckfunc.deploy.plan.plan import CreateFunction, CreateVersion, Plan, Step
from ckfunc.deploy.resources import FUNCTIONS
from ckfunc.model.project import Project

RUNTIME = "runtime"
"""Stands for dependencies, environment and init script."""


def require_known(project: Project, only: Collection[str]) -> None:
    """Refuse a name that is no function of the manifest. Raises UsageProblem."""
    known = [RUNTIME, *(one.type for one in project.functions or ())]
    for name in only:
        if name not in known:
            close = nearest(name, known)
            raise UsageProblem(
                f"functions.yaml has no function of type {name!r}",
                hint=f"did you mean {close}?" if close else f"it has: {', '.join(known[1:]) or 'none'}",
            )


def narrowed(plan: Plan, only: Collection[str]) -> Plan:
    """Return the part of a plan that `only` names: trigger types, and "runtime". All of it when nothing is named."""
    if not only:
        return plan

    def meant(kind: str, name: str) -> bool:
        return name in only if kind == FUNCTIONS else RUNTIME in only

    want = {
        kind: {name: value for name, value in values.items() if meant(kind, name)}
        for kind, values in plan.want.items()
        if kind == FUNCTIONS or RUNTIME in only
    }
    have = {
        kind: {name: value for name, value in values.items() if meant(kind, name)}
        for kind, values in plan.have.items()
        if kind in want
    }
    return replace(
        plan,
        changes=tuple(one for one in plan.changes if meant(one.kind, one.name)),
        unchanged=tuple(one for one in plan.unchanged if meant(one.kind, one.name)),
        unmanaged=(),
        warnings=tuple(one for one in plan.warnings if one.partition(" ")[0] in only),
        steps=tuple(one for one in plan.steps if _meant(one, only)),
        want=want,
        have=have,
        versions={name: number for name, number in plan.versions.items() if name in only},
        packages=plan.packages if RUNTIME in only else plan.packages_now,
    )


def _meant(step: Step, only: Collection[str]) -> bool:
    if isinstance(step, CreateFunction):
        return step.function.type in only
    return step.type in only if isinstance(step, CreateVersion) else RUNTIME in only
