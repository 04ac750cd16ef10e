"""Entries of a log: invocations, and notices about the connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ckfunc.model.function import Invocation, InvocationDetail, Status


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An invocation of a function. `detail` is only available from an emulator, after the run has ended.

    `again` marks an invocation that was already yielded while it was RUNNING, and has ended since.
    """

    type: str
    invocation: Invocation
    detail: InvocationDetail | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class Trouble:
    """A request to the platform failed; the next attempt is after `next_try_s`."""

    reason: str
    next_try_s: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """The platform answers again, after `tries` failed attempts."""

    tries: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Invocations of `type` (None: of all functions) may be missing here; `reason` is a sentence."""

    type: str | None
    reason: str


Item = LogEntry | Trouble | Recovered | Gap


@dataclass(frozen=True, slots=True)
class Filter:
    """Conditions that select invocations. None does not restrict."""

    status: Status | None = None
    version: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def could_match(self, invocation: Invocation) -> bool:
        """Return whether an invocation matches, or may match after it has ended."""
        return (
            (self.version is None or invocation.version_number == self.version)
            and (self.since is None or invocation.created_time >= self.since)
            and (self.until is None or invocation.created_time <= self.until)
        )

    def matches(self, invocation: Invocation) -> bool:
        """Return whether an invocation matches now."""
        return self.could_match(invocation) and (self.status is None or invocation.status is self.status)


EVERY = Filter()
"""The filter that every invocation matches."""
