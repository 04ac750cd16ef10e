"""TypeScript's declarations of Node: one version of @types/node, in the cache."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

from ckfunc.runtime.install import install
from ckfunc.runtime.noted import found_once, noted
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy

PACKAGE = "@types/node"
NODE_TYPES = "24.19.2"
"""The version of @types/node, for the Node that runs handlers."""

_INDEX = "index.d.ts"


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
