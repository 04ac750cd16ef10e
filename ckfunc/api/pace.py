"""How many requests may be under way: fewer after the platform said that there are too many, more again as it answers.

A refusal with 429 halves the number and holds every request back until the time that the answer names; each run of
good answers as long as the number allows one more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ckfunc.base.clock import Clock

TOO_MANY = 429
_LOOK_S = 0.5
"""How often a wait ends to let Ctrl-C in."""
_WORTH_SAYING_S = 0.1


class Pace:
    """The pace of one client's requests. Thread-safe. `most` is what it begins with, and never more."""

    def __init__(self, clock: Clock, most: int, on_hold: Callable[[float], None] | None = None) -> None:
        """`on_hold` is called with the seconds that a request is held back for."""
        self._clock = clock
        self._most = self._limit = most
        self._on_hold = on_hold
        self._changed = threading.Condition()
        self._under_way = 0
        self._good = 0
        self._halvings = 0
        self._not_before_s = 0.0

    @property
    def limit(self) -> int:
        """How many requests may be under way now."""
        return self._limit

    @contextmanager
    def turn(self) -> Iterator[Callable[[int | None, float], None]]:
        """Wait for a turn, and yield what is to be told the answer's status and, after a 429, the wait in seconds."""
        with self._changed:
            while self._under_way >= self._limit:
                self._changed.wait(_LOOK_S)
            self._under_way += 1
            halvings, held_s = self._halvings, self._not_before_s - self._clock.monotonic_s()
        try:
            if held_s > 0:
                if self._on_hold and held_s >= _WORTH_SAYING_S:
                    self._on_hold(held_s)
                self._clock.sleep(held_s)
            yield lambda status, wait_s: self._heard(status, wait_s, halvings)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify()

    def _heard(self, status: int | None, wait_s: float, halvings: int) -> None:
        with self._changed:
            if status == TOO_MANY:
                self._not_before_s = max(self._not_before_s, self._clock.monotonic_s() + wait_s)
                self._good = 0
                # Those that were under way at the last halving say nothing about the pace since.
                if halvings == self._halvings:
                    self._limit = max(min(self._limit, self._under_way) // 2, 1)
                    self._halvings += 1
            elif status is not None:
                self._good += 1
                if self._good >= self._limit and self._limit < self._most:
                    self._limit += 1
                    self._good = 0
                    self._changed.notify()
