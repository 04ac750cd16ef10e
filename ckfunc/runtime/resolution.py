"""Resolve npm packages to a lock."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Collection, Mapping
from pathlib import Path

from ckfunc.base.errors import DependenciesFailed
from ckfunc.model.lock import LOCK_NAME, InvalidLock, PackageLock, manifest_of
from ckfunc.runtime.npm import RESOLVE, UPGRADE, NpmRun, run_npm
from ckfunc.runtime.npm_failures import explained, failure_of
from ckfunc.runtime.policy import InstallPolicy, npm_settings


def resolve(
    dependencies: Mapping[str, str],
    cache: Path,
    policy: InstallPolicy,
    lock: PackageLock | None = None,
    upgrade: Collection[str] = (),
) -> PackageLock:
    """Return a lock of these packages (name to version range), which npm resolves. Nothing is installed.

    Versions of `lock` stay if they fit the ranges, except those of the packages in `upgrade`. Packages for every system
    are included, so that the result does not depend on this one. Raises DependenciesFailed and NodeMissing.
    """
    settings = npm_settings(policy.project)
    with tempfile.TemporaryDirectory(prefix="ckfunc-lock-") as place:
        directory = Path(place)
        (directory / "package.json").write_text(json.dumps(manifest_of(dependencies)), encoding="utf-8")
        file = directory / "package-lock.json"
        if lock is not None:
            file.write_text(json.dumps(lock.to_npm()), encoding="utf-8")
        if lock is None or not upgrade or lock.dependencies != dependencies:
            _require_success(run_npm(RESOLVE, directory, cache, settings, threading.Event()), settings.unset)
        if upgrade:
            command = (*UPGRADE, *sorted(upgrade))
            _require_success(run_npm(command, directory, cache, settings, threading.Event()), settings.unset)
        packages = json.loads(file.read_bytes())["packages"]
    try:
        return PackageLock.of_entries(dict(dependencies), {path: entry for path, entry in packages.items() if path})
    except InvalidLock as error:
        hint = f"{LOCK_NAME} only has packages from a registry: choose another version of the package, or another one"
        raise DependenciesFailed(f"the lock {error}", hint=hint) from None


def _require_success(ran: NpmRun, unset: tuple[str, ...]) -> None:
    if ran.status or ran.hopeless:
        raise explained({"code": ran.hopeless} if ran.hopeless else failure_of(ran.output), unset)
