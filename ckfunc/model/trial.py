"""What is tried out in a sandbox, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ckfunc.model.function import Invocation, InvocationDetail
from ckfunc.model.project import Script


@dataclass(frozen=True, slots=True)
class Scripts:
    """Handlers by trigger type, and the runtime that they run in, without the platform's own entries.

    A script's `path` is what stacks call it.
    """

    handlers: Mapping[str, Script]
    dependencies: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    initialization_script: Script | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """A run that has ended. `allowed` is None but for user.attempted.start_session; `reason` says why not."""

    invocation: Invocation
    detail: InvocationDetail
    allowed: bool | None = None
    reason: str | None = None
