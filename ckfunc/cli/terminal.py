"""The terminal: keys as they are pressed, its size, and the status line at its bottom."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

ESCAPE = "\x1b"
# What arrows and function keys send: it must not count as the letters in it.
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b])")
LOOK_S = 0.2
"""How often it is looked whether to stop."""

if sys.platform == "win32":
    import msvcrt
    import shutil

    @contextmanager
    def on_resize(redraw: Callable[[], object]) -> Iterator[None]:
        """Call `redraw` on a thread of its own after the terminal's size has changed."""
        ended = threading.Event()

        def look() -> None:
            before = shutil.get_terminal_size()
            while not ended.wait(LOOK_S):
                if (now := shutil.get_terminal_size()) != before:
                    before = now
                    redraw()

        threading.Thread(target=look, daemon=True).start()
        try:
            yield
        finally:
            ended.set()

    @contextmanager
    def key_by_key(again: Callable[[], object]) -> Iterator[None]:  # noqa: ARG001 - there is no Ctrl-Z to come back from
        """Let keys be read as they are pressed."""
        yield

    def pressed_keys(stop: threading.Event) -> Iterator[str]:
        """Yield keys until `stop` is set."""
        while not stop.wait(LOOK_S):
            while msvcrt.kbhit():
                key = msvcrt.getwch()
                if key in "\x00\xe0":  # an arrow or a function key, whose code follows
                    msvcrt.getwch()
                    key = ESCAPE
                yield key

else:
    import os
    import select
    import signal
    import termios

    @contextmanager
    def on_resize(redraw: Callable[[], object]) -> Iterator[None]:
        """Call `redraw` on a thread of its own after the terminal's size has changed. For the main thread only."""

        def resized(_number: int, _frame: object) -> None:
            # Not here: the signal may have come in the middle of a line that is being printed.
            threading.Thread(target=redraw, daemon=True).start()

        before = signal.signal(signal.SIGWINCH, resized)
        try:
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)

    @contextmanager
    def key_by_key(again: Callable[[], object]) -> Iterator[None]:
        """Let keys be read as they are pressed, and not be echoed, while the command is in the foreground.

        The terminal is put back afterwards, were it by SIGTERM. A shell has put it back when we come to the foreground
        again, after Ctrl-Z: `again` is called then, on a thread of its own. To be used on the main thread only.
        """
        handle = sys.stdin.fileno()
        before, changed = termios.tcgetattr(handle), termios.tcgetattr(handle)
        changed[3] &= ~(termios.ICANON | termios.ECHO)

        def begin() -> None:
            if _in_front(handle):
                with suppress(termios.error):
                    termios.tcsetattr(handle, termios.TCSANOW, changed)

        def put_back(when: int) -> None:
            if _in_front(handle):
                with suppress(termios.error):
                    termios.tcsetattr(handle, when, before)

        def go_on(_number: int, _frame: object) -> None:
            begin()
            # Not here: the signal may have come in the middle of a line that is being printed.
            threading.Thread(target=again, daemon=True).start()

        def end(number: int, _frame: object) -> None:
            put_back(termios.TCSANOW)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        does = {signal.SIGCONT: go_on, signal.SIGTERM: end, signal.SIGHUP: end}
        ours = [one for one in does if signal.getsignal(one) is signal.SIG_DFL]
        try:
            begin()
            for one in ours:
                signal.signal(one, does[one])
            yield
        finally:
            for one in ours:
                signal.signal(one, signal.SIG_DFL)
            put_back(termios.TCSADRAIN)

    def pressed_keys(stop: threading.Event) -> Iterator[str]:
        """Yield keys until `stop` is set, or standard input ends."""
        handle = sys.stdin.fileno()
        while not stop.is_set():
            ready, _, _ = select.select([handle], [], [], LOOK_S)
            if not ready:
                continue
            if not _in_front(handle):  # the keys are somebody else's, and to read them would stop us
                stop.wait(LOOK_S)
                continue
            try:
                data = os.read(handle, 64)
            except OSError:  # the terminal is gone
                return
            if not data:
                return
            yield from _SEQUENCES.sub(ESCAPE, data.decode("utf-8", "ignore"))

    def _in_front(handle: int) -> bool:
        """Tell whether the terminal may be changed: what is in the background would be stopped for it."""
        try:
            return os.tcgetpgrp(handle) == os.getpgrp()
        except OSError:
            return True  # it does not control us, so it does not stop us either


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
