"""Values of `--since` and `--until`: a duration before now, or a time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from ckfunc.base.clock import duration_s, parse_timestamp
from ckfunc.base.errors import UsageProblem

_DAYS = {"today": 0, "yesterday": 1}
_DATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_OFFSET = re.compile(r"(?:z|[+-][0-9]{2}:?[0-9]{2})$", re.IGNORECASE)


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
