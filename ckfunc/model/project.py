"""The desired state of a project for one target.

All files of the manifest have been read and all variables resolved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ckfunc.base.errors import Problem
from ckfunc.base.secrets import Secret
from ckfunc.model.lock import PackageLock
from ckfunc.model.watch_policy import WatchPolicy

GATE = r"check|test|replay(?::[1-9][0-9]{0,3})?"
"""Regular expression for a gate of a deploy; `replay:50` contains the number of invocations."""


@dataclass(frozen=True, slots=True)
class Script:
    """A script of the project: the file at `path`, and the `text` to deploy.

    Paths are relative to the project, with forward slashes. A script that imports local files is bundled with them.
    Then `modules` are all files of the bundle, sorted, `written` is the content of the script's own file, and
    `source_map` (JSON, with paths as names of sources) maps `text` back to these files.
    """

    path: str
    text: str
    modules: tuple[str, ...] = ()
    written: str | None = None
    source_map: str | None = None

    @property
    def source(self) -> str:
        """The content of the file at `path`."""
        return self.text if self.written is None else self.written


@dataclass(frozen=True, slots=True)
class WantedFunction:
    """A function in the manifest."""

    type: str
    handler: Script
    name: str
    description: str | None = None
    initialize_asynchronously: bool = False


@dataclass(frozen=True, slots=True)
class WantedRuntime:
    """The runtime in the manifest. None means unmanaged: never compared, never changed.

    `allow_scripts` lists the packages whose install scripts may run on this machine; it is not deployed.
    """

    dependencies: Mapping[str, str] | None = None
    environment: Mapping[str, Secret] | None = None
    initialization_script: Script | None = None
    literals: frozenset[str] = frozenset()
    """Variables of the environment with literal values in functions.yaml: these are public, all others are secret."""
    unknown: frozenset[str] = frozenset()
    """Variables of the environment without a value on this machine: they are neither compared nor deployed."""
    allow_scripts: tuple[str, ...] = ()
    lock: PackageLock | None = None
    """The lock of the dependencies, or None if the project has none."""

    @property
    def exact_dependencies(self) -> Mapping[str, str] | None:
        """The dependencies as they are deployed: in the versions of the lock, if there is one."""
        if self.dependencies is None or self.lock is None:
            return self.dependencies
        return self.lock.resolved(self.dependencies)


@dataclass(frozen=True, slots=True)
class Target:
    """A target of deploys. `application` is the key or id of the application that it is bound to, or None."""

    name: str
    emulator: bool = False
    application: str | None = None
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Hooks:
    """Shell commands that run before a deploy writes anything, and after its end."""

    before_deploy: str | None = None
    after_deploy: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """The desired state of one target. `functions` is None when the section is absent."""

    root: Path
    target: Target
    runtime: WantedRuntime
    functions: tuple[WantedFunction, ...] | None
    warnings: tuple[Problem, ...] = ()
    gates: tuple[str, ...] = ()
    """Checks that must pass before a deploy, in order; each matches GATE."""
    watched: tuple[Path, ...] = ()
    """The absolute paths of all files that the result depends on, existing or not (such as .env files)."""
    hooks: Hooks = Hooks()
    settings: Mapping[str, bool] | None = None
    """The settings of the application that the manifest manages, by the names of ApplicationSettings; None for none."""
    watch: WatchPolicy = field(default_factory=WatchPolicy)
    """How to watch deploys to the target."""

    @property
    def types(self) -> tuple[str, ...]:
        """The trigger types of the functions."""
        return tuple(function.type for function in self.functions or ())
