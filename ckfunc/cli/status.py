"""The line at the bottom of a terminal that says how things stand, while everything else scrolls above it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_ERASE = "\r\x1b[2K"
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


class StatusLine:
    """One line on stderr, which must be a terminal. `lock` is held by whoever prints anything."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._text = ""
        self._closed = False

    def show(self, text: str) -> None:
        """Replace the line; `text` may hold colours, and no newline."""
        with self._lock:
            if self._closed:
                return
            self._text = text
            self._draw(_ERASE + text)

    def clear_screen(self) -> None:
        """Take everything away that is above the line."""
        with self._lock:
            self._draw(_CLEAR + self._text)

    def close(self) -> None:
        """Take the line away for good: a thread that ends later must not bring it back."""
        with self._lock:
            shown, self._text, self._closed = self._text, "", True
            if shown:
                self._draw(_ERASE)

    @contextmanager
    def aside(self, stream: TextIO) -> Iterator[None]:
        """Take the line away while something is printed to `stream`; the lock is held."""
        if not self._text or not stream.isatty():
            yield
            return
        self._draw(_ERASE)
        try:
            yield
            stream.flush()
        finally:
            self._draw(self._text)

    def _draw(self, text: str) -> None:
        with suppress(OSError, ValueError, UnicodeEncodeError):
            sys.stderr.write(text)
            sys.stderr.flush()
