"""The application that is deployed to: its API, and a snapshot of it.

The API is a protocol, so that `diff` and `plan` stay free of HTTP, directly and through their imports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ckfunc.base.secrets import Secret
from ckfunc.model.application import Application, Runtime
from ckfunc.model.function import Function, FunctionVersion, NewFunction


class Remote(Protocol):
    """An application, reached over the Platform API. Thread-safe; every method may raise ApiFailure."""

    @property
    def identity(self) -> str | None:
        """Name the application's store for caches; None until the runtime was read."""

    def fingerprint(self, text: Secret, /) -> str:
        """Name a secret text, so that equal ones can be told, by something that may be kept in a file."""

    def application(self) -> Application:
        """Read the application that the credentials belong to."""

    def runtime(self) -> Runtime:
        """Read the runtime."""

    def functions(self) -> tuple[Function, ...]:
        """Read every function."""

    def current_version(self, function_id: int, /) -> FunctionVersion:
        """Read the version that is deployed now."""

    def versions(self, function_id: int, /) -> Iterator[FunctionVersion]:
        """Read the versions of a function, the newest first."""

    def update_dependencies(self, dependencies: Mapping[str, str], /) -> Runtime:
        """Replace the packages that are not the platform's own."""

    def update_environment(self, environment: Mapping[str, Secret], /) -> Runtime:
        """Replace the variables that are not the platform's own."""

    def update_initialization_script(self, script: str, /) -> Runtime:
        """Replace the init script."""

    def create_function(self, function: NewFunction, /) -> Function:
        """Create a function; it has no version yet."""

    def create_version(self, function_id: int, script: str, /) -> FunctionVersion:
        """Create a version, which deploys it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An application as it was read.

    `functions` is sorted by type. `versions` maps trigger types to the deployed version, for the functions that were
    asked for and have one.
    """

    runtime: Runtime = field(repr=False)
    functions: tuple[Function, ...]
    versions: Mapping[str, FunctionVersion] = field(default_factory=dict, repr=False)
