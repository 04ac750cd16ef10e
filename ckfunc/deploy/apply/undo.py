"""Project that restores the state before the last deploy.

Versions are never removed: the former script is posted again, as a new version. Package versions and the init script
are in the journal. Values of variables are not: unchanged ones are read from the application, literals of
functions.yaml from the record of deployed literals, and the others must be supplied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ckfunc.base.errors import CkfuncError
from ckfunc.base.secrets import Secret, secret_values
from ckfunc.deploy.apply.journal import JournalRecord, strangers, to_undo
from ckfunc.deploy.cache import VersionCache, deployed_literals
from ckfunc.deploy.history import version_of
from ckfunc.deploy.plan.plan import Plan, make
from ckfunc.deploy.plan.snapshot import guard, overview, with_versions
from ckfunc.deploy.remote import Remote, Snapshot
from ckfunc.deploy.resources import BY_KIND, INIT_SCRIPT, Literals
from ckfunc.model.project import Project, Script, Target, WantedFunction, WantedRuntime
from ckfunc.model.triggers import display_name


class NothingToUndo(CkfuncError):
    """No deploy is known, or it cannot be taken back as a whole."""


class ValuesNeeded(CkfuncError):
    """Variables had other values before, which no journal holds."""


@dataclass(frozen=True, slots=True)
class Undo:
    """A deploy to undo, and the plan that does it. `begun` is an earlier undo of it that did not finish."""

    record: JournalRecord
    begun: JournalRecord | None
    plan: Plan
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Former:
    """The former state as a project, what cannot be brought back, and the literals that were deployed."""

    project: Project = field(repr=False)
    notes: tuple[str, ...] = ()
    literals: Literals = field(default_factory=dict, repr=False)


def prepare_undo(
    root: Path,
    target: Target,
    remote: Remote,
    cache: VersionCache,
    *,
    supplied: Mapping[str, str],
    keep_environment: bool = False,
) -> Undo:
    """Return what an undo of the last deploy does; reads only. `supplied` is as for `former`.

    Raises NothingToUndo, ValuesNeeded, WrongApplication and ApiFailure.
    """
    seen = overview(remote)
    guard(target, seen, remote, cache)
    record, begun = to_undo(root, target.name, remote.identity)
    if record is None:
        raise NothingToUndo(
            f"no deploy to this application as {target.name} is known in this checkout",
            hint="`ckfunc rollback TYPE` restores an older version of one function"
            + ("; an emulator whose data was reset or imported is another application" if target.emulator else ""),
        )
    found = former(record, root, target, seen, remote, cache, supplied=supplied, keep_environment=keep_environment)
    types = [one.type for one in found.project.functions or ()]
    plan = make(found.project, with_versions(seen, types, remote, cache), found.literals)
    # Resources that the deploy did not touch are not unmanaged: an undo does not concern them.
    return Undo(record, begun, replace(plan, unmanaged=()), found.notes)


def former(
    record: JournalRecord,
    root: Path,
    target: Target,
    seen: Snapshot,
    remote: Remote,
    cache: VersionCache,
    *,
    supplied: Mapping[str, str],
    keep_environment: bool = False,
) -> Former:
    """Return what was before a deploy. `supplied` are values of variables that the deploy changed or removed.

    Raises NothingToUndo when someone deployed since, ValuesNeeded, and ApiFailure.
    """
    functions, notes = _functions(record, seen, remote, cache)
    kinds = {kind: values for kind, values in record.before.kinds.items() if kind in record.started}
    have = {kind: {k: v for k, v in BY_KIND[kind].have(seen).items() if v is not None} for kind in kinds}
    if keep_environment:
        kinds.pop("environment", None)
    for kind in kinds:
        if moved := strangers(record, kind, have[kind], remote):
            raise NothingToUndo(
                f"someone has changed the {BY_KIND[kind].title} since that deploy ({', '.join(moved)})",
                hint="look at `ckfunc diff`, and deploy what it is to be",
            )
    script = kinds.get(INIT_SCRIPT)
    environment = None
    literals = deployed_literals(root, target.name, remote.identity)
    if (were := kinds.get("environment")) is not None:
        environment = _environment(
            were, seen.runtime.own_environment(), secret_values(supplied), literals, remote.fingerprint
        )
    runtime = WantedRuntime(
        dependencies=kinds.get("dependencies"),
        environment=environment,
        initialization_script=None if script is None else Script("init script", script.get(INIT_SCRIPT, "")),
        literals=frozenset(
            name for name, value in (environment or {}).items() if value in map(Secret, literals.get(name, ()))
        ),
    )
    return Former(Project(root, target, runtime, functions), tuple(notes), literals)


def _functions(
    record: JournalRecord, seen: Snapshot, remote: Remote, cache: VersionCache
) -> tuple[tuple[WantedFunction, ...], list[str]]:
    now = {one.type: one for one in seen.functions}
    found, notes = [], []
    for name in sorted(record.attempted):
        before = record.before.functions.get(name)
        function = now.get(name)
        if function is None:
            continue  # it was never created
        number = function.current_version_number
        if not before or not before[0]:
            notes.append(f"{name} was new: the API cannot remove it, so it stays as it is, at v{number}")
            continue
        left = record.versions.get(name)
        # A deploy that was killed in the middle of a write does not know what it left: its own script tells.
        if number not in {before[0], left or before[0] + 1, *record.later.get(name, ())}:
            raise NothingToUndo(
                f"someone has deployed v{number} of {name} since: that deploy left v{left or before[0]}",
                hint=f"`ckfunc rollback {name} --to {before[0]}` takes back this function alone",
            )
        old = version_of(remote, function, before[0], cache)
        found.append(
            WantedFunction(name, Script(f"the script of v{before[0]}", old.handler_script), display_name(name))
        )
    return tuple(found), notes


def _environment(
    were: Mapping[str, str],
    now: Mapping[str, Secret],
    supplied: Mapping[str, Secret],
    literals: Literals,
    name_of: Callable[[Secret], str],
) -> dict[str, Secret]:
    values: dict[str, Secret] = {}
    missing: list[str] = []
    wrong: list[str] = []
    for name, fingerprint in were.items():
        if name in now and name_of(now[name]) == fingerprint:
            values[name] = now[name]
        elif (
            literal := next((one for one in map(Secret, literals.get(name, ())) if name_of(one) == fingerprint), None)
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
            "; ".join(_complaints(missing, wrong)),
            hint="put what they were, as NAME=value, into a file for --env-file; or pass --keep-environment",
        )
    return values


def _complaints(missing: list[str], wrong: list[str]) -> Iterator[str]:
    if missing:
        names = ", ".join(sorted(missing))
        yield f"no journal holds values, so those of {names} from before that deploy must be supplied"
    if wrong:
        yield f"what was supplied for {', '.join(sorted(wrong))} is not what was there before that deploy"
