"""Read an application with as few requests as possible.

A snapshot takes two requests, and one for each version that is not in the cache.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ckfunc.base.errors import AmbiguousFunction, WrongApplication
from ckfunc.base.workers import AT_ONCE, each
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.remote import Remote, Snapshot
from ckfunc.model.application import Runtime
from ckfunc.model.function import Function, FunctionVersion
from ckfunc.model.project import Target


def overview(remote: Remote) -> Snapshot:
    """Read the runtime and the list of functions, side by side."""
    runtimes: list[Runtime] = []
    functions: list[Function] = []

    def read(what: str) -> None:
        if what == "runtime":
            runtimes.append(remote.runtime())
        else:
            functions.extend(remote.functions())

    for _ in each(("runtime", "functions"), read):
        pass
    return Snapshot(runtimes[0], tuple(sorted(functions, key=lambda one: (one.type, one.id))))


def with_versions(
    seen: Snapshot, types: Collection[str], remote: Remote, cache: VersionCache, *, at_once: int = AT_ONCE
) -> Snapshot:
    """Return the snapshot with the deployed versions of the functions of `types`, from the cache or the API.

    When a version newer than the listed one comes back, someone deployed in between: the function is then taken to be
    at that version. Raises AmbiguousFunction when one of the types has several functions.
    """
    wanted = set(types)
    ours = [one for one in seen.functions if one.type in wanted]
    _require_one_each(ours)
    identity = remote.identity
    versions: dict[str, FunctionVersion] = {}
    unread: list[Function] = []
    for function in ours:
        if not function.current_version_number:
            continue
        kept = cache.version(identity, function.id, function.current_version_number)
        if kept is None:
            unread.append(function)
        else:
            versions[function.type] = kept

    def read(function: Function) -> tuple[Function, FunctionVersion]:
        version = remote.current_version(function.id)
        cache.keep_version(identity, function.id, version)
        return function, version

    for function, version in each(unread, read, at_once=at_once):
        versions[function.type] = version
    functions = tuple(
        replace(one, current_version_number=versions[one.type].version_number) if one.type in versions else one
        for one in seen.functions
    )
    return replace(seen, functions=functions, versions=versions)


def application_key(remote: Remote, cache: VersionCache) -> str:
    """Return the key of the application, asked for once and then remembered."""
    key = cache.application_key(remote.identity)
    if key is None:
        key = remote.application().key
        cache.keep_application_key(remote.identity, key)
    return key


def _require_one_each(functions: Collection[Function]) -> None:
    ids: dict[str, list[int]] = {}
    for function in functions:
        ids.setdefault(function.type, []).append(function.id)
    for trigger_type, several in sorted(ids.items()):
        if len(several) > 1:
            raise AmbiguousFunction(trigger_type, several)


def require_application(target: Target, got: str) -> None:
    """Refuse another application than the one that the target is bound to; `got` is an id or a key, as the target's.

    Raises WrongApplication.
    """
    want = target.application
    if want is None:
        return
    same = int(want) == int(got) if want.isdecimal() and got.isdecimal() else want.casefold() == got.casefold()
    if not same:
        raise WrongApplication(target.name, want, got)


def guard(target: Target, seen: Snapshot, client: Remote, cache: VersionCache) -> None:
    """Refuse credentials of another application than the target names. Raises WrongApplication."""
    want = target.application
    if want is None:
        return
    if not want.isdecimal():
        got = application_key(client, cache)
    elif seen.runtime.application_id is not None:
        got = str(seen.runtime.application_id)
    else:
        got = str(client.application().id)
    require_application(target, got)
