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
"""Lists an installation's files. It is written last; failures.mjs reads `skipped` of it."""

_FORMAT = 2
_PLACE = "node_modules"
_SCRIPTS = ("preinstall", "install", "postinstall")


@dataclass(frozen=True, slots=True)
class Installed:
    """A package of an installation; `path` is relative to node_modules' parent."""

    name: str
    version: str
    path: str
    has_script: bool


def missing_packages(directory: Path, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages that npm should have installed into `directory` and did not.

    npm lists what it has installed, dependencies included, in node_modules/.package-lock.json.
    """
    listed = _listed(directory)
    names = [f"{_PLACE}/{name}" for name in wanted]
    names += [path for path, entry in listed.items() if not entry.get("link")]
    absent = [one for one in dict.fromkeys(names) if not (directory / one / "package.json").is_file()]
    return tuple(one.rpartition(f"{_PLACE}/")[2] for one in absent)


def altered_packages(directory: Path, integrity: Mapping[str, str]) -> tuple[str, ...]:
    """Return the packages of an installation, as NAME@VERSION, whose integrity is not the given one."""
    listed = {
        f"{path.rpartition(f'{_PLACE}/')[2]}@{one.get('version')}": one for path, one in _listed(directory).items()
    }
    return tuple(
        name for name, one in listed.items() if integrity.get(name, "") not in str(one.get("integrity")).split()
    )


def packages_of(directory: Path) -> Iterator[Installed]:
    """Yield the packages of an installation."""
    for path, entry in sorted(_listed(directory).items()):
        if entry.get("link"):
            continue
        package = _read(directory / path / "package.json")
        name = path.rpartition(f"{_PLACE}/")[2]
        yield Installed(name, str(package.get("version", "")), path, _has_script(directory / path, package))


def _has_script(directory: Path, package: Mapping[str, Any]) -> bool:
    scripts = package.get("scripts")
    named = [one for one in _SCRIPTS if isinstance(scripts, dict) and scripts.get(one)]
    # Source: npm's node-gyp rule: binding.gyp alone means `install: node-gyp rebuild`.
    built = package.get("gypfile") is not False and (directory / "binding.gyp").is_file()
    return bool(named) or built


def write_marker(directory: Path, skipped: tuple[str, ...]) -> None:
    """Record the files of an installation and the packages whose install scripts were not run. Raises OSError."""
    top = directory / _PLACE
    files = {os.path.relpath(file, directory): size for file, size in _files(top)}
    document = {"format": _FORMAT, "skipped": list(skipped), "files": files}
    (directory / MARKER).write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")


def is_complete(directory: Path) -> bool:
    """Return whether every file of an installation is there with the size that it had: a few microseconds a file."""
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
    found = _read(directory / _PLACE / ".package-lock.json").get("packages")
    return {path: one for path, one in found.items() if isinstance(one, dict)} if isinstance(found, dict) else {}


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
