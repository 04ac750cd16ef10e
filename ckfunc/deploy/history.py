"""Versions of a function: found, compared, and deployed again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import AmbiguousFunction, CkfuncError, UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Segment, digest, newlines, printable, styled_diff, unified
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.resources import Remote
from ckfunc.model.project import ManifestFunction, ManifestRuntime, Project, Script, Target
from ckfunc.model.triggers import NoSuchFunction, display_name

if TYPE_CHECKING:
    from ckfunc.model.application import Function, FunctionVersion
    from ckfunc.model.outputs import ComparisonJson

_REFERENCE = re.compile(r"(?P<type>[^@]+)(?:@v?(?P<number>[1-9][0-9]{0,9}))?")


class UnknownVersion(CkfuncError):
    """The function or the version does not exist in the application."""


@frozen
class Reference:
    """`TYPE` or `TYPE@NUMBER`. `number` is None for the deployed version."""

    type: str
    number: int | None = None


@frozen
class Rollback:
    """A rollback: deploys the script of `target`, an older version, again as a new version after `current`."""

    function: Function
    current: FunctionVersion
    target: FunctionVersion

    @property
    def changes_nothing(self) -> bool:
        """Whether both scripts are the same."""
        return same_script(self.current, self.target.handler_script)

    def diff_lines(self) -> Iterator[tuple[Segment]]:
        """Yield the differences of both scripts as styled lines."""
        name = self.function.type
        return compare(named_version(name, self.current), named_version(name, self.target)).lines()


def reference(text: str) -> Reference:
    """Read `TYPE`, `TYPE@3` or `TYPE@v3`. Raises UsageProblem."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise UsageProblem(f"{text!r} is neither TYPE nor TYPE@NUMBER", hint="for example, user.sent.message@3")
    return Reference(match["type"], int(match["number"]) if match["number"] else None)


def same_script(version: FunctionVersion, script: str) -> bool:
    """Return whether a version has this script, ignoring line endings.

    The dashboard's editor and checkouts on Windows change them.
    """
    return newlines(version.handler_script) == newlines(script)


def script_digest(version: FunctionVersion) -> str:
    """Return the digest of a script, ignoring line endings, as 64 hexadecimal digits."""
    return digest(newlines(version.handler_script))


def function_of(remote: Remote, trigger_type: str) -> Function:
    """Return the application's only function of a type. Raises UnknownVersion and AmbiguousFunction."""
    functions = remote.functions()
    matching = [function for function in functions if function.type == trigger_type]
    if len(matching) > 1:
        raise AmbiguousFunction(trigger_type, [function.id for function in matching])
    if not matching:
        types = ", ".join(sorted(function.type for function in functions))
        hint = f"it has: {types}" if types else "nothing is deployed yet; run `ckfunc deploy`"
        raise UnknownVersion(f"the application has no function of type {trigger_type!r}", hint=hint)
    return matching[0]


def versions_of(remote: Remote, function: Function, cache: VersionCache) -> Iterator[FunctionVersion]:
    """Yield the versions of a function, newest first, and cache each."""
    for version in remote.versions(function.id):
        cache.store_version(remote.identity, function.id, version)
        yield version


def reverted_versions(versions: Sequence[FunctionVersion]) -> frozenset[int]:
    """Return the numbers of the versions that an undo or a rollback reverted; `versions` are sorted, newest first.

    A version is reverted if the script of an older version was deployed again after it. A version with the newest
    script is not.
    """
    scripts = [script_digest(version) for version in versions]
    return frozenset(
        version.version_number
        for index, version in enumerate(versions)
        if scripts[index] != scripts[0] and set(scripts[:index]) & set(scripts[index + 1 :]) - {scripts[index]}
    )


def version_of(remote: Remote, function: Function, number: int | None, cache: VersionCache) -> FunctionVersion:
    """Return a version by its number (None: the deployed one), from the cache if possible. Raises UnknownVersion."""
    requested = function.current_version_number if number is None else number
    latest = function.current_version_number
    if not latest:
        raise UnknownVersion(f"{function.type} was never deployed", hint="run `ckfunc deploy`")
    if requested <= latest:
        cached = cache.version(remote.identity, function.id, requested)
        if cached is not None:
            return cached
        if requested == latest:
            version = remote.current_version(function.id)
            cache.store_version(remote.identity, function.id, version)
            # A newer version means that someone has just deployed: it is the deployed one, but not the requested one.
            if number is None or version.version_number == number:
                return version
        for version in versions_of(remote, function, cache):
            if version.version_number == requested:
                return version
    versions = f"its versions are 1 to {latest}" if latest > 1 else "its only version is 1"
    raise UnknownVersion(f"{function.type} has no version {requested}", hint=versions)


def handler_of(project: Project, trigger_type: str) -> Script | None:
    """Return the project's handler for a trigger type, or None."""
    return next((function.handler for function in project.functions or () if function.type == trigger_type), None)


def require_handler(project: Project, trigger_type: str) -> Script:
    """Return the project's handler for a trigger type. Raises NoSuchFunction."""
    script = handler_of(project, trigger_type)
    if script is None:
        raise NoSuchFunction(trigger_type, project.types)
    return script


def prepare_rollback(remote: Remote, function: Function, to: int | None, cache: VersionCache) -> Rollback:
    """Return a rollback to version `to` (None: the newest version with a script other than the deployed one).

    Raises UnknownVersion.
    """
    # Read from the API rather than from the list or the cache, because a write follows.
    current = remote.current_version(function.id) if function.current_version_number else None
    if current is None:
        raise UnknownVersion(f"{function.type} was never deployed", hint="there is no version to roll back to")
    cache.store_version(remote.identity, function.id, current)
    if to is not None:
        return Rollback(function, current, version_of(remote, function, to, cache))
    for version in versions_of(remote, function, cache):
        if version.version_number < current.version_number and not same_script(version, current.handler_script):
            return Rollback(function, current, version)
    raise UnknownVersion(
        f"{function.type} has no earlier version with a different script", hint="`ckfunc versions` lists all versions"
    )


def rolled_back(rollback: Rollback, root: Path, target: Target) -> Project:
    """Return a project that manages only this function, with the older script."""
    script = Script(f"the script of v{rollback.target.version_number}", rollback.target.handler_script)
    name = rollback.function.type
    return Project(root, target, ManifestRuntime(), (ManifestFunction(name, script, display_name(name)),))


@frozen
class NamedScript:
    """A script to compare, with its name in the diff; `text` has plain newlines."""

    name: str
    text: str


@frozen
class Comparison:
    """The unified diff of two scripts: without lines if they are equal."""

    before: str
    after: str
    diff: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Whether the scripts are the same."""
        return not self.diff

    def lines(self) -> Iterator[tuple[Segment]]:
        """Yield the diff as styled lines."""
        for line in styled_diff(self.diff):
            yield (line,)

    def to_json(self) -> ComparisonJson:
        """Return the comparison for `--json`."""
        text = "".join(f"{printable(line)}\n" for line in self.diff)
        return {"before": self.before, "after": self.after, "equal": self.equal, "diff": text}


def compare(before: NamedScript, after: NamedScript) -> Comparison:
    """Return the changes from one script to another."""
    return Comparison(before.name, after.name, tuple(unified(before.text, after.text, before.name, after.name)))


def named_version(trigger_type: str, version: FunctionVersion) -> NamedScript:
    """Return the script of a version, with the name TYPE@NUMBER."""
    return NamedScript(f"{printable(trigger_type)}@{version.version_number}", newlines(version.handler_script))


def compare_versions(
    remote: Remote, cache: VersionCache, versions: Sequence[str], project: Callable[[], Project]
) -> Comparison:
    """Compare two versions (TYPE or TYPE@NUMBER), or one with the working copy.

    Raises UsageProblem, UnknownVersion, AmbiguousFunction, and NoSuchFunction if the working copy has no handler.
    """
    references = [reference(version) for version in versions]
    scripts = []
    for requested in references:
        function = function_of(remote, requested.type)
        scripts.append(named_version(function.type, version_of(remote, function, requested.number, cache)))
    if len(scripts) == 1:
        scripts.append(_working_copy(project(), references[0].type))
    return compare(*scripts)


def _working_copy(project: Project, trigger_type: str) -> NamedScript:
    script = require_handler(project, trigger_type)
    return NamedScript(f"{printable(script.path)}{' (bundled)' if script.modules else ''}", newlines(script.text))
