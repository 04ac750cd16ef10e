"""Cached facts about an application: versions, its key, deployed literals.

Versions never change, so each is read only once. Files are `.ckfunc/cache/versions/<digest of the application's
identity>/<function id>-<version number>.ts`: a comment line with the version's id and a digest, then the script exactly
as the platform returned it. A file that does not match its digest is ignored. These files never contain environment
values.

A literal in functions.yaml is visible to everyone who can read the project, so a plan shows it. An application's
current value is shown only if this project deployed it as a literal. Those values are recorded in
`.ckfunc/literals/<target>.json`, for one application per target. Values that came from variables are never recorded.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.text import digest
from ckfunc.deploy.resources import Literals
from ckfunc.model.application import FunctionVersion

T = TypeVar("T")

_MARK = "// ckfunc-version"
_KEY_FILE = "application-key"

MOST_VERSIONS = 500
"""How many versions of an application are cached; then the oldest are removed."""
MOST_APPLICATIONS = 20
"""How many applications are cached; each reset of an emulator makes another."""

MOST_LITERALS = 20
"""How many values are recorded for each variable; the oldest are dropped."""


class VersionCache:
    """Cache of immutable facts about applications, below a project. Read and write failures are never errors.

    `identity` is the API client's name for the application's store. With None (unknown), nothing is cached.
    """

    def __init__(self, root: Path) -> None:
        self._cache = root / ".ckfunc" / "cache"

    def version(self, identity: str | None, function_id: int, version_number: int) -> FunctionVersion | None:
        """Return a cached version, or None if it is missing or damaged."""
        if identity is None:
            return None
        text = _read(self._directory(identity) / _name(function_id, version_number))
        head, _, script = (text or "").partition("\n")
        mark, _, rest = head.rpartition(f"{_MARK} ")
        version_id, _, expected = rest.partition(" ")
        if mark or not version_id.isdecimal() or expected != _digest(version_id, script):
            return None
        return FunctionVersion(int(version_id), version_number, script)

    def store_version(self, identity: str | None, function_id: int, version: FunctionVersion) -> None:
        """Store a version."""
        head = f"{_MARK} {version.id} {_digest(str(version.id), version.handler_script)}\n"
        self._store(identity, _name(function_id, version.version_number), head + version.handler_script)

    def application_key(self, identity: str | None) -> str | None:
        """Return the key of the application, or None if it is not cached."""
        text = None if identity is None else _read(self._directory(identity) / _KEY_FILE)
        key, _, expected = (text or "").strip().partition(" ")
        return key if key and expected == digest(key) else None

    def store_application_key(self, identity: str | None, key: str) -> None:
        """Store the key of the application, which is permanent: an id is never reused for another key."""
        self._store(identity, _KEY_FILE, f"{key} {digest(key)}\n")

    def _store(self, identity: str | None, name: str, text: str) -> None:
        if identity is None:
            return
        with contextlib.suppress(OSError):
            ignored = self._cache / ".gitignore"
            if not ignored.exists():
                write_atomically(ignored, "*\n")
            directory = self._directory(identity)
            _make_room(self._cache / "versions", MOST_APPLICATIONS)
            _make_room(directory, MOST_VERSIONS)
            write_atomically(directory / name, text.encode("utf-8", "surrogatepass"))

    def _directory(self, identity: str) -> Path:
        return self._cache / "versions" / _short(identity)


def _make_room(directory: Path, most: int) -> None:
    """Remove the oldest files or directories in `directory`, about a fifth, if there are more than `most`."""
    with contextlib.suppress(OSError):
        paths = list(directory.iterdir())
        if len(paths) > most:
            for path in sorted(paths, key=lambda path: path.stat().st_mtime)[: -most * 4 // 5]:
                remove = shutil.rmtree if path.is_dir() else Path.unlink
                remove(path)


@lru_cache(maxsize=64)
def _short(identity: str) -> str:
    # Half a SHA-256 keeps paths short enough for Windows.
    return digest(identity)[:32]


def _name(function_id: int, version_number: int) -> str:
    return f"{function_id}-{version_number}.ts"


def _digest(version_id: str, script: str) -> str:
    return digest(f"{version_id}\n{script}")


def _read(path: Path) -> str | None:
    try:
        return read_file(path).decode("utf-8", "surrogatepass")
    except (OSError, ValueError):
        return None


def deployed_literals(root: Path, target: str, identity: str | None) -> Literals:
    """Return the literals that were deployed to an application, as far as they are recorded."""

    def read(document: Any) -> Literals:
        return {str(name): tuple(map(str, values)) for name, values in document["values"].items()}

    return read_target_record(_literals(root, target), identity, read) or {}


def store_literals(root: Path, target: str, identity: str | None, values: Mapping[str, str]) -> None:
    """Record literals that an application has now. Write failures are ignored."""
    stored = deployed_literals(root, target, identity)
    updated = {**stored, **{name: _newest_first(value, stored.get(name, ())) for name, value in values.items()}}
    if updated != stored:
        store_target_record(_literals(root, target), identity, {"values": updated})


def _newest_first(value: str, stored: tuple[str, ...]) -> tuple[str, ...]:
    return (value, *(old for old in stored if old != value))[:MOST_LITERALS]


def _literals(root: Path, target: str) -> Path:
    return root / ".ckfunc" / "literals" / f"{target}.json"


def read_target_record(path: Path, identity: str | None, read: Callable[[Any], T]) -> T | None:
    """Return what `read` makes of the record of a target; None if it is missing, damaged or of another application."""
    try:
        document = json.loads(read_file(path))
        return read(document) if identity is not None and document["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def store_target_record(path: Path, identity: str | None, fields: Mapping[str, Any]) -> None:
    """Write the record of a target for `read_target_record`. Write failures are ignored."""
    if identity is not None:
        with contextlib.suppress(OSError):
            write_atomically(path.parent / ".gitignore", "*\n")
            write_atomically(path, json.dumps({"identity": identity, **fields}, indent=1))
