"""Entries of a log: invocations, and notices about following itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ckfunc.model.function import Invocation, InvocationDetail, Status


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An invocation of a function. `detail` is known against an emulator alone, once the run has ended.

    `again` marks one that was given before while it was RUNNING, and has ended since.
    """

    type: str
    invocation: Invocation
    detail: InvocationDetail | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """The platform could not be asked; the next try comes after `next_try_s`."""

    reason: str
    next_try_s: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """The platform answers again, after `tries` rounds that failed."""

    tries: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Invocations of `type` (of every function when None) may be missing here; `reason` is a sentence."""

    type: str | None
    reason: str


Item = LogEntry | Trouble | Recovered | Gap


@dataclass(frozen=True, slots=True)
class Filter:
    """Which invocations are wanted; None does not restrict."""

    status: Status | None = None
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def could_match(self, invocation: Invocation) -> bool:
        """Tell whether an invocation is wanted now, or may be once it has ended."""
        return (
            (self.version is None or invocation.version_number == self.version)
            and (self.since is None or invocation.created_time >= self.since)
            and (self.until is None or invocation.created_time <= self.until)
        )

    def matches(self, invocation: Invocation) -> bool:
        """Tell whether an invocation is wanted as it is now."""
        return self.could_match(invocation) and (self.status is None or invocation.status is self.status)
