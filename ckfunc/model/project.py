"""The desired state of a project for one target.

All files of the manifest have been read and all variables resolved. The texts of functions.yaml and of the command
line for a watched deploy have the same syntax: "10m", "2%", "20".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import field, replace
from fractions import Fraction
from pathlib import Path

from ckfunc.base.clock import duration_s
from ckfunc.base.errors import Problem, UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret
from ckfunc.model.lock import PackageLock

GATE = r"check|test|replay(?::[1-9][0-9]{0,3})?"
"""Regular expression for a gate of a deploy; `replay:50` contains the number of invocations."""
WATCH_FOR = r"(?:[1-9][0-9]{0,4}[smh])+"
"""Regular expression for a duration such as `90s`, `10m` or `1h30m`."""
MAX_FAILURES = r"(?:100|[0-9]{1,2}(?:\.[0-9]{1,3})?)%"
"""Regular expression for a percentage such as `2%` or `0.5%`."""
MOST_MIN_RUNS = 1_000_000
NO_WATCH = "none"
"""The duration in place of which a deploy is not watched."""


@frozen
class WatchPolicy:
    """How long to watch a deploy (0: not at all), and when to revert it.

    `max_failures` is the share of runs, from 0 to 1, that may fail in addition to the earlier failure rate. A function
    is judged once `min_runs` runs of its new version have ended.
    """

    watch_for_s: float = 0.0
    max_failures: Fraction = Fraction(2, 100)
    min_runs: int = 20

    def with_texts(self, watch_for: str | None, max_failures: str | None, min_runs: int | None) -> WatchPolicy:
        """Return the policy with other values, in texts that match WATCH_FOR and MAX_FAILURES; None changes nothing."""
        return WatchPolicy(
            self.watch_for_s if watch_for is None else duration_s(watch_for) or 0.0,
            self.max_failures if max_failures is None else Fraction(max_failures.removesuffix("%")) / 100,
            self.min_runs if min_runs is None else min_runs,
        )

    def of_options(self, watch_for: str | None, max_failures: str | None, min_runs: int | None) -> WatchPolicy | None:
        """Return the policy for the options of a deploy, None to watch nothing; `self` has the other values.

        Raises UsageProblem.
        """
        if watch_for == NO_WATCH:
            policy = replace(self, watch_for_s=0.0).with_texts(None, max_failures, min_runs)
        else:
            policy = self.with_texts(watch_for, max_failures, min_runs)
        if not policy.watch_for_s and (max_failures is not None or min_runs is not None):
            option = "--max-failures" if max_failures is not None else "--min-runs"
            raise UsageProblem(f"{option} needs --watch-for", hint="for example, `ckfunc deploy --watch-for 10m`")
        return policy if policy.watch_for_s else None


@frozen
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


@frozen
class ManifestFunction:
    """A function in the manifest."""

    type: str
    handler: Script
    name: str
    description: str | None = None
    initialize_asynchronously: bool = False


@frozen
class ManifestRuntime:
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


ANY_PROJECT = "any project"
"""The name of the target of a login outside of a project."""


@frozen
class Target:
    """A target of deploys. `application` is the key or id of the application that it is bound to, or None."""

    name: str
    emulator: bool = False
    application: str | None = None
    protected: bool = False


@frozen
class Hooks:
    """Shell commands that run before a deploy writes anything, and after its end."""

    before_deploy: str | None = None
    after_deploy: str | None = None


@frozen
class Project:
    """The desired state of one target. `functions` is None when the section is absent."""

    root: Path
    target: Target
    runtime: ManifestRuntime
    functions: tuple[ManifestFunction, ...] | None
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


def percent(share: Fraction) -> str:
    """Return a share of 1 as a percentage, with at most three decimals."""
    return f"{round(float(share * 100), 3):g}%"


def duration_text(seconds: float) -> str:
    """Return a duration in the syntax of WATCH_FOR, rounded up to seconds: "1h30m"; "0s" for none."""
    left = max(math.ceil(seconds), 0)
    parts = ((left // 3600, "h"), (left % 3600 // 60, "m"), (left % 60, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"
