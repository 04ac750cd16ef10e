"""A terminal: styled lines, and a status line or a spinner below them."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from ckfunc.base.streams import ResultStream, discard_rest, write_text
from ckfunc.base.text import USUAL_COLUMNS, Line, Piece, cells, cut, one_line, plain, status_line, styled

_SHOWN_AFTER_S = 0.5
"""The duration after which a spinner is shown."""
_TURN_S = 0.25
_OTHER_COLUMNS = 16
"""The columns that the text of a spinner leaves for the time and the margin."""
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
    """A text and the elapsed time, drawn with `show` on a thread until `stop`; short waits show nothing."""

    def __init__(self, text: str, show: Callable[[Line], object]) -> None:
        self.text = text
        self._show = show
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._turn, name="ckfunc-spinner", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Remove the spinner."""
        self._ended.set()
        self._thread.join()

    def _turn(self) -> None:
        began = time.monotonic()
        if self._ended.wait(_SHOWN_AFTER_S):
            return
        for frame in itertools.cycle("-\\|/"):
            passed = timedelta(seconds=int(time.monotonic() - began))
            text = cut(self.text, terminal_columns() - _OTHER_COLUMNS)
            self._show([(f"{frame} ", "success"), (f"{text} ", "plain"), (str(passed), "warning")])
            if self._ended.wait(_TURN_S):
                break
        self._show([])


class Settings:
    """The common options, set while the command line is parsed."""

    directory: Path | None = None
    target: str | None = None
    data_dir: Path | None = None
    """The --data-dir of `ckfunc emulator`."""
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    no_color: bool = False
    format: str | None = None
    """The format of a report for continuous integration: a name in `FORMATS` of base/annotations.py."""


class Terminal:
    """The standard streams, with color, and a status line or a spinner on a terminal.

    Thread-safe: lines are never interleaved.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self.results = ResultStream()
        self._environ = environ
        self._lock = threading.RLock()
        self._spinner: Spinner | None = None
        self._status = StatusLine(self._lock)

    @property
    def interactive(self) -> bool:
        """Whether there is a terminal to ask questions on."""
        return not self._environ.get("CI") and sys.stdin.isatty() and sys.stderr.isatty()

    def width(self) -> int | None:
        """Return the width of the terminal for results; None if stdout is not a terminal."""
        return columns() if sys.stdout.isatty() else None

    def uses_color(self, stream: TextIO) -> bool:
        """Return whether to use color on a stream. Source of the variables: no-color.org, force-color.org."""
        if self.settings.no_color or self._environ.get("NO_COLOR"):
            return False
        if (forced := self._environ.get("FORCE_COLOR")) and forced.lower() not in ("0", "false"):
            return True
        return stream.isatty() and self._environ.get("TERM") != "dumb"

    def _write(self, stream: TextIO, segments: Iterable[Piece]) -> None:
        self._put_out(stream, self._styled(segments, stream) + "\n")

    def _styled(self, segments: Iterable[Piece], stream: TextIO) -> str:
        return styled(segments, color=self.uses_color(stream))

    def _put_out(self, stream: TextIO, text: str) -> None:
        with self._lock, self._status.aside(stream):
            if stream is sys.stdout:
                self.results.write(text)
                return
            try:
                write_text(stream, text)
                stream.flush()
            except OSError:  # a deploy must not stop halfway because its messages cannot be written
                discard_rest(stream)

    def flush(self) -> None:
        """Flush stdout; raises ReaderGone if the reader has closed the pipe."""
        with self._lock:
            self.results.flush()

    def require_reader(self) -> None:
        """Raise ReaderGone if the reader has closed the pipe, on systems that report it before the next write."""
        self.results.require_reader()

    def update_progress(self, text: str) -> None:
        """Replace the text of the spinner, if there is one."""
        if (spinner := self._spinner) is not None and text.strip():
            spinner.text = one_line(text)

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[], object]]:
        """Show a spinner on a terminal after half a second, until the end or a call of the yielded function."""
        hidden = self.settings.quiet or self.settings.verbose or self._environ.get("CI")
        if not hidden and sys.stderr.isatty() and self._environ.get("TERM") != "dumb":
            self._spin(text)
        try:
            yield self._settle
        finally:
            self._settle()

    def _spin(self, text: str) -> None:
        self._settle()
        self._spinner = Spinner(text, self._show)

    def _settle(self) -> str | None:
        """Remove or prevent the spinner; return its text."""
        spinner, self._spinner = self._spinner, None
        if spinner is None:
            return None
        spinner.stop()
        return spinner.text

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hide the spinner while a question is asked, or while another program prints."""
        text = self._settle()
        try:
            with self._lock:
                yield
        finally:
            if text is not None:
                self._spin(text)

    @property
    def pinnable(self) -> bool:
        """Whether a status line can be shown at the bottom of the terminal."""
        hidden = self.settings.quiet or self.settings.json or self._environ.get("CI")
        return not hidden and self._environ.get("TERM") != "dumb" and sys.stdout.isatty() and sys.stderr.isatty()

    @property
    def pin_width(self) -> int:
        """The width of the status line: one column less than the terminal's, because the cursor stays on the line."""
        return terminal_columns() - 1

    def pin(self, segments: Sequence[Piece], keys: Sequence[str] = ()) -> None:
        """Show a status line at the bottom of the terminal, cut to its width; without a terminal, do nothing.

        It ends with the first of `keys` (longest first) that leaves room for the rest, or that takes at most a third of
        the line.
        """
        if not self.pinnable:
            return
        pairs = [(segment, "plain") if isinstance(segment, str) else segment for segment in segments]
        self._show(status_line(pairs, keys, self.pin_width))

    def _show(self, line: Line) -> None:
        self._status.show(self._styled(line, sys.stderr), cells(plain(line)))

    def unpin(self) -> None:
        """Remove the status line permanently."""
        self._status.close()

    def clear(self) -> None:
        """Clear the terminal, except for the status line."""
        self._status.clear_screen()
