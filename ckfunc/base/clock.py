"""Clocks and timestamps.

Code that depends on the time takes a clock as a parameter, so that tests do not have to wait.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, tzinfo
from typing import Protocol

from ckfunc.base.text import counted

_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d|w)"
_DURATION = re.compile(rf"(?:{_PART}\s*)+", re.ASCII)


class Clock(Protocol):
    """The current time, and a way to wait."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC, in whole milliseconds like the timestamps of the Platform API."""

    def monotonic_s(self) -> float:
        """Return seconds that never go backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait; a keyboard interrupt ends the wait."""


class SystemClock:
    """The clock of the operating system."""

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        now = datetime.now(UTC)
        # Stored times have milliseconds: what is stored from now on must not seem to be earlier than now.
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def monotonic_s(self) -> float:
        """Return seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; a keyboard interrupt ends the wait."""
        time.sleep(seconds)


def duration_s(text: str) -> float | None:
    """Return the seconds of a duration such as `10m`, `2h` or `1h30m`, or None for any other text."""
    value = text.strip().lower()
    if not _DURATION.fullmatch(value):
        return None
    return sum(float(count) * _UNITS_S[unit] for count, unit in re.findall(_PART, value))


def elapsed_text(milliseconds: float) -> str:
    """Return how long something took: "0.4 ms", "12 ms" or "1.5 s"."""
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def ago(moment: datetime, now: datetime, zone: tzinfo | None = None) -> str:
    """Return the time from `moment` to `now` as text, with the time of `moment` in `zone` (None: the local time zone).

    Examples: "12 minutes ago (05:23)"; for another day, "3 days ago (2026-11-24 05:23)".
    """
    seconds = max((now - moment).total_seconds(), 0.0)
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    at = f"{local:%H:%M}" if local.date() == today else f"{local:%Y-%m-%d %H:%M}"
    for unit, size_s in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if count := int(seconds // size_s):
            return f"{counted(count, unit)} ago ({at})"
    return f"just now ({at})"


def timestamp(moment: datetime) -> str:
    """Return `moment` in the format of the Platform API: UTC, milliseconds, `Z`."""
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_timestamp(text: str) -> datetime:
    """Parse a time of the Platform API: ISO 8601 with 0 to 9 fractional digits, `Z` or an offset.

    A time without an offset is in UTC. Raises ValueError for anything else.
    """
    head, dot, tail = text.strip().partition(".")
    if dot:
        digits = len(tail) - len(tail.lstrip("0123456789"))
        head, tail = f"{head}.{tail[:digits][:6].ljust(6, '0')}", tail[digits:]
    moment = datetime.fromisoformat(head + tail)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
