"""Applications, their settings, NodeJS runtime, functions and invocations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.base.secrets import Secret

PLATFORM_PREFIX = "CHATKITTY_"
"""Prefix of the platform's own environment variables, which are never compared and never sent."""


@frozen
class Application:
    """The application that a set of credentials belongs to. `key` is a UUID."""

    id: int
    key: str
    created_time: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)


@frozen
class ApplicationSettings:
    """The features that an application enables."""

    guest_users: bool = True
    user_created_channels: bool = True


@frozen
class Dependency:
    """An npm package; `default` marks those that the platform installs itself."""

    name: str
    version: str
    default: bool = False


DEFAULT_PACKAGES = (
    Dependency("axios", "^0.26.1", default=True),
    Dependency("axios-token-interceptor", "^0.2.0", default=True),
    Dependency("chatkitty-platform-sdk", "2.4.0", default=True),
    Dependency("qs", "6.9.4", default=True),
)
"""Packages that the platform installs itself, in versions compatible with the SDK of `context.ChatKitty`."""

PLATFORM_RANGES = {package.name: package.version for package in DEFAULT_PACKAGES}
"""The version ranges of the packages that the platform installs itself, by name."""


@frozen
class Runtime:
    """The runtime as the platform describes it, including the platform's own entries."""

    id: int
    version: str
    dependencies: tuple[Dependency, ...] = ()
    environment: Mapping[str, Secret] = field(default_factory=dict)
    initialization_script: str | None = None
    application_id: int | None = None

    def own_dependencies(self) -> dict[str, str]:
        """Return the packages that are not the platform's own: name to version range."""
        return {package.name: package.version for package in self.dependencies if not package.default}

    def own_environment(self) -> dict[str, Secret]:
        """Return the variables that are not the platform's own."""
        return {name: value for name, value in self.environment.items() if not name.startswith(PLATFORM_PREFIX)}


@frozen
class Function:
    """A chat function. `current_version_number` is 0 until a version is created."""

    id: int
    type: str
    name: str
    enabled: bool
    current_version_number: int
    description: str | None = None


@frozen
class NewFunction:
    """The request to create a function."""

    type: str
    name: str
    description: str | None = None
    initialize_asynchronously: bool = False


@frozen
class FunctionVersion:
    """A deployed version of a function; its script never changes."""

    id: int
    version_number: int
    handler_script: str


class Status(StrEnum):
    """State of a run."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@frozen
class ConsoleLine:
    """A call of `console.LEVEL` by a handler; `text` may contain newlines."""

    level: str
    text: str


@frozen
class Invocation:
    """A run, as the platform lists it. `result` is `{"payload": …}` or `{"error": {name, message, stack}}`."""

    id: int
    version_number: int
    status: Status
    args: Mapping[str, Any]
    result: Mapping[str, Any]
    created_time: datetime


@frozen
class ApiCall:
    """A request that a handler sent to the Platform API.

    `path` is without the host and /v1, encoded as in the request, with its query: "/channels/1/messages?size=5".
    `body` is parsed JSON; None if there is none; the fields of a form, with `{"$file": name, …}` for a file; text for
    other types; `{"$cut": bytes}` if it is too large to store. `status` is 0 until there is a response.
    """

    method: str
    path: str
    body: Any = None
    status: int = 0


@frozen
class InvocationDetail:
    """Details of a run that only the emulator provides. `duration_ms` is None while it runs.

    `calls` are the handler's requests to the Platform API, in order; `calls_omitted` counts those above the limit.
    """

    id: int
    console: tuple[ConsoleLine, ...] = ()
    duration_ms: float | None = None
    calls: tuple[ApiCall, ...] = ()
    calls_omitted: int = 0
