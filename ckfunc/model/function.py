"""Functions, their versions and invocations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

KEPT_INVOCATIONS = 100_000
"""The number of recent invocations that an emulator stores, of all functions together."""


@dataclass(frozen=True, slots=True)
class Function:
    """A chat function. `current_version_number` is 0 until a version is created."""

    id: int
    type: str
    name: str
    enabled: bool
    current_version_number: int
    description: str | None = None


@dataclass(frozen=True, slots=True)
class NewFunction:
    """The request to create a function."""

    type: str
    name: str
    description: str | None = None
    initialize_asynchronously: bool = False


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """One deployed version; its script never changes."""

    id: int
    version_number: int
    handler_script: str


class Status(StrEnum):
    """State of a run."""

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
class ApiCall:
    """A request that a handler sent to the Platform API.

    `path` has neither the host nor /v1, and is encoded as in the request, with query: "/channels/1/messages?size=5".
    `body` is parsed JSON; None without a body; for a form its fields, a file in it being `{"$file": name, …}`; text for
    anything else; and `{"$cut": bytes}` for one that is too large to store. `status` is 0 until there is a response.
    """

    method: str
    path: str
    body: Any = None
    status: int = 0


@dataclass(frozen=True, slots=True)
class InvocationDetail:
    """Details of a run that only the emulator provides. `duration_ms` is None while it runs.

    `calls` are the requests of its handler to the Platform API, in order; `calls_omitted` counts those beyond the limit
    per run.
    """

    id: int
    console: tuple[ConsoleLine, ...] = ()
    duration_ms: float | None = None
    calls: tuple[ApiCall, ...] = ()
    calls_omitted: int = 0
