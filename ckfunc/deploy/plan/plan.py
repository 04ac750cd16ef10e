"""Plan of a deploy: changes, their order, warnings, and a selected part."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from ckfunc.base.errors import PlatformOwned
from ckfunc.base.frozen import frozen
from ckfunc.deploy.resources import (
    BY_KIND,
    ENVIRONMENT,
    FUNCTIONS,
    RESOURCES,
    RUNTIME,
    SETTINGS,
    DesiredValues,
    Literals,
    Resource,
    Snapshot,
    Values,
    script_of,
    sources,
)
from ckfunc.model.application import Function, NewFunction
from ckfunc.model.triggers import NoSuchFunction, display_name

if TYPE_CHECKING:
    from ckfunc.model.project import ManifestFunction, Project, Script, Target

SECTIONS = (RUNTIME, SETTINGS)
"""Sections of the manifest that can be selected: RUNTIME is dependencies, environment and init script."""


class ChangeAction(StrEnum):
    """The effect of a change."""

    CREATE = "create"
    UPDATE = "update"
    REMOVE = "remove"


@frozen
class ResourceChange:
    """A value that differs. `before` is None for a created value, `after` for a removed one."""

    kind: str
    name: str
    action: ChangeAction
    before: object = None
    after: object = None


def diff(kind: str, want: Mapping[str, object], have: Mapping[str, object]) -> tuple[ResourceChange, ...]:
    """Return the changes that turn `have` into `want`, sorted by name."""
    return tuple(
        ResourceChange(kind, name, _action(name, want, have), before=have.get(name), after=want.get(name))
        for name in sorted({*want, *have})
        if name not in want or name not in have or want[name] != have[name]
    )


def _action(name: str, want: Mapping[str, object], have: Mapping[str, object]) -> ChangeAction:
    if name not in have:
        return ChangeAction.CREATE
    return ChangeAction.UPDATE if name in want else ChangeAction.REMOVE


@frozen
class Untouched:
    """A resource that does not change. `version` is the deployed version number of a function."""

    kind: str
    name: str
    version: int | None = None


@frozen
class Put:
    """Replace all values of a kind with `values`, which makes `changes`.

    Steps with `last` come after all versions: removals, because an old version may still need the values, and settings.
    """

    kind: str
    values: DesiredValues
    changes: tuple[ResourceChange, ...]
    last: bool = False


@frozen
class CreateFunction:
    """Create a function."""

    function: NewFunction


@frozen
class CreateVersion:
    """Create a version, which deploys it. `function_id` is None if the function does not exist yet.

    `base_version` is the deployed version number that the plan was computed from.
    """

    type: str
    script: str
    function_id: int | None
    base_version: int


Step: TypeAlias = Put | CreateFunction | CreateVersion


@frozen
class Plan:
    """The steps of a deploy, in order, and the states that were compared.

    `want` and `have` are the wanted and the current values of every managed kind. `files` maps kind and name to the
    source file. `versions` are the deployed version numbers of wanted functions that exist. `packages` are the npm
    packages that handlers can import after the deploy, `packages_now` before it. `literals` are the names of variables
    whose wanted values are literals, `deployed_literals` the literal values that earlier deploys gave to variables.
    """

    target: Target
    application_id: int | None
    changes: tuple[ResourceChange, ...]
    unchanged: tuple[Untouched, ...]
    unmanaged: tuple[Untouched, ...]
    warnings: tuple[str, ...]
    steps: tuple[Step, ...]
    want: Mapping[str, DesiredValues]
    have: Mapping[str, Values]
    files: Mapping[tuple[str, str], Script]
    versions: Mapping[str, int]
    packages: frozenset[str] = frozenset()
    packages_now: frozenset[str] = frozenset()
    literals: frozenset[str] = frozenset()
    deployed_literals: Literals = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether the application already matches the manifest."""
        return not self.changes

    @property
    def removals(self) -> tuple[ResourceChange, ...]:
        """The changes that remove a value from the application."""
        return tuple(change for change in self.changes if change.action is ChangeAction.REMOVE)


def make(project: Project, snapshot: Snapshot, deployed_literals: Literals | None = None) -> Plan:
    """Return the plan that makes the application match the manifest. Raises PlatformOwned."""
    _require_own_dependencies(project, snapshot)
    remote = {function.type: function for function in snapshot.functions}
    desired = {function.type: function for function in project.functions or ()}
    versions = {name: function.current_version_number for name, function in remote.items() if name in desired}
    want: dict[str, DesiredValues] = {}
    had: dict[str, Values] = {}
    changes: list[ResourceChange] = []
    unchanged: list[Untouched] = []
    unmanaged: list[Untouched] = []
    steps: list[Step] = []
    now = {dependency.name for dependency in snapshot.runtime.dependencies}
    own = project.runtime.dependencies
    then = (
        now
        if own is None
        else {*own, *(dependency.name for dependency in snapshot.runtime.dependencies if dependency.default)}
    )
    for resource in RESOURCES:
        values, have = resource.want(project), resource.have(snapshot)
        if resource.kind == ENVIRONMENT and values is not None and project.runtime.unknown:
            values, have = (_omit(value, project.runtime.unknown) for value in (values, have))
        others = set(have) - set(values or ()) if resource.keeps_others else set()
        unmanaged += (Untouched(resource.kind, name, _version(resource, remote.get(name))) for name in sorted(others))
        if values is None:
            continue
        if resource.write is None:
            have = _omit(have, others)
        else:  # a write replaces all values, so it sends the unmanaged ones unchanged
            values = {**values, **{name: value for name in others if (value := have[name]) is not None}}
        want[resource.kind], had[resource.kind] = values, have
        differences = diff(resource.kind, values, have)
        same = set(values) - {change.name for change in differences} - others
        changes += differences
        unchanged += (Untouched(resource.kind, name, _version(resource, remote.get(name))) for name in sorted(same))
        steps += _steps_of(resource, values, have, differences, desired, remote)
    return Plan(
        target=project.target,
        application_id=snapshot.runtime.application_id,
        changes=tuple(changes),
        unchanged=tuple(unchanged),
        unmanaged=tuple(unmanaged),
        warnings=(*_disabled_warnings(desired, remote), *_drift_warnings(desired, remote), *_unknown_warnings(project)),
        steps=tuple(sorted(steps, key=lambda step: isinstance(step, Put) and step.last)),
        want=want,
        have=had,
        files=sources(project),
        versions=versions,
        packages=frozenset(then),
        packages_now=frozenset(now),
        literals=project.runtime.literals,
        deployed_literals=deployed_literals or {},
    )


def disabled_warning(trigger_type: str) -> str:
    """Return the warning that a function is disabled."""
    return f"{trigger_type} is disabled and does not run; the API cannot enable it, the ChatKitty dashboard can"


def _steps_of(
    resource: Resource,
    values: DesiredValues,
    have: Values,
    changes: tuple[ResourceChange, ...],
    desired: Mapping[str, ManifestFunction],
    remote: Mapping[str, Function],
) -> Iterator[Step]:
    if not changes:
        return
    if resource.last:
        yield Put(resource.kind, values, changes, last=True)
        return
    if resource.write is not None:
        first = tuple(change for change in changes if change.action is not ChangeAction.REMOVE)
        last = tuple(change for change in changes if change.action is ChangeAction.REMOVE)
        still_needed = {change.name: value for change in last if (value := have[change.name]) is not None}
        if first:
            yield Put(resource.kind, {**still_needed, **values}, first)
        if last:
            yield Put(resource.kind, values, last, last=True)
        return
    for change in changes:
        if change.action is ChangeAction.CREATE:
            new = desired[change.name]
            yield CreateFunction(NewFunction(new.type, new.name, new.description, new.initialize_asynchronously))
    for change in changes:
        current = remote.get(change.name)
        yield CreateVersion(
            change.name,
            script_of(values, change.name),
            function_id=current.id if current else None,
            base_version=current.current_version_number if current else 0,
        )


def _version(resource: Resource, function: Function | None) -> int | None:
    """Return the deployed version number of a function; None for other resources."""
    return function.current_version_number if function is not None and resource.kind == FUNCTIONS else None


def _require_own_dependencies(project: Project, snapshot: Snapshot) -> None:
    theirs = {dependency.name: dependency.version for dependency in snapshot.runtime.dependencies if dependency.default}
    clash = sorted(set(project.runtime.dependencies or ()) & set(theirs))
    if clash:
        raise PlatformOwned(
            f"the platform already provides {', '.join(f'{name} {theirs[name]}' for name in clash)}",
            hint="remove it from `runtime.dependencies` in functions.yaml: the API cannot change these packages",
        )


def _disabled_warnings(desired: Mapping[str, ManifestFunction], remote: Mapping[str, Function]) -> Iterator[str]:
    for name, function in remote.items():
        # A function is disabled until it has a version, so that needs no warning.
        if name in desired and not function.enabled and function.current_version_number:
            yield disabled_warning(name)


def _omit(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _unknown_warnings(project: Project) -> Iterator[str]:
    for name in sorted(project.runtime.unknown):
        yield f"variable {name} has no value, so it is not compared"


def _drift_warnings(desired: Mapping[str, ManifestFunction], remote: Mapping[str, Function]) -> Iterator[str]:
    for name, function in remote.items():
        if (want := desired.get(name)) is None:
            continue
        differing = [
            f"{noun} ({'none' if there is None else repr(there)} in the application, {here!r} in functions.yaml)"
            for noun, here, there in (
                # The default name was not chosen by the user.
                ("name", want.name if want.name != display_name(name) else function.name, function.name),
                ("description", want.description or function.description, function.description),
            )
            if here != there
        ]
        if differing:
            yield (
                f"{name} has a different {' and '.join(differing)}; "
                "the API cannot change it, the ChatKitty dashboard can"
            )


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
