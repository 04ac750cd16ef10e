"""The status line at the bottom of the terminal, and a spinner."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from ckfunc.base.text import USUAL_COLUMNS

if TYPE_CHECKING:
    from rich.progress import Progress

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


def spinner(text: str, *, color: bool) -> Progress:
    """Return a spinner on stderr that shows a text and the time that has passed; it is removed when it stops."""
    from rich import console, progress  # which only a command that takes long needs

    screen = console.Console(stderr=True, no_color=not color, highlight=False)
    columns = (progress.SpinnerColumn("line"), progress.TextColumn("{task.description}", markup=False))
    shown = progress.Progress(
        *columns,
        progress.TimeElapsedColumn(),
        console=screen,
        transient=True,
        # Only messages are printed above the spinner: stdout has results, and may not be this terminal.
        redirect_stdout=False,
        refresh_per_second=4,
    )
    shown.add_task(text[: screen.width - 16])
    return shown


def show_on(shown: Progress, text: str) -> None:
    """Replace the text of a spinner."""
    shown.update(shown.task_ids[0], description=text[: shown.console.width - 16])
