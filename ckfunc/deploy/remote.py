"""The deployed application: its API, and a snapshot of it.

The API is a protocol, so that `diff` and `plan` do not import HTTP code, even indirectly.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ckfunc.base.secrets import Secret

if TYPE_CHECKING:
    # Only for annotations: building these classes is most of what the --help of a deploying command costs.
    from ckfunc.model.application import Application, ApplicationSettings, Runtime
    from ckfunc.model.function import Function, FunctionVersion, NewFunction

Part: TypeAlias = "Runtime | ApplicationSettings"
"""A part of an application that a write replaces and returns."""


class Remote(Protocol):
    """An application, accessed through the Platform API. Thread-safe; every method may raise ApiFailure."""

    @property
    def identity(self) -> str | None:
        """Return a name of the application's store, for caches; None until the runtime was read."""

    def fingerprint(self, text: Secret, /) -> str:
        """Return a fingerprint of a secret, equal for equal secrets, that is safe to store in a file."""

    def application(self) -> Application:
        """Read the application that the credentials belong to."""

    def settings(self) -> ApplicationSettings:
        """Read the application's settings."""

    def update_settings(self, settings: ApplicationSettings, /) -> ApplicationSettings:
        """Replace the application's settings."""

    def runtime(self) -> Runtime:
        """Read the runtime."""

    def functions(self) -> tuple[Function, ...]:
        """Read every function."""

    def current_version(self, function_id: int, /) -> FunctionVersion:
        """Read the deployed version."""

    def versions(self, function_id: int, /) -> Iterator[FunctionVersion]:
        """Read the versions of a function, newest first."""

    def update_dependencies(self, dependencies: Mapping[str, str], /) -> Runtime:
        """Replace all packages except those of the platform."""

    def update_environment(self, environment: Mapping[str, Secret], /) -> Runtime:
        """Replace all variables except those of the platform."""

    def update_initialization_script(self, script: str, /) -> Runtime:
        """Replace the init script."""

    def create_function(self, function: NewFunction, /) -> Function:
        """Create a function without a version."""

    def create_version(self, function_id: int, script: str, /) -> FunctionVersion:
        """Create a version, which deploys it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of an application when it was read.

    `functions` is sorted by type. `versions` maps trigger types to deployed versions, for the functions that were
    requested and have one. `settings` are None if they were not requested.
    """

    runtime: Runtime
    functions: tuple[Function, ...]
    versions: Mapping[str, FunctionVersion] = field(default_factory=dict)
    settings: ApplicationSettings | None = None
