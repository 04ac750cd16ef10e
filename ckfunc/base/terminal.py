"""The last line of a terminal: a status or a spinner."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TextIO

from ckfunc.base.text import USUAL_COLUMNS, Line, cut

LONG_S = 0.5
"""The duration after which a spinner is shown."""
_TURN_S = 0.25
_OTHER_COLUMNS = 16
"""The columns that a spinner leaves for the time and the margin."""
_ERASE_LINE = "\r\x1b[2K"
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def columns() -> int:
    """Return the width for results: COLUMNS, or else the width of the terminal."""
    import shutil  # loads compression libraries, and most output has no width

    return shutil.get_terminal_size((USUAL_COLUMNS, 24)).columns


def terminal_columns() -> int:
    """Return the current width of the terminal, which may differ from COLUMNS at the start of the command."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or columns()
    except (OSError, ValueError):
        return columns()


class StatusLine:
    """One line on stderr, which must be a terminal. Everything that prints holds `lock`."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._text = ""
        self._width = 0
        self._closed = False

    def show(self, text: str, width: int) -> None:
        """Replace the line. `text` may contain color codes, but no newline; `width` is its width in columns."""
        with self._lock:
            if self._closed:
                return
            erase = self._erase()
            self._text, self._width = text, width
            self._draw(erase + text)

    def clear_screen(self) -> None:
        """Clear everything above the line."""
        with self._lock:
            self._draw(_CLEAR + self._text)

    def close(self) -> None:
        """Remove the line permanently: threads that end later must not draw it again."""
        with self._lock:
            erase, shown = self._erase(), self._text
            self._text, self._closed = "", True
            if shown:
                self._draw(erase)

    @contextmanager
    def aside(self, stream: TextIO) -> Iterator[None]:
        """Hide the line while something is printed to `stream`; the lock must be held."""
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
        """Return the codes that erase the line, including rows that a narrower terminal has wrapped it into."""
        wrapped = max(self._width - 1, 0) // max(terminal_columns(), 1) if self._text else 0
        return f"\r\x1b[{wrapped}A\x1b[J" if wrapped else _ERASE_LINE

    def _draw(self, text: str) -> None:
        with suppress(OSError, ValueError, UnicodeEncodeError):
            sys.stderr.write(text)
            sys.stderr.flush()


class Spinner:
    """A text and the time that has passed, drawn with `show` on a thread until `stop`; at first nothing is shown."""

    def __init__(self, text: str, show: Callable[[Line], object]) -> None:
        self.text = text
        self._show = show
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="ckfunc-spinner", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Remove it."""
        self._ended.set()
        self._thread.join()

    def _turn(self) -> None:
        if self._ended.wait(LONG_S):
            return
        began = time.monotonic()
        for frame in itertools.cycle("-\\|/"):
            passed = timedelta(seconds=int(time.monotonic() - began))
            text = cut(self.text, terminal_columns() - _OTHER_COLUMNS)
            self._show([(f"{frame} ", "success"), (f"{text} ", "plain"), (str(passed), "warning")])
            if self._ended.wait(_TURN_S):
                break
        self._show([])
