"""Requests with a limited number of retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ckfunc.api.connection import CannotConnect, NotSent, place
from ckfunc.api.retry import MAX_ATTEMPTS, MAX_TOTAL_WAIT_S, RETRIED_STATUSES, TOO_MANY, Throttle, Wait, retry_delay_s
from ckfunc.base.clock import Clock
from ckfunc.base.errors import Unreachable

if TYPE_CHECKING:
    from ckfunc.api.transport import Answer


@dataclass(frozen=True, slots=True)
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
