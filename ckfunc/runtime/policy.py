"""The project's say in an install: its .npmrc, and the packages whose install scripts may run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from ckfunc.model.application import DEFAULT_PACKAGES

_PLATFORM = {one.name: one.version for one in DEFAULT_PACKAGES}


@dataclass(frozen=True, slots=True)
class InstallPolicy:
    """What a project decides about installs.

    `project` is the directory whose .npmrc counts. `allow_scripts` are package names, or NAME@VERSION, whose install
    scripts may run, as long as every package to install is one of `dependencies`, which are the manifest's: what came
    through the API runs no script.
    """

    project: Path | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    allow_scripts: tuple[str, ...] = ()

    def scripts_for(self, wanted: Mapping[str, str]) -> tuple[str, ...]:
        """Return the entries of `allow_scripts` that count for these packages."""
        declared = {**_PLATFORM, **self.dependencies}
        known = all(declared.get(name) == version for name, version in wanted.items())
        return tuple(sorted(set(self.allow_scripts))) if known else ()


NO_POLICY = InstallPolicy()

Policy: TypeAlias = Callable[[], InstallPolicy]
"""Returns the policy that holds now: the manifest of a project may change while an emulator runs. Never raises."""


def no_policy() -> InstallPolicy:
    """Return the policy of an emulator without a project."""
    return NO_POLICY
