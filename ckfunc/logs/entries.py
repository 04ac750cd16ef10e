"""Entries of a log: invocations and notices; filters, and values of `--since`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from ckfunc.base.clock import duration_s, parse_timestamp
from ckfunc.base.errors import UsageProblem
from ckfunc.base.frozen import frozen
from ckfunc.model.application import Invocation, InvocationDetail, Status

_DAYS = {"today": 0, "yesterday": 1}
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OFFSET = re.compile(r"(?:z|[+-][0-9]{2}:?[0-9]{2})$", re.IGNORECASE)


@frozen
class LogEntry:
    """An invocation of a function. `detail` is only available from an emulator, after the run has ended."""

    type: str
    invocation: Invocation
    detail: InvocationDetail | None = None


@frozen
class Trouble:
    """A request to the platform failed; the next attempt is after `next_try_s`."""

    reason: str
    next_try_s: float


@frozen
class Recovered:
    """The platform answers again, after `tries` failed attempts."""

    tries: int


@frozen
class Gap:
    """Invocations of `type` (None: of all functions) may be missing here; `reason` is a sentence."""

    type: str | None
    reason: str


Item = LogEntry | Trouble | Recovered | Gap


@frozen
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


def parse_filter(
    status: str | None, version: int | None, since: str | None, until: str | None, now: datetime
) -> Filter:
    """Return the filter for texts of the command line; times are relative to `now`. Raises UsageProblem."""
    begin = parse_since(since, now) if since is not None else None
    end = parse_since(until, now, option="--until") if until is not None else None
    if begin is not None and end is not None and end < begin:
        raise UsageProblem("--until is before --since", hint="for example, --since 2h --until 1h")
    return Filter(Status(status.upper()) if status else None, version, begin, end)


def parse_since(text: str, now: datetime, zone: tzinfo | None = None, *, option: str = "--since") -> datetime:
    """Return a time in UTC, from a duration before `now`, `today`, `yesterday`, or an ISO date or time.

    A date means its midnight. A time without an offset is in `zone` (None: the local one). Raises UsageProblem, which
    names the `option`.
    """
    value = text.strip()
    try:
        if (days := _DAYS.get(value.lower())) is not None:
            return _time(f"{now.astimezone(zone).date() - timedelta(days=days)}", zone)
        if (seconds := duration_s(value)) is not None:
            return now.astimezone(UTC) - timedelta(seconds=seconds)
        if _DATED.match(value):
            return _time(value, zone)
    except (ValueError, OverflowError):
        pass
    raise UsageProblem(
        f"invalid {option} value {text!r}", hint="examples: 10m, 2h, 1d, yesterday, 2026-11-27, 2026-11-27T10:00"
    )


def _time(value: str, zone: tzinfo | None) -> datetime:
    moment = parse_timestamp(value)
    if len(value) > 10 and _OFFSET.search(value[10:]):
        return moment
    # parse_timestamp reads a time without an offset as UTC, but users mean local time.
    return moment.replace(tzinfo=zone).astimezone(UTC)
