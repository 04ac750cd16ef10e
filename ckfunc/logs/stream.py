"""New invocations, handed over on a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from datetime import datetime
from typing import TYPE_CHECKING

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError
from ckfunc.base.streams import ReaderGone
from ckfunc.logs.entries import Item, LogEntry
from ckfunc.logs.follow import follow

if TYPE_CHECKING:
    from ckfunc.api import Client


class CheckedClock:
    """A clock that calls `check` after each wait, which may raise an exception to end a generator that never ends."""

    def __init__(self, clock: Clock, check: Callable[[], object]) -> None:
        self._clock = clock
        self._check = check

    def now(self) -> datetime:
        """Return the wall-clock time, in UTC."""
        return self._clock.now()

    def monotonic_s(self) -> float:
        """Return seconds that never go backwards."""
        return self._clock.monotonic_s()

    def sleep(self, seconds: float) -> None:
        """Wait and check."""
        self._clock.sleep(seconds)
        self._check()


class _Stopped(Exception):
    """Following has been stopped."""


class StoppableClock(CheckedClock):
    """A checked clock whose wait ends as soon as `stop` is set."""

    def __init__(self, clock: Clock, check: Callable[[], object], stop: threading.Event) -> None:
        super().__init__(clock, check)
        self.stop = stop

    def sleep(self, seconds: float) -> None:
        """Wait and check; raises an exception if `stop` is set."""
        if self.stop.wait(seconds):
            raise _Stopped
        self._check()


def stream_logs(
    client: Client,
    types: Callable[[], Collection[str]] | None,
    clock: StoppableClock,
    show: Callable[[Item], object],
    failed: Callable[[CkfuncError], object],
) -> threading.Thread:
    """Call `show` on a thread of its own with new invocations of `types` (None: all), and with notices between.

    It ends when the clock's `stop` is set; it sets `stop` itself after a ReaderGone of `show` or of the clock's check.
    `failed` is called with an error that ends it earlier.
    """

    def stream() -> None:
        try:
            for item in follow(client, clock=clock):
                if not isinstance(item, LogEntry) or types is None or item.type in types():
                    show(item)
        except _Stopped:
            pass
        except CkfuncError as problem:
            if not clock.stop.is_set():
                failed(problem)
        except ReaderGone:
            clock.stop.set()

    thread = threading.Thread(target=stream, name="ckfunc-logs", daemon=True)
    thread.start()
    return thread
