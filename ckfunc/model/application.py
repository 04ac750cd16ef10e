"""Applications, their settings and their NodeJS runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ckfunc.base.secrets import Secret


@dataclass(frozen=True, slots=True)
class Application:
    """The application that a set of credentials belongs to. `key` is a UUID."""

    id: int
    key: str
    created_time: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """The features that an application enables."""

    guest_users: bool = True
    user_created_channels: bool = True


PLATFORM_PREFIX = "CHATKITTY_"
"""Prefix of the platform's own environment variables, which are never compared and never sent."""


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
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
