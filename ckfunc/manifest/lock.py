"""The file functions.lock, and its differences from functions.yaml."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from ckfunc.base.documents import InvalidJson, read_document
from ckfunc.base.errors import Problem
from ckfunc.manifest.definition import MANIFEST_NAME
from ckfunc.manifest.sources import Complaint, read_text, without_bom
from ckfunc.manifest.tree import refused
from ckfunc.manifest.validation import Branch
from ckfunc.model.lock import LOCK_NAME, PLATFORM_RANGES, InvalidLock, PackageLock

_CONFLICT = "<<<<<<<"
_LOCK = "run `ckfunc lock`"
_RESTORE = "restore it from git, or replace it with `ckfunc lock --upgrade`"


def read_lock(root: Path) -> PackageLock | None:
    """Return the lock of a project, or None if it has no functions.lock. Raises InvalidManifest."""
    path = root / LOCK_NAME
    if not path.is_symlink() and not path.exists():
        return None
    text = read_text(path, LOCK_NAME)
    if isinstance(text, Complaint):
        raise refused(Problem(LOCK_NAME, text.line, text.column, text.message, _RESTORE))
    try:
        return PackageLock.of(read_document(without_bom(text)))
    except InvalidJson as error:
        if _CONFLICT in text:
            hint = f"take one side (`git checkout --ours {LOCK_NAME}`) and {_LOCK}"
            raise refused(Problem(LOCK_NAME, 0, 0, "the file has merge conflicts", hint)) from None
        raise refused(Problem(LOCK_NAME, error.line, error.column, "the file is not JSON", _RESTORE)) from None
    except InvalidLock as error:
        raise refused(Problem(LOCK_NAME, 0, 0, f"the file {error}", _RESTORE)) from None
    except ValueError:
        raise refused(Problem(LOCK_NAME, 0, 0, "the file is not a lock", _RESTORE)) from None


def lock_text(lock: PackageLock) -> str:
    """Return the content of functions.lock."""
    return json.dumps(lock.to_json(), indent=2, ensure_ascii=False) + "\n"


def drift(manifest: Branch, dependencies: Mapping[str, str] | None, lock: PackageLock) -> Iterator[Problem]:
    """Yield a problem for each dependency of the manifest that the lock was not made for, and the reverse."""
    runtime = manifest.branch("runtime")
    section = runtime.branch("dependencies") if runtime else None
    keys = section.keys if section else {}
    heading = (runtime.keys.get("dependencies") if runtime else None) or manifest.node
    if dependencies is None:
        hint = f"add `dependencies` under `runtime`, or remove {LOCK_NAME}"
        message = f"the project has a {LOCK_NAME}, but {MANIFEST_NAME} does not manage its packages"
        yield Problem(MANIFEST_NAME, heading.line, heading.column, message, hint)
        return
    for name, version in dependencies.items():
        locked, place = lock.dependencies.get(name), keys.get(name, heading)
        if locked != version:
            message = f"{name} {version} is not in {LOCK_NAME}" + (f", which has {locked}" if locked else "")
            yield Problem(MANIFEST_NAME, place.line, place.column, message, _LOCK)
    for name in sorted(lock.dependencies.keys() - dependencies.keys() - PLATFORM_RANGES.keys()):
        message = f"{LOCK_NAME} has {name}, which is not a dependency any more"
        yield Problem(MANIFEST_NAME, heading.line, heading.column, message, _LOCK)
    for name, version in PLATFORM_RANGES.items():
        if lock.dependencies.get(name) != version:
            yield Problem(LOCK_NAME, 0, 0, f"it has no {name} {version}, which the platform installs", _LOCK)
