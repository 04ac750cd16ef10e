"""When a request is tried again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

TRIES = 4
"""How often a request is sent, at most."""
PATIENCE_S = 120.0
"""How long one request waits between its tries, all waits together."""
CAP_S = 60.0
RETRIED_STATUSES = frozenset({429, 502, 503, 504})

_FIRST_S = 0.5


@dataclass(frozen=True, slots=True)
class Wait:
    """Why the client waits: `reason` is a sentence without secrets, `attempt` the try that failed (from 1)."""

    reason: str
    seconds: float
    attempt: int


def retry_delay_s(
    headers: Mapping[str, str],
    attempt: int,
    *,
    now: datetime | None = None,
    jitter: Callable[[], float] = random.random,
) -> float:
    """Return how long to wait before attempt `attempt + 1`, in seconds.

    `attempt` counts from 1. Names in `headers` are in lower case. A Retry-After, in seconds or as a date, wins, capped
    at 60 s; otherwise the wait doubles from 0.5 s, of which the upper half is left to chance.
    Source: RFC 9110 section 10.2.3; the cap is our choice.
    """
    asked = _retry_after_s(headers.get("retry-after", ""), now or datetime.now(UTC))
    if asked is not None:
        return min(asked, CAP_S)
    full = min(_FIRST_S * 2.0 ** min(attempt - 1, 16), CAP_S)
    return full * (0.5 + jitter() / 2)


def may_repeat(method: str) -> bool:
    """Tell whether sending a request twice does no more than sending it once."""
    return method in ("GET", "HEAD", "PUT")


def _retry_after_s(value: str, now: datetime) -> float | None:
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 10 else CAP_S
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
