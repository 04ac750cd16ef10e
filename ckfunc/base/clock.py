"""Clocks and timestamps.

A clock is passed in wherever time matters, so that tests need not wait.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, tzinfo
from typing import Protocol


class Clock(Protocol):
    """Time, and waiting."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""

    def monotonic_s(self) -> float:
        """Return seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait; a keyboard interrupt ends the wait."""


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; a keyboard interrupt ends the wait."""
        time.sleep(seconds)


def ago(moment: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Return the time from `moment` to `now` as text, with the time of `moment` in `zone` (None: the machine's own).

    Such as "12 minutes ago (05:23)", or "3 days ago (2026-11-24 05:23)" when it was on another day.
    """
    seconds = max((now - moment).total_seconds(), 0.0)
    there, here = moment.astimezone(zone), now.astimezone(zone)
    at = f"{there:%H:%M}" if there.date() == here.date() else f"{there:%Y-%m-%d %H:%M}"
    for unit, size_s in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if count := int(seconds // size_s):
            return f"{count} {unit}{'' if count == 1 else 's'} ago ({at})"
    return f"just now ({at})"


def timestamp(moment: datetime) -> str:
    """Return `moment` as the Platform API writes times: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Read a time as the Platform API writes it: ISO 8601 with 0 to 9 fractional digits, `Z` or an offset.

    Raises ValueError for anything else. A time without an offset is taken as UTC.
    """
    head, dot, tail = text.strip().partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        head, tail = f"{head}.{tail[:digits][:6].ljust(6, '0')}", tail[digits:]
    moment = datetime.fromisoformat(head + tail)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
