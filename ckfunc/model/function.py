"""What a chat function is on the platform: a handler of one trigger type, in numbered, immutable versions."""

from __future__ import annotations

from dataclasses import dataclass


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
    """What is sent to create a function."""

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
