"""The stop signal of a watch."""

from __future__ import annotations

import threading

from ckfunc.base.interrupts import pressed


class Stop(threading.Event):
    """An event that also counts as set when `other` is, or after a Ctrl-C that no code has seen."""

    def __init__(self, other: threading.Event | None = None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Return whether the watch must end."""
        return super().is_set() or (self._other is not None and self._other.is_set()) or pressed()
