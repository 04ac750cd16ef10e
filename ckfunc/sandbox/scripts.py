"""Scripts to run, the conditions of a run, and its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ckfunc.base.secrets import Secret
from ckfunc.model.execution import Determinism, Limits
from ckfunc.model.function import Invocation, InvocationDetail
from ckfunc.model.project import Project, Script
from ckfunc.runtime.compiler import CachingCompiler
from ckfunc.runtime.policy import Policy


@dataclass(frozen=True, slots=True)
class Scripts:
    """Handlers by trigger type, and the runtime that they run in, without the platform's own entries.

    Stack traces name a script by its `path`.
    """

    handlers: Mapping[str, Script]
    dependencies: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Secret] = field(default_factory=dict)
    initialization_script: Script | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run. `allowed` is None except for user.attempted.start_session; `reason` explains a refusal."""

    invocation: Invocation
    detail: InvocationDetail
    allowed: bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The parts of a project's setup that sandboxes use.

    `root` is the directory of the project, `policy` its settings for installs of packages. `log` gets a line for
    whatever happens in a sandbox that serves a single run.
    """

    root: Path
    compiler: CachingCompiler
    policy: Policy
    log: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Conditions:
    """The circumstances in which handlers run.

    `determinism` is the clock and the random numbers that runs begin with; without `network`, handlers reach only the
    sandbox. Sandboxes with `renewable` processes can `begin_anew`.
    """

    limits: Limits | None = None
    determinism: Determinism | None = None
    network: bool = True
    renewable: bool = False


def scripts_of(project: Project) -> Scripts:
    """Return the working copy, in the runtime of the project's target."""
    wanted = project.runtime
    return Scripts(
        {one.type: one.handler for one in project.functions or ()},
        wanted.dependencies or {},
        wanted.environment or {},
        wanted.initialization_script,
    )
