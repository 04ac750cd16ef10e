"""Runs of functions that concern a chat, followed on a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from ckfunc.api import Client
from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError
from ckfunc.chat.events import RunEvent
from ckfunc.logs.entries import Item, LogEntry
from ckfunc.logs.follow import StoppableClock, stream_logs
from ckfunc.model.function import Status
from ckfunc.wire.functions import concerns

_START_S = 10.0
_END_S = 1.0


@dataclass(frozen=True, slots=True)
class RoundEnded:
    """The runs were read once more. `quiet` means that none is new and none is in progress."""

    quiet: bool


@dataclass(frozen=True, slots=True)
class RunsEnded:
    """The runs cannot be followed."""

    reason: CkfuncError


class RunFollower:
    """Puts the runs about a channel, or of a user's session, as they begin and end, and a RoundEnded after each look.

    `channel_id` returns the channel, 0 if it is not known yet.
    """

    def __init__(
        self,
        client: Client,
        username: str,
        channel_id: Callable[[], int],
        put: Callable[[RunEvent | RoundEnded | RunsEnded], object],
    ) -> None:
        self._client = client
        self._username = username
        self._channel_id = channel_id
        self._put = put
        self._started = threading.Event()
        self._stop = threading.Event()
        self._running: set[int] = set()
        self._news = False

    def follow(self, clock: Clock) -> None:
        """Start; return when the runs so far are known."""
        stoppable = StoppableClock(clock, self._end_round, self._stop)
        self._thread = stream_logs(self._client, None, stoppable, self._take, self._failed)
        self._started.wait(_START_S)

    def stop(self) -> None:
        """Follow no longer."""
        self._stop.set()
        self._thread.join(_END_S)

    def _end_round(self) -> None:
        if self._started.is_set():
            self._put(RoundEnded(quiet=not self._news and not self._running))
        self._started.set()
        self._news = False

    def _take(self, item: Item) -> None:
        if not isinstance(item, LogEntry):
            self._news = True  # something could not be read
            return
        row = item.invocation
        if not concerns(row.args, self._channel_id(), (self._username,)):
            return
        self._news = True
        if row.status is Status.RUNNING:
            self._running.add(row.id)
        else:
            self._running.discard(row.id)
        self._put(RunEvent(item))

    def _failed(self, problem: CkfuncError) -> None:
        self._started.set()
        self._put(RunsEnded(problem))
