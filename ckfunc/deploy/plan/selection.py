"""Selection of a part of a plan: some functions, or the runtime."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from ckfunc.base.errors import NoSuchFunction
from ckfunc.deploy.plan.plan import CreateFunction, CreateVersion, Plan, Step
from ckfunc.deploy.resources import BY_KIND, FUNCTIONS, RUNTIME, SETTINGS

if TYPE_CHECKING:
    from ckfunc.model.project import Project

SECTIONS = (RUNTIME, SETTINGS)
"""Sections of the manifest that can be selected: RUNTIME is dependencies, environment and init script."""


def require_known(project: Project, only: Collection[str]) -> None:
    """Refuse names that are neither functions of the manifest nor SECTIONS. Raises NoSuchFunction."""
    for name in only:
        if name not in project.types and name not in SECTIONS:
            raise NoSuchFunction(name, project.types, SECTIONS)


def select(plan: Plan, only: Collection[str]) -> Plan:
    """Return the part of a plan that `only` selects: trigger types and SECTIONS. Empty selects everything."""
    if not only:
        return plan

    def selected(kind: str, name: str) -> bool:
        return (name if kind == FUNCTIONS else BY_KIND[kind].section) in only

    want = {
        kind: {name: value for name, value in values.items() if selected(kind, name)}
        for kind, values in plan.want.items()
        if kind == FUNCTIONS or BY_KIND[kind].section in only
    }
    have = {
        kind: {name: value for name, value in values.items() if selected(kind, name)}
        for kind, values in plan.have.items()
        if kind in want
    }
    return replace(
        plan,
        changes=tuple(change for change in plan.changes if selected(change.kind, change.name)),
        unchanged=tuple(entry for entry in plan.unchanged if selected(entry.kind, entry.name)),
        unmanaged=(),
        warnings=tuple(warning for warning in plan.warnings if warning.partition(" ")[0] in only),
        steps=tuple(step for step in plan.steps if _selects_step(step, only)),
        want=want,
        have=have,
        versions={name: number for name, number in plan.versions.items() if name in only},
        packages=plan.packages if RUNTIME in only else plan.packages_now,
    )


def _selects_step(step: Step, only: Collection[str]) -> bool:
    if isinstance(step, CreateFunction):
        return step.function.type in only
    return (step.type if isinstance(step, CreateVersion) else BY_KIND[step.kind].section) in only
