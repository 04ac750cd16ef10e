"""Resume an unfinished deploy, or restore the state before the last one.

To resume, the sources must be the same, and nobody else may have changed the application.

Versions are never removed: the previous script is deployed again, as a new version. The journal contains package
versions and the init script, but no values of variables: unchanged values are read from the application, literals of
functions.yaml from the record of deployed literals, and all others must be supplied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path

from ckfunc.base.errors import CkfuncError, InvalidFiles, UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret, secret_values
from ckfunc.base.text import digest
from ckfunc.deploy.apply.journal import JournalRecord, deploy_to_undo, desired_values, foreign_changes, records
from ckfunc.deploy.cache import VersionCache, deployed_literals
from ckfunc.deploy.history import version_of
from ckfunc.deploy.plan.plan import Plan, make
from ckfunc.deploy.plan.snapshot import guard, overview, with_versions
from ckfunc.deploy.resources import (
    BY_KIND,
    FUNCTIONS,
    INIT_SCRIPT,
    SETTINGS,
    Literals,
    Remote,
    Snapshot,
    flags,
    script_of,
)
from ckfunc.model.project import ManifestFunction, ManifestRuntime, Project, Script, Target
from ckfunc.model.triggers import display_name

_HINT = "compare theirs and yours with `ckfunc diff`; `ckfunc deploy` replaces theirs"


class NotResumable(CkfuncError):
    """There is no unfinished deploy, or it cannot be resumed."""


def unfinished(root: Path, target: str, identity: str | None) -> JournalRecord:
    """Return the journal of the last deploy, which must be incomplete. Raises NotResumable."""
    last = next((record for record in records(root, target) if record.identity == identity), None)
    if last is None or last.ok:
        raise NotResumable(
            f"nothing to resume: the last deploy to {target} is complete"
            if last
            else f"nothing to resume: this checkout has no record of a deploy to target {target!r} of this application",
            hint="`ckfunc deploy` starts a new deploy",
        )
    if last.command != "deploy":
        again = "ckfunc undo" if last.command == "undo" else "ckfunc rollback TYPE"
        raise NotResumable(
            f"the unfinished operation on {target} is not a deploy, but the {last.command} of {last.time}",
            hint=f"`{again}` continues it; `ckfunc deploy` deploys the project",
        )
    return last


def require_resumable(record: JournalRecord, plan: Plan, remote: Remote) -> None:
    """Refuse to resume if the sources have changed or someone else has deployed. Raises NotResumable."""
    for kind in sorted({change.kind for change in plan.changes} - {FUNCTIONS}):
        if theirs := foreign_changes(record, kind, plan.have[kind], remote):
            raise NotResumable(
                f"someone else has changed the {BY_KIND[kind].title} since that deploy ({', '.join(theirs)})",
                hint=_HINT,
            )
    changed = [
        name
        for name, desired in record.after.functions.items()
        if desired is not None and digest(script_of(plan.want.get(FUNCTIONS, {}), name)) != desired[1]
    ]
    now = desired_values(plan, remote, record.after.kinds)
    changed += [kind for kind, values in record.after.kinds.items() if now.get(kind) != values]
    if changed:
        raise NotResumable(
            f"the sources have changed since that deploy ({', '.join(sorted(changed))})",
            hint="`ckfunc deploy` deploys the current sources",
        )
    for name in sorted(change.name for change in plan.changes if change.kind == FUNCTIONS):
        before = record.before.functions.get(name, (-1, ""))
        number = plan.versions.get(name, 0)
        if number not in {before[0] if before else 0, record.versions.get(name)}:
            raise NotResumable(f"someone else has deployed v{number} of {name} since that deploy", _HINT)


class NothingToUndo(CkfuncError):
    """No deploy is recorded, or it cannot be reverted."""


class ValuesNeeded(CkfuncError):
    """Previous values of variables must be supplied, because journals do not contain them."""


@frozen
class Undo:
    """A deploy to undo, and the plan that does it. `begun` is an earlier, unfinished undo of the same deploy."""

    record: JournalRecord
    begun: JournalRecord | None
    plan: Plan
    notes: tuple[str, ...] = ()


@frozen
class PreviousState:
    """The state before a deploy as a project, notes about what cannot be restored, and deployed literals."""

    project: Project
    notes: tuple[str, ...] = ()
    literals: Literals = field(default_factory=dict)


def read_former_values(directory: Path, file: Path) -> dict[str, Secret]:
    """Return the values in a file of NAME=value lines, by default in `directory`. Raises UsageProblem, InvalidFiles."""
    from ckfunc.manifest.variables import read_env_file  # brings YAML, which only this file needs

    path = directory / file
    if not path.exists():
        raise UsageProblem(f"there is no file {file}", hint="--env-file takes a file of NAME=value lines")
    values, problems = read_env_file(path)
    if problems:
        raise InvalidFiles("the former values cannot be read", problems, hint="nothing was written")
    return secret_values(values)


def prepare_undo(
    root: Path,
    target: Target,
    remote: Remote,
    cache: VersionCache,
    *,
    supplied: Mapping[str, Secret],
    keep_environment: bool = False,
) -> Undo:
    """Return the undo of the last deploy. Only reads. `supplied` is as for `previous_state`.

    Raises NothingToUndo, ValuesNeeded, WrongApplication and ApiFailure.
    """
    snapshot = overview(remote)
    guard(target, snapshot, remote, cache)
    record, begun = deploy_to_undo(root, target.name, remote.identity)
    if record is None:
        raise NothingToUndo(
            f"this checkout has no record of a deploy to target {target.name!r} of this application",
            hint="`ckfunc rollback TYPE` restores an older version of one function"
            + ("; an emulator whose data was reset or imported is another application" if target.emulator else ""),
        )
    if SETTINGS in record.started:
        snapshot = replace(snapshot, settings=remote.settings())
    previous = previous_state(
        record, root, target, snapshot, remote, cache, supplied=supplied, keep_environment=keep_environment
    )
    types = previous.project.types
    plan = make(previous.project, with_versions(snapshot, types, remote, cache), previous.literals)
    # An undo ignores resources that the deploy did not touch, so they are not reported as unmanaged.
    return Undo(record, begun, replace(plan, unmanaged=()), previous.notes)


def previous_state(
    record: JournalRecord,
    root: Path,
    target: Target,
    snapshot: Snapshot,
    remote: Remote,
    cache: VersionCache,
    *,
    supplied: Mapping[str, Secret],
    keep_environment: bool = False,
) -> PreviousState:
    """Return the state before a deploy. `supplied` are values of variables that the deploy changed or removed.

    Raises NothingToUndo if someone else has deployed since, ValuesNeeded, and ApiFailure.
    """
    functions, notes = _functions(record, snapshot, remote, cache)
    kinds = {kind: values for kind, values in record.before.kinds.items() if kind in record.started}
    have = {kind: {k: v for k, v in BY_KIND[kind].have(snapshot).items() if v is not None} for kind in kinds}
    if keep_environment:
        kinds.pop("environment", None)
    for kind in kinds:
        if changed := foreign_changes(record, kind, have[kind], remote):
            raise NothingToUndo(
                f"someone else has changed the {BY_KIND[kind].title} since that deploy ({', '.join(changed)})",
                hint="check `ckfunc diff`, and deploy the state that you want",
            )
    script = kinds.get(INIT_SCRIPT)
    environment = None
    literals = deployed_literals(root, target.name, remote.identity)
    if (previous := kinds.get("environment")) is not None:
        environment = _environment(previous, snapshot.runtime.own_environment(), supplied, literals, remote.fingerprint)
    runtime = ManifestRuntime(
        dependencies=kinds.get("dependencies"),
        environment=environment,
        initialization_script=None if script is None else Script("init script", script.get(INIT_SCRIPT, "")),
        literals=frozenset(
            name for name, value in (environment or {}).items() if value in map(Secret, literals.get(name, ()))
        ),
    )
    settings = None if (switches := kinds.get(SETTINGS)) is None else flags(switches)
    return PreviousState(Project(root, target, runtime, functions, settings=settings), tuple(notes), literals)


def _functions(
    record: JournalRecord, snapshot: Snapshot, remote: Remote, cache: VersionCache
) -> tuple[tuple[ManifestFunction, ...], list[str]]:
    now = {function.type: function for function in snapshot.functions}
    former, notes = [], []
    for name in sorted(record.attempted):
        before = record.before.functions.get(name)
        function = now.get(name)
        if function is None:
            continue  # it was never created
        number = function.current_version_number
        if not before or not before[0]:
            notes.append(f"{name} was new; the API cannot remove functions, so it stays at v{number}")
            continue
        left = record.versions.get(name)
        # A deploy that was killed during a write has no record of the version, so the next number is expected.
        if number not in {before[0], left or before[0] + 1, *record.later.get(name, ())}:
            raise NothingToUndo(
                f"someone else has deployed v{number} of {name} since that deploy, which left v{left or before[0]}",
                hint=f"`ckfunc rollback {name} --to {before[0]}` reverts only this function",
            )
        old = version_of(remote, function, before[0], cache)
        former.append(
            ManifestFunction(name, Script(f"the script of v{before[0]}", old.handler_script), display_name(name))
        )
    return tuple(former), notes


def _environment(
    previous: Mapping[str, str],
    now: Mapping[str, Secret],
    supplied: Mapping[str, Secret],
    literals: Literals,
    name_of: Callable[[Secret], str],
) -> dict[str, Secret]:
    values: dict[str, Secret] = {}
    missing: list[str] = []
    wrong: list[str] = []
    for name, fingerprint in previous.items():
        if name in now and name_of(now[name]) == fingerprint:
            values[name] = now[name]
        elif (
            literal := next(
                (secret for secret in map(Secret, literals.get(name, ())) if name_of(secret) == fingerprint), None
            )
        ) is not None:
            values[name] = literal
        elif name not in supplied:
            missing.append(name)
        elif name_of(supplied[name]) != fingerprint:
            wrong.append(name)
        else:
            values[name] = supplied[name]
    if missing or wrong:
        raise ValuesNeeded(
            "; ".join(_value_problems(missing, wrong)),
            hint="pass their previous values as NAME=value in a file with --env-file, or pass --keep-environment",
        )
    return values


def _value_problems(missing: list[str], wrong: list[str]) -> Iterator[str]:
    if missing:
        names = ", ".join(sorted(missing))
        yield f"the previous values of {names} are not recorded and must be supplied"
    if wrong:
        yield f"the supplied values of {', '.join(sorted(wrong))} are not those from before that deploy"
