"""Requests with limited retries and limited concurrency.

A 429 halves the limit of concurrent requests and delays all requests until the time in the response. When as many
requests in a row as the limit allows have succeeded, the limit grows by one.
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from ckfunc.api.connection import CannotConnect, NotSent, place
from ckfunc.base.clock import Clock
from ckfunc.base.errors import Unreachable
from ckfunc.base.frozen import frozen

if TYPE_CHECKING:
    from ckfunc.api.transport import Answer

MAX_ATTEMPTS = 4
"""The maximum number of attempts of a request."""
MAX_TOTAL_WAIT_S = 120.0
"""The maximum total time that a request waits between attempts."""
MAX_WAIT_S = 60.0
RETRIED_STATUSES = frozenset({429, 502, 503, 504})

_FIRST_S = 0.5
_COOL_OFF = re.compile(rb'"(?:coolOffDuration|cool_off_duration)"\s*:\s*"PT(\d{1,9}(?:\.\d{1,9})?)S"')
_MOST_ERROR_BYTES = 64 * 1024

TOO_MANY = 429
_POLL_S = 0.5
"""The interval at which a wait checks for Ctrl-C."""
_MIN_REPORTED_S = 0.1


@frozen
class Wait:
    """A wait before a retry: `reason` is a sentence without secrets, `attempt` is the failed attempt (from 1)."""

    reason: str
    seconds: float
    attempt: int


def retry_delay_s(
    headers: Mapping[str, str],
    attempt: int,
    *,
    body: bytes = b"",
    now: datetime | None = None,
    jitter: Callable[[], float] = random.random,
) -> float:
    """Return how long to wait before attempt `attempt + 1`, in seconds.

    `attempt` counts from 1. Names in `headers` are in lower case. A Retry-After header (seconds or a date) wins, then
    the `coolOffDuration` of an error in `body`, both capped at 60 s; otherwise the wait doubles from 0.5 s, and its
    upper half is random. Source: RFC 9110 section 10.2.3, and the vendor's client 2.105.8; the cap is our choice.
    """
    requested = _retry_after_s(headers.get("retry-after", ""), now or datetime.now(UTC))
    if requested is None:
        requested = _cool_off_s(body)
    if requested is not None:
        return min(requested, MAX_WAIT_S)
    full = min(_FIRST_S * 2.0 ** min(attempt - 1, 16), MAX_WAIT_S)
    return full * (0.5 + jitter() / 2)


def may_repeat(method: str) -> bool:
    """Return whether a request with this method is idempotent."""
    return method in ("GET", "HEAD", "PUT")


class Throttle:
    """Limiter of a client's concurrent requests. Thread-safe. `max_concurrent` is the initial and maximum limit."""

    def __init__(self, clock: Clock, max_concurrent: int, on_hold: Callable[[float], None] | None = None) -> None:
        """`on_hold` is called with the delay of a request, in seconds."""
        self._clock = clock
        self._max_concurrent = self._limit = max_concurrent
        self._on_hold = on_hold
        self._changed = threading.Condition()
        self._running = 0
        self._successes = 0
        self._halvings = 0
        self._not_before_s = 0.0

    @property
    def limit(self) -> int:
        """The current limit of concurrent requests."""
        return self._limit

    @contextmanager
    def turn(self) -> Iterator[Callable[[int | None, float], None]]:
        """Wait for a turn; yield a function to call with the status of the response and the wait after a 429 in s."""
        with self._changed:
            while self._running >= self._limit:
                self._changed.wait(_POLL_S)
            self._running += 1
            halvings, held_s = self._halvings, self._not_before_s - self._clock.monotonic_s()
        try:
            if held_s > 0:
                if self._on_hold and held_s >= _MIN_REPORTED_S:
                    self._on_hold(held_s)
                self._clock.sleep(held_s)
            yield lambda status, wait_s: self._record(status, wait_s, halvings)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify()

    def _record(self, status: int | None, wait_s: float, halvings: int) -> None:
        with self._changed:
            if status == TOO_MANY:
                self._not_before_s = max(self._not_before_s, self._clock.monotonic_s() + wait_s)
                self._successes = 0
                # Requests that started before the last halving must not halve the limit again.
                if halvings == self._halvings:
                    self._limit = max(min(self._limit, self._running) // 2, 1)
                    self._halvings += 1
            elif status is not None:
                self._successes += 1
                if self._successes >= self._limit and self._limit < self._max_concurrent:
                    self._limit += 1
                    self._successes = 0
                    self._changed.notify()


@frozen
class Request:
    """A request. `repeatable` means idempotent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None = None
    repeatable: bool = False
    timeout_s: float | None = None

    def __repr__(self) -> str:  # headers and body may contain secrets
        return f"{self.method} {self.url}"


class Moved(Exception):
    """The application has a new address; the request was not sent."""


class Sender:
    """Sender of requests over a pool of connections. Thread-safe; `on_wait` is called before each wait."""

    def __init__(self, clock: Clock, timeout_s: float, on_wait: Callable[[Wait], None] | None) -> None:
        # Imported here, because importing httpx takes longer than importing the rest of ckfunc.
        from ckfunc.api.transport import CONNECTIONS, Transport

        self._transport = Transport(timeout_s)
        self._clock = clock
        self._on_wait = on_wait
        self._throttle = Throttle(clock, CONNECTIONS, self._report_hold)

    def send(self, request: Request, moved: Callable[[], bool] | None = None) -> Answer:
        """Send `request` and return the last response, whatever its status. Raises Unreachable.

        `moved` is called if no connection can be established; if it returns true, Moved is raised.

        Requests that wait for a turn are sent in no particular order. A repeatable request is retried after 429, 502,
        503, 504 and lost connections. Any request is retried if no connection was established, because it was not sent.
        """
        waited_s = 0.0
        attempt = 1
        while True:
            with self._throttle.turn() as record:
                result = self._try(request)
                delay_s = self._delay_s(result, attempt)
                record(None if isinstance(result, Unreachable) else result.status, delay_s)
            if isinstance(result, Unreachable):
                if moved is not None and isinstance(result, NotSent) and moved():
                    raise Moved
                reason = result.message
            elif request.repeatable and result.status in RETRIED_STATUSES:
                reason = f"{place(request.url)} answered {result.status}"
            else:
                return result
            if attempt >= MAX_ATTEMPTS or waited_s + delay_s > MAX_TOTAL_WAIT_S:
                if isinstance(result, Unreachable):
                    raise result
                return result
            if self._on_wait:
                self._on_wait(Wait(reason, delay_s, attempt))
            self._clock.sleep(delay_s)
            waited_s += delay_s
            attempt += 1

    def _delay_s(self, result: Answer | Unreachable, attempt: int) -> float:
        now = self._clock.now()
        if isinstance(result, Unreachable):
            return retry_delay_s({}, attempt, now=now)
        return retry_delay_s(result.headers, attempt, body=result.body, now=now)

    def _report_hold(self, seconds: float) -> None:
        if self._on_wait:
            self._on_wait(Wait(f"the API answered {TOO_MANY}: too many requests", seconds, 1))

    def _try(self, request: Request) -> Answer | Unreachable:
        try:
            return self._transport.send(
                request.method, request.url, request.headers, request.body, timeout_s=request.timeout_s
            )
        except CannotConnect:
            raise
        except NotSent as error:
            return error
        except Unreachable as error:
            if not request.repeatable:
                raise Unreachable(
                    f"{error.message}; it is unknown whether the request was processed",
                    hint="check the application before you repeat it",
                ) from error
            return error

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()


def _cool_off_s(body: bytes) -> float | None:
    """Return the time that an error asks to wait, such as PT1.5S, or None."""
    match = _COOL_OFF.search(body[:_MOST_ERROR_BYTES])
    return None if match is None else float(match[1])


def _retry_after_s(value: str, now: datetime) -> float | None:
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value) if len(value) < 10 else MAX_WAIT_S
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)
