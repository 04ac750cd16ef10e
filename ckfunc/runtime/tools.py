"""Pinned npm tools and type declarations that ckfunc installs for itself.

A tool runs only with the contents that are recorded here. Notes of where tools are installed save starting Node.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from ckfunc.base.files import read_file, write_atomically
from ckfunc.runtime.cache import hold
from ckfunc.runtime.contents import is_complete
from ckfunc.runtime.install import install
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
    """Return a directory whose node_modules holds these packages, in exact versions; installs if need be.

    A project's .npmrc may name any registry: a package whose integrity is not the recorded one is refused. Raises what
    `install` raises.
    """
    return install(dependencies, cache, on_progress, policy=policy, integrity=_recorded())


def make_runnable(program: Path) -> Path:
    """Return a program with its permission to run put back, should a copy of the cache have lost it."""
    if not os.access(program, os.X_OK):
        with contextlib.suppress(OSError):
            program.chmod(0o755)
    return program


@lru_cache
def _recorded() -> Mapping[str, str]:
    """Return the integrity of each package, by NAME@VERSION, as in `npm view NAME@VERSION dist.integrity`."""
    found: dict[str, str] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return found


def noted(note: Path) -> Path | None:
    """Return the file that a note names; None without a note, or when its installation is incomplete."""
    with contextlib.suppress(OSError, ValueError):
        known = Path(read_file(note).decode("utf-8"))
        home = next((one.parent for one in known.parents if one.name == "node_modules"), known)
        if known.is_file() and is_complete(home):
            hold(home)
            return known
    return None


def found_once(note: Path, find: Callable[[], Path]) -> Path:
    """Return the file that a note names, or what `find` finds, and note that. Raises what `find` raises."""
    if (known := noted(note)) is not None:
        return known
    found = find()
    with contextlib.suppress(OSError):
        write_atomically(note, str(found))
    return found


def node_types(
    cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> Path:
    """Return the directory of the package, installed if need be. Raises DependenciesFailed and NodeMissing."""

    def installed() -> Path:
        return install({PACKAGE: NODE_TYPES}, cache, on_progress, policy=policy) / "node_modules" / PACKAGE / _INDEX

    return found_once(_note(cache), installed).parent


def known_node_types(cache: Path) -> Path | None:
    """Return the directory of the package if it is installed."""
    index = noted(_note(cache))
    return None if index is None else index.parent


def own_node_types(root: Path) -> Path | None:
    """Return the directory of the package that imports in the directory `root` find, None without any."""
    for directory in (root, *root.parents):
        with contextlib.suppress(
            OSError
        ):  # a name that is too long for the system, a directory that may not be entered
            if (directory / "node_modules" / PACKAGE / _INDEX).is_file():
                return directory / "node_modules" / PACKAGE
    return None


def _note(cache: Path) -> Path:
    return cache / f"node-types-{NODE_TYPES}"
