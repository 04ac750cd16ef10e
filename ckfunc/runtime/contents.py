"""Verify that an installation is complete.

This is done right after npm and each time before the installation is used.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARKER = ".ckfunc-installed"
"""The file that lists an installation's files, written last. failures.mjs reads its `skipped`."""

_FORMAT = 2
_MODULES = "node_modules"
_SCRIPTS = ("preinstall", "install", "postinstall")


@dataclass(frozen=True, slots=True)
class Installed:
    """A package of an installation. `path` is relative to the parent of node_modules."""

    name: str
    version: str
    path: str
    has_script: bool


def missing_packages(directory: Path, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages that npm should have installed into `directory`, but did not.

    npm lists the packages that it installed, including dependencies, in node_modules/.package-lock.json.
    """
    listed = _listed(directory)
    names = [f"{_MODULES}/{name}" for name in wanted]
    names += [path for path, entry in listed.items() if not entry.get("link")]
    absent = [path for path in dict.fromkeys(names) if not (directory / path / "package.json").is_file()]
    return tuple(path.rpartition(f"{_MODULES}/")[2] for path in absent)


def altered_packages(directory: Path, integrity: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages of an installation, as NAME@VERSION, whose integrity differs from the given one."""
    listed = {
        f"{path.rpartition(f'{_MODULES}/')[2]}@{entry.get('version')}": entry
        for path, entry in _listed(directory).items()
    }
    return tuple(
        name for name, entry in listed.items() if integrity.get(name, "") not in str(entry.get("integrity")).split()
    )


def packages_of(directory: Path) -> Iterator[Installed]:
    """Yield the packages of an installation."""
    for path, entry in sorted(_listed(directory).items()):
        if entry.get("link"):
            continue
        package = _read(directory / path / "package.json")
        name = path.rpartition(f"{_MODULES}/")[2]
        yield Installed(name, str(package.get("version", "")), path, _has_script(directory / path, package))


def _has_script(directory: Path, package: Mapping[str, Any]) -> bool:
    scripts = package.get("scripts")
    named = [script for script in _SCRIPTS if isinstance(scripts, dict) and scripts.get(script)]
    # Source: npm's node-gyp rule: binding.gyp alone means `install: node-gyp rebuild`.
    built = package.get("gypfile") is not False and (directory / "binding.gyp").is_file()
    return bool(named) or built


def write_marker(directory: Path, skipped: tuple[str, ...]) -> None:
    """Record the files of an installation and the packages whose install scripts were not run. Raises OSError."""
    top = directory / _MODULES
    files = {os.path.relpath(file, directory): size for file, size in _files(top)}
    document = {"format": _FORMAT, "skipped": list(skipped), "files": files}
    (directory / MARKER).write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def is_complete(directory: Path) -> bool:
    """Return whether all files of an installation exist with their original sizes. Takes microseconds per file."""
    files = _read(directory / MARKER).get("files")
    if not isinstance(files, dict):
        return False
    before, lstat = f"{directory}{os.sep}", os.lstat
    try:
        return all(lstat(before + name).st_size == size for name, size in files.items())
    except OSError:
        return False


def skipped_scripts(directory: Path) -> tuple[str, ...]:
    """Return the packages of an installation whose install scripts were not run."""
    found = _read(directory / MARKER).get("skipped")
    return tuple(found) if isinstance(found, list) else ()


def _files(top: Path) -> Iterator[tuple[str, int]]:
    for directory, _, names in os.walk(top):
        for name in names:
            file = os.path.join(directory, name)  # noqa: PTH118 - thousands of them
            yield file, os.lstat(file).st_size


def _listed(directory: Path) -> dict[str, dict[str, Any]]:
    found = _read(directory / _MODULES / ".package-lock.json").get("packages")
    return {path: entry for path, entry in found.items() if isinstance(entry, dict)} if isinstance(found, dict) else {}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
