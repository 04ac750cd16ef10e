"""Files of a project that can affect the types of its scripts."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.files import read_file
from ckfunc.base.text import digest
from ckfunc.check.subject import SCRIPT_SUFFIXES

_MOST = 20_000
"""How many files are looked at; a project with more is checked anew each time."""
_READ = 1_000
_DECLARATIONS = (".d.ts", ".d.mts", ".d.cts")


@dataclass(frozen=True, slots=True)
class ProjectFiles:
    """Scripts and declarations below a project: a file that comes or goes may change what an import means.

    `digest` covers their names, and which packages are installed; None when there are too many to tell.
    """

    scripts: tuple[str, ...]
    digest: str | None

    @property
    def declarations(self) -> tuple[str, ...]:
        """The project's own `.d.ts` files."""
        return tuple(one for one in self.scripts if one.endswith(_DECLARATIONS))


def listing(root: Path, *, most: int = _MOST) -> ProjectFiles:
    """Look through the project, without hidden directories and `node_modules`, but at no more than `most` files."""
    found: list[str] = []
    complete = True
    for seen, (name, stamp) in enumerate(_walk(str(root), "")):
        if seen >= most:
            complete = False
            break
        found.append(f"{name}{stamp}")
    scripts = sorted(one for one in found if one.endswith(SCRIPT_SUFFIXES))
    whole = json.dumps([sorted(found), _packages(root)])
    return ProjectFiles(tuple(scripts), digest(whole) if complete else None)


def mentions(root: Path, scripts: Sequence[str], packages: Iterable[str]) -> bool:
    """Tell whether any of these scripts names one of these packages, as an import does.

    Says yes without a look when there are too many scripts: then one of them does.
    """
    names = "|".join(re.escape(one) for one in packages)
    if not names or len(scripts) > _READ:
        return bool(names)
    named = re.compile(rf"""["'`](?:{names})["'`/]""")
    return any(named.search(_text(root / one)) for one in scripts)


def _text(path: Path) -> str:
    try:
        return read_file(path).decode("utf-8", "replace")
    except OSError:
        return ""


def _walk(directory: str, prefix: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(directory), key=lambda one: one.name)
    except OSError:
        return
    for entry in entries:
        name = prefix + entry.name
        try:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name != "node_modules":
                    yield from _walk(entry.path, f"{name}/")
            elif entry.name.endswith((*SCRIPT_SUFFIXES, ".json")) and entry.is_file():
                # What a package.json says decides how imports are understood.
                yield name, _stamp(entry) if entry.name == "package.json" else ""
        except OSError:
            continue


def _packages(root: Path) -> list[str]:
    """Return what is known of the packages that imports can find: those beside the project, and above it."""
    found = []
    for directory in (root, *root.parents):
        place = directory / "node_modules"
        for holder in (place, *_scopes(place)):
            try:
                with os.scandir(holder) as entries:
                    found += [f"{holder.name}/{one.name}{_stamp(one)}" for one in entries]
            except OSError:
                continue
    return sorted(found)


def _scopes(place: Path) -> list[Path]:
    try:
        return [one for one in place.iterdir() if one.name.startswith("@")]
    except OSError:
        return []


def _stamp(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return f" -> {Path(entry.path).readlink()}"
    status = entry.stat(follow_symlinks=False)
    return f" {status.st_mtime_ns} {status.st_size}"
