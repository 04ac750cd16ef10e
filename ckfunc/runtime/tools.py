"""Pinned npm tools and type declarations that ckfunc installs for itself.

A tool only runs if its contents match the recorded integrity. Notes about installed tools avoid starting Node.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from ckfunc.base.files import read_file, write_atomically
from ckfunc.runtime.cache import CacheRefused, hold
from ckfunc.runtime.install import install, is_installed
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy

_TABLE = Path(__file__).with_name("tools.json")

PACKAGE = "@types/node"
NODE_TYPES = "24.19.2"
"""The version of @types/node, for the Node that runs handlers."""
_INDEX = "index.d.ts"


def install_tool(
    dependencies: Mapping[str, str],
    cache: Path,
    on_progress: Callable[[str], None] | None = None,
    policy: InstallPolicy = NO_POLICY,
) -> Path:
    """Return a directory whose node_modules has these packages, in exact versions; installs them if needed.

    A project's .npmrc may use any registry, so packages that do not match the recorded integrity are refused. Raises
    whatever `install` raises.
    """
    return install(dependencies, cache, on_progress, policy=policy, integrity=_recorded())


def make_runnable(program: Path) -> Path:
    """Return a program after making it executable, which a copy of the cache may not be. Raises CacheRefused."""
    if not os.access(program, os.X_OK):
        with contextlib.suppress(OSError):
            program.chmod(0o755)
        if program.exists() and not os.access(program, os.X_OK):
            raise CacheRefused(
                f"the system does not allow running {program}",
                hint="its disk may be mounted with noexec: set CKFUNC_CACHE_DIR to a directory on another disk",
            )
    return program


@lru_cache
def _recorded() -> Mapping[str, str]:
    """Return the integrity of each package, by NAME@VERSION, as in `npm view NAME@VERSION dist.integrity`."""
    table: dict[str, str] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return table


def noted(note: Path) -> Path | None:
    """Return the file that a note refers to, or None without a note or if its installation is incomplete."""
    with contextlib.suppress(OSError, ValueError):
        path = Path(read_file(note).decode("utf-8"))
        home = next((parent.parent for parent in path.parents if parent.name == "node_modules"), path)
        if path.is_file() and is_installed(home):
            hold(home)
            return path
    return None


def found_once(note: Path, find: Callable[[], Path]) -> Path:
    """Return the file that a note refers to, or else the result of `find`, which is then noted.

    Raises whatever `find` raises.
    """
    if (noted_path := noted(note)) is not None:
        return noted_path
    path = find()
    with contextlib.suppress(OSError):
        write_atomically(note, str(path))
    return path


def node_types(
    cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> Path:
    """Return the directory of @types/node, installed if needed. Raises DependenciesFailed and NodeMissing."""

    def installed() -> Path:
        return install({PACKAGE: NODE_TYPES}, cache, on_progress, policy=policy) / "node_modules" / PACKAGE / _INDEX

    return found_once(_note(cache), installed).parent


def known_node_types(cache: Path) -> Path | None:
    """Return the directory of @types/node if it is installed, or None."""
    index = noted(_note(cache))
    return None if index is None else index.parent


def own_node_types(root: Path) -> Path | None:
    """Return the directory of @types/node that imports in `root` resolve to, or None."""
    for directory in (root, *root.parents):
        # A name may be too long for the system, and a directory may not be entered.
        with contextlib.suppress(OSError):
            if (directory / "node_modules" / PACKAGE / _INDEX).is_file():
                return directory / "node_modules" / PACKAGE
    return None


def _note(cache: Path) -> Path:
    return cache / f"node-types-{NODE_TYPES}"
