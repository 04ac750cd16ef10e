"""The status line at the bottom of a terminal, while everything else scrolls above it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_ERASE_LINE = "\r\x1b[2K"
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


class StatusLine:
    """One line on stderr, which must be a terminal. `lock` is held by whoever prints anything.

    `columns` returns the width of the terminal.
    """

    def __init__(self, lock: threading.RLock, columns: Callable[[], int]) -> None:
        self._lock = lock
        self._columns = columns
        self._text = ""
        self._width = 0
        self._closed = False

    def show(self, text: str, width: int) -> None:
        """Replace the line; `text` may hold colours, and no newline. `width` is how many columns it takes."""
        with self._lock:
            if self._closed:
                return
            erase = self._erase()
            self._text, self._width = text, width
            self._draw(erase + text)

    def clear_screen(self) -> None:
        """Take everything away that is above the line."""
        with self._lock:
            self._draw(_CLEAR + self._text)

    def close(self) -> None:
        """Take the line away for good: a thread that ends later must not bring it back."""
        with self._lock:
            erase, shown = self._erase(), self._text
            self._text, self._closed = "", True
            if shown:
                self._draw(erase)

    @contextmanager
    def aside(self, stream: TextIO) -> Iterator[None]:
        """Take the line away while something is printed to `stream`; the lock is held."""
        if not self._text or not stream.isatty():
            yield
            return
        self._draw(self._erase())
        try:
            yield
            stream.flush()
        finally:
            self._draw(self._text)

    def _erase(self) -> str:
        """Return what takes the line away: all its rows, when a terminal that became narrower has wrapped it."""
        wrapped = max(self._width - 1, 0) // max(self._columns(), 1) if self._text else 0
        return f"\r\x1b[{wrapped}A\x1b[J" if wrapped else _ERASE_LINE

    def _draw(self, text: str) -> None:
        with suppress(OSError, ValueError, UnicodeEncodeError):
            sys.stderr.write(text)
            sys.stderr.flush()
