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
    """Handlers by trigger type, and their runtime without the platform's own entries.

    The `path` of a script is its name in stack traces.
    """

    handlers: Mapping[str, Script]
    dependencies: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, Secret] = field(default_factory=dict)
    initialization_script: Script | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished run. `allowed` is only set for user.attempted.start_session; `reason` explains a refusal."""

    invocation: Invocation
    detail: InvocationDetail
    allowed: bool | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Toolchain:
    """The parts of a project's setup that sandboxes use.

    `root` is the project directory, `policy` its settings for package installs. `log` is called with a line for each
    event in a sandbox for a single run.
    """

    root: Path
    compiler: CachingCompiler
    policy: Policy
    log: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions under which handlers run.

    `determinism` sets the clock and the random numbers of runs. Without `network`, handlers can only reach the sandbox.
    `renewable` is required for `Sandbox.reset_hosts`.
    """

    limits: Limits | None = None
    determinism: Determinism | None = None
    network: bool = True
    renewable: bool = False


def scripts_of(project: Project) -> Scripts:
    """Return the working copy, in the runtime of the project's target."""
    wanted = project.runtime
    return Scripts(
        {function.type: function.handler for function in project.functions or ()},
        wanted.dependencies or {},
        wanted.environment or {},
        wanted.initialization_script,
    )
