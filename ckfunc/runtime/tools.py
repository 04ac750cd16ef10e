"""Programs that ckfunc fetches from npm and runs itself: only with the contents that are recorded here."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from ckfunc.runtime.install import install
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy

_TABLE = Path(__file__).with_name("tools.json")


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
    """Return the integrity of each package, by NAME@VERSION, as `npm view NAME@VERSION dist.integrity` tells it."""
    found: dict[str, str] = json.loads(_TABLE.read_text(encoding="utf-8"))
    return found
