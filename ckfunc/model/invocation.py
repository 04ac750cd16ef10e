"""What one run of a function left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Where a run stands."""

    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ConsoleLine:
    """One call of `console.LEVEL` by a handler; `text` may hold newlines."""

    level: str
    text: str


@dataclass(frozen=True, slots=True)
class Invocation:
    """A run as the platform lists it. `result` is `{"payload": …}`, or `{"error": {name, message, stack}}`."""

    id: int
    version_number: int
    status: Status
    args: Mapping[str, Any]
    result: Mapping[str, Any]
    created_time: datetime


@dataclass(frozen=True, slots=True)
class InvocationDetail:
    """What the emulator alone knows of a run. `duration_ms` is None while it runs."""

    id: int
    console: tuple[ConsoleLine, ...] = ()
    duration_ms: float | None = None
