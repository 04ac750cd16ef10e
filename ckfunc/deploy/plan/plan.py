"""Plan of a deploy: changes, their order, and warnings."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ckfunc.base.errors import PlatformOwned
from ckfunc.deploy.plan.diff import ChangeAction, ResourceChange, diff
from ckfunc.deploy.remote import Snapshot
from ckfunc.deploy.resources import ENVIRONMENT, RESOURCES, Literals, Resource, Values, Wanted, script_of, sources
from ckfunc.model.function import Function, NewFunction
from ckfunc.model.project import Project, Script, Target, WantedFunction
from ckfunc.model.triggers import display_name


@dataclass(frozen=True, slots=True)
class Untouched:
    """Something that stays as it is; `version` is the deployed version number of a function."""

    kind: str
    name: str
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Put:
    """Replace everything of one kind with `values`, which makes `changes` true.

    What is removed comes in a step of its own, with `last`: after every version that may still have needed it.
    """

    kind: str
    values: Wanted = field(repr=False)
    changes: tuple[ResourceChange, ...]
    last: bool = False


@dataclass(frozen=True, slots=True)
class CreateFunction:
    """Create a function that the application lacks."""

    function: NewFunction


@dataclass(frozen=True, slots=True)
class CreateVersion:
    """Create, and so deploy, a version. `function_id` is None when the function is created first.

    `base_version` is the version number that the plan was made from.
    """

    type: str
    script: str = field(repr=False)
    function_id: int | None
    base_version: int


Step: TypeAlias = Put | CreateFunction | CreateVersion


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to an application, in order, and what everything was compared with.

    `want` and `have` hold the values of every managed kind as they are to be and as they are; `files` the source file
    of a kind and name; `versions` the deployed version number of each wanted function that exists; `packages` the npm
    packages that handlers can import afterwards, and `packages_now` those that they can import now. `literals` are the
    variables whose wanted values are public, `deployed_literals` the values that they were given as literals before.
    """

    target: Target
    application_id: int | None
    changes: tuple[ResourceChange, ...]
    unchanged: tuple[Untouched, ...]
    unmanaged: tuple[Untouched, ...]
    warnings: tuple[str, ...]
    steps: tuple[Step, ...]
    want: Mapping[str, Wanted] = field(repr=False)
    have: Mapping[str, Values] = field(repr=False)
    files: Mapping[tuple[str, str], Script] = field(repr=False)
    versions: Mapping[str, int]
    packages: frozenset[str] = frozenset()
    packages_now: frozenset[str] = frozenset()
    literals: frozenset[str] = frozenset()
    deployed_literals: Literals = field(default_factory=dict, repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether the application matches the manifest."""
        return not self.changes

    @property
    def removals(self) -> tuple[ResourceChange, ...]:
        """What the application has, the manifest lacks, and the deploy removes."""
        return tuple(one for one in self.changes if one.action is ChangeAction.REMOVE)


def make(project: Project, seen: Snapshot, deployed_literals: Literals | None = None) -> Plan:
    """Return the plan that makes the application match the manifest; raises PlatformOwned."""
    _require_own_dependencies(project, seen)
    remote = {one.type: one for one in seen.functions}
    wanted = {one.type: one for one in project.functions or ()}
    versions = {name: one.current_version_number for name, one in remote.items() if name in wanted}
    want: dict[str, Wanted] = {}
    had: dict[str, Values] = {}
    changes: list[ResourceChange] = []
    unchanged: list[Untouched] = []
    unmanaged: list[Untouched] = []
    steps: list[Step] = []
    now = {one.name for one in seen.runtime.dependencies}
    own = project.runtime.dependencies
    then = now if own is None else {*own, *(one.name for one in seen.runtime.dependencies if one.default)}
    for resource in RESOURCES:
        values, have = resource.want(project), resource.have(seen)
        if resource.kind == ENVIRONMENT and values is not None and project.runtime.unknown:
            values, have = (_without(one, project.runtime.unknown) for one in (values, have))
        if values is not None:
            want[resource.kind] = values
        if resource.keeps_others:
            others = sorted(set(have) - set(values or ()))
            unmanaged += (Untouched(resource.kind, name, remote[name].current_version_number) for name in others)
            have = {name: have[name] for name in have if name not in others}
        if values is None:
            continue
        had[resource.kind] = have
        found = diff(resource.kind, values, have)
        changed = {one.name for one in found}
        changes += found
        unchanged += (Untouched(resource.kind, name, versions.get(name)) for name in sorted(set(values) - changed))
        steps += _steps(resource, values, have, found, wanted, remote)
    return Plan(
        target=project.target,
        application_id=seen.runtime.application_id,
        changes=tuple(changes),
        unchanged=tuple(unchanged),
        unmanaged=tuple(unmanaged),
        warnings=(*_disabled(wanted, remote), *_drifted(wanted, remote), *_unknown(project)),
        steps=tuple(sorted(steps, key=lambda one: isinstance(one, Put) and one.last)),
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
    """Say that a function does not run."""
    return f"{trigger_type} is disabled and does not run; the API cannot enable it, the ChatKitty dashboard can"


def _steps(
    resource: Resource,
    values: Wanted,
    have: Values,
    changes: tuple[ResourceChange, ...],
    wanted: Mapping[str, WantedFunction],
    remote: Mapping[str, Function],
) -> Iterator[Step]:
    if not changes:
        return
    if resource.write is not None:
        first = tuple(one for one in changes if one.action is not ChangeAction.REMOVE)
        last = tuple(one for one in changes if one.action is ChangeAction.REMOVE)
        kept = {one.name: value for one in last if (value := have[one.name]) is not None}
        if first:
            yield Put(resource.kind, {**kept, **values}, first)
        if last:
            yield Put(resource.kind, values, last, last=True)
        return
    for change in changes:
        if change.action is ChangeAction.CREATE:
            new = wanted[change.name]
            yield CreateFunction(NewFunction(new.type, new.name, new.description, new.initialize_asynchronously))
    for change in changes:
        known = remote.get(change.name)
        yield CreateVersion(
            change.name,
            script_of(values, change.name),
            function_id=known.id if known else None,
            base_version=known.current_version_number if known else 0,
        )


def _require_own_dependencies(project: Project, seen: Snapshot) -> None:
    theirs = {one.name: one.version for one in seen.runtime.dependencies if one.default}
    clash = sorted(set(project.runtime.dependencies or ()) & set(theirs))
    if clash:
        raise PlatformOwned(
            f"the platform installs {', '.join(f'{name} {theirs[name]}' for name in clash)} by itself",
            hint="remove it from `runtime.dependencies` in functions.yaml: the API does not change these packages",
        )


def _disabled(wanted: Mapping[str, WantedFunction], remote: Mapping[str, Function]) -> Iterator[str]:
    for name, function in remote.items():
        # A function without a version is disabled until it gets one.
        if name in wanted and not function.enabled and function.current_version_number:
            yield disabled_warning(name)


def _without(values: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _unknown(project: Project) -> Iterator[str]:
    for name in sorted(project.runtime.unknown):
        yield f"variable {name} is not compared: it has no value here"


def _drifted(wanted: Mapping[str, WantedFunction], remote: Mapping[str, Function]) -> Iterator[str]:
    for name, function in remote.items():
        if (want := wanted.get(name)) is None:
            continue
        differing = [
            f"{what} ({there!r} there, {here!r} here)"
            for what, here, there in (
                # The default name says nothing about what the user wants.
                ("name", want.name if want.name != display_name(name) else function.name, function.name),
                ("description", want.description or function.description, function.description),
            )
            if here != there
        ]
        if differing:
            yield f"{name} has another {' and '.join(differing)}; the API cannot change it, the ChatKitty dashboard can"
