"""Values of `--since` and `--until`: a duration before now, or a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from ckfunc.base.clock import parse_timestamp
from ckfunc.base.errors import UsageProblem

_DAYS = {"today": 0, "yesterday": 1}
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_PART = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(ms|s|m|h|d|w)"
_DURATION = re.compile(rf"(?:{_PART}\s*)+", re.ASCII)
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OFFSET = re.compile(r"(?:z|[+-][0-9]{2}:?[0-9]{2})$", re.IGNORECASE)


def duration_s(text: str) -> float | None:
    """Return the seconds of a duration such as `10m`, `2h` or `1h30m`, or None for any other text."""
    value = text.strip().lower()
    if not _DURATION.fullmatch(value):
        return None
    return sum(float(count) * _UNITS_S[unit] for count, unit in re.findall(_PART, value))


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
