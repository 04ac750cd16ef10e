"""What an application is, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Application:
    """The application that a set of credentials belongs to. `key` is a UUID."""

    id: int
    key: str
    created_time: datetime
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """Which features an application allows."""

    guest_users: bool = True
    user_created_channels: bool = True
