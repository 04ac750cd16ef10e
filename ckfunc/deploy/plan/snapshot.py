"""Read an application with as few requests as possible.

A snapshot takes two requests, one more with the settings, and one for each version that is not in the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from ckfunc.base.errors import AmbiguousFunction, WrongApplication
from ckfunc.base.workers import AT_ONCE, each
from ckfunc.deploy.cache import VersionCache
from ckfunc.deploy.resources import SETTINGS, Part, Remote, Snapshot
from ckfunc.model.application import Application, ApplicationSettings, Function, FunctionVersion, Runtime
from ckfunc.model.project import Target


def overview(remote: Remote, kinds: Collection[str] = ()) -> Snapshot:
    """Read the runtime and the list of functions, and the settings if they are in `kinds`, concurrently."""
    runtimes: list[Runtime] = []
    functions: list[Function] = []
    settings: list[ApplicationSettings] = []
    reads: list[Callable[[], None]] = [
        lambda: runtimes.append(remote.runtime()),
        lambda: functions.extend(remote.functions()),
    ]
    if SETTINGS in kinds:
        reads.append(lambda: settings.append(remote.settings()))
    for _ in each(reads, lambda read: read()):
        pass
    return Snapshot(
        runtimes[0],
        tuple(sorted(functions, key=lambda function: (function.type, function.id))),
        settings=settings[0] if settings else None,
    )


def read_part(remote: Remote, section: str) -> Part:
    """Read the part of the application that has the values of a section of the manifest, other than functions."""
    return remote.settings() if section == SETTINGS else remote.runtime()


def snapshot_of(part: Part) -> Snapshot:
    """Return a snapshot that only has the values of `part`."""
    if isinstance(part, ApplicationSettings):
        return Snapshot(Runtime(0, ""), (), settings=part)
    return Snapshot(part, ())


def with_versions(
    snapshot: Snapshot, types: Collection[str], remote: Remote, cache: VersionCache, *, at_once: int = AT_ONCE
) -> Snapshot:
    """Return the snapshot with the deployed versions of the functions of `types`, from the cache or the API.

    If someone has deployed in between, the newer version is used. Raises AmbiguousFunction if a type has several
    functions.
    """
    requested = set(types)
    selected = [function for function in snapshot.functions if function.type in requested]
    _require_unique_types(selected)
    identity = remote.identity
    versions: dict[str, FunctionVersion] = {}
    not_cached: list[Function] = []
    for function in selected:
        if not function.current_version_number:
            continue
        cached = cache.version(identity, function.id, function.current_version_number)
        if cached is None:
            not_cached.append(function)
        else:
            versions[function.type] = cached

    def read(function: Function) -> tuple[Function, FunctionVersion]:
        version = remote.current_version(function.id)
        cache.store_version(identity, function.id, version)
        return function, version

    for function, version in each(not_cached, read, at_once=at_once):
        versions[function.type] = version
    functions = tuple(
        replace(function, current_version_number=versions[function.type].version_number)
        if function.type in versions
        else function
        for function in snapshot.functions
    )
    return replace(snapshot, functions=functions, versions=versions)


def application_key(remote: Remote, cache: VersionCache) -> str:
    """Return the key of the application, from the cache or the API."""
    key = cache.application_key(remote.identity)
    if key is None:
        key = remote.application().key
        cache.store_application_key(remote.identity, key)
    return key


def _require_unique_types(functions: Collection[Function]) -> None:
    ids: dict[str, list[int]] = {}
    for function in functions:
        ids.setdefault(function.type, []).append(function.id)
    for trigger_type, duplicates in sorted(ids.items()):
        if len(duplicates) > 1:
            raise AmbiguousFunction(trigger_type, duplicates)


def require_application(target: Target, actual: str) -> None:
    """Refuse an application other than the target's. `actual` is an id or a key, like the target's `application`.

    Raises WrongApplication.
    """
    want = target.application
    if want is None:
        return
    same = int(want) == int(actual) if want.isdecimal() and actual.isdecimal() else want.casefold() == actual.casefold()
    if not same:
        raise WrongApplication(target.name, want, actual)


def require_login(target: Target, application: Application) -> None:
    """Refuse a login for an application other than the target's. Raises WrongApplication."""
    by_id = target.application is None or target.application.isdecimal()
    require_application(target, str(application.id) if by_id else application.key)


def guard(target: Target, snapshot: Snapshot, client: Remote, cache: VersionCache) -> None:
    """Refuse credentials for an application other than the target's. Raises WrongApplication."""
    want = target.application
    if want is None:
        return
    if not want.isdecimal():
        actual = application_key(client, cache)
    elif snapshot.runtime.application_id is not None:
        actual = str(snapshot.runtime.application_id)
    else:
        actual = str(client.application().id)
    require_application(target, actual)
