"""Versions of a function, and the version to roll back to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ckfunc.base.errors import AmbiguousFunction, CkfuncError, UsageProblem
from ckfunc.base.text import digest
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.remote import Remote
from ckfunc.deploy.resources import newlines
from ckfunc.model.function import Function, FunctionVersion
from ckfunc.model.project import Project, Script, Target, WantedFunction, WantedRuntime
from ckfunc.model.triggers import display_name

_REFERENCE = re.compile(r"(?P<type>[^@]+)(?:@v?(?P<number>[1-9][0-9]{0,9}))?")


class UnknownVersion(CkfuncError):
    """The application has no such function, or the function no such version."""


@dataclass(frozen=True, slots=True)
class Reference:
    """`TYPE`, or `TYPE@NUMBER`; None is the deployed version."""

    type: str
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Rollback:
    """The deployed version and the older one whose script is to be deployed again, as the next number."""

    function: Function
    current: FunctionVersion = field(repr=False)
    target: FunctionVersion = field(repr=False)

    @property
    def changes_nothing(self) -> bool:
        """Whether both scripts are the same."""
        return same(self.current, self.target)


def reference(text: str) -> Reference:
    """Read `TYPE`, `TYPE@3` or `TYPE@v3`. Raises UsageProblem."""
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise UsageProblem(f"{text!r} is neither TYPE nor TYPE@NUMBER", hint="such as user.sent.message@3")
    return Reference(found["type"], int(found["number"]) if found["number"] else None)


def same(one: FunctionVersion, other: FunctionVersion) -> bool:
    """Tell whether two versions have the same script, line ends aside."""
    return newlines(one.handler_script) == newlines(other.handler_script)


def script_digest(version: FunctionVersion) -> str:
    """Return what names a script, line ends aside: 64 hexadecimal digits."""
    return digest(newlines(version.handler_script))


def function_of(remote: Remote, trigger_type: str) -> Function:
    """Return the application's one function of a type. Raises UnknownVersion or AmbiguousFunction."""
    functions = remote.functions()
    found = [one for one in functions if one.type == trigger_type]
    if len(found) > 1:
        raise AmbiguousFunction(trigger_type, [one.id for one in found])
    if not found:
        known = ", ".join(sorted(one.type for one in functions))
        hint = f"it has: {known}" if known else "nothing is deployed yet: `ckfunc deploy` does that"
        raise UnknownVersion(f"the application has no function of type {trigger_type!r}", hint=hint)
    return found[0]


def versions_of(remote: Remote, function: Function, cache: VersionCache) -> Iterator[FunctionVersion]:
    """Yield the versions of a function, the newest first, and keep each for later."""
    for version in remote.versions(function.id):
        cache.keep_version(remote.identity, function.id, version)
        yield version


def version_of(remote: Remote, function: Function, number: int | None, cache: VersionCache) -> FunctionVersion:
    """Return a version by its number, None for the deployed one, from the cache if it is there.

    Raises UnknownVersion.
    """
    wanted = function.current_version_number if number is None else number
    latest = function.current_version_number
    if not latest:
        raise UnknownVersion(f"{function.type} was never deployed", hint="`ckfunc deploy` does that")
    if wanted <= latest:
        kept = cache.version(remote.identity, function.id, wanted)
        if kept is not None:
            return kept
        if wanted == latest:
            version = remote.current_version(function.id)
            cache.keep_version(remote.identity, function.id, version)
            # A newer one means that somebody deployed just now: it is the deployed one, but not the one asked for.
            if number is None or version.version_number == number:
                return version
        for version in versions_of(remote, function, cache):
            if version.version_number == wanted:
                return version
    raise UnknownVersion(f"{function.type} has no version {wanted}", hint=f"its versions are 1 to {latest}")


def handler_of(project: Project, trigger_type: str) -> Script | None:
    """Return the handler that a project has for a type."""
    return next((one.handler for one in project.functions or () if one.type == trigger_type), None)


def prepare_rollback(remote: Remote, function: Function, to: int | None, cache: VersionCache) -> Rollback:
    """Return what a rollback means: to version `to`, or to the newest one whose script is another than the deployed.

    Raises UnknownVersion.
    """
    # Asked for, not taken from the list or the cache: what follows is a write.
    current = remote.current_version(function.id) if function.current_version_number else None
    if current is None:
        raise UnknownVersion(f"{function.type} was never deployed", hint="there is nothing to go back to")
    cache.keep_version(remote.identity, function.id, current)
    if to is not None:
        return Rollback(function, current, version_of(remote, function, to, cache))
    for version in versions_of(remote, function, cache):
        if version.version_number < current.version_number and not same(version, current):
            return Rollback(function, current, version)
    raise UnknownVersion(
        f"{function.type} has no earlier version with another script", hint="`ckfunc versions` lists what there is"
    )


def rolled_back(wanted: Rollback, root: Path, target: Target) -> Project:
    """Return the older script as a project that manages this function alone."""
    script = Script(f"the script of v{wanted.target.version_number}", wanted.target.handler_script)
    name = wanted.function.type
    return Project(root, target, WantedRuntime(), (WantedFunction(name, script, display_name(name)),))
