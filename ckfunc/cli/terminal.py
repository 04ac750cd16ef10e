"""The terminal: keys as they are pressed, its size, the status line, and a spinner."""

from __future__ import annotations

import codecs
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

ESCAPE = "\x1b"
# Escape sequences of arrows and function keys, whose letters must not be read as keys.
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b])")
LOOK_S = 0.2
"""The interval at which to check whether to stop."""

if sys.platform == "win32":
    import msvcrt
    import shutil

    @contextmanager
    def on_resize(redraw: Callable[[], object]) -> Iterator[None]:
        """Call `redraw` on another thread when the terminal is resized."""
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
    def key_by_key(again: Callable[[], object]) -> Iterator[None]:  # noqa: ARG001 - Windows has no Ctrl-Z
        """Read keys without waiting for Enter."""
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
        """Call `redraw` on another thread when the terminal is resized. For the main thread only."""

        def resized(_number: int, _frame: object) -> None:
            # On another thread, because the signal may have interrupted the printing of a line.
            threading.Thread(target=redraw, daemon=True).start()

        before = signal.signal(signal.SIGWINCH, resized)
        try:
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)

    @contextmanager
    def key_by_key(again: Callable[[], object]) -> Iterator[None]:
        """Read keys without waiting for Enter and without echo, while the command is in the foreground.

        The terminal is restored afterwards, also after SIGTERM. After Ctrl-Z and `fg`, when the shell has restored it,
        `again` is called on another thread. Call this on the main thread.
        """
        handle = sys.stdin.fileno()
        before, changed = termios.tcgetattr(handle), termios.tcgetattr(handle)
        changed[3] &= ~(termios.ICANON | termios.ECHO)

        def begin() -> None:
            if _in_front(handle):
                with suppress(termios.error):
                    termios.tcsetattr(handle, termios.TCSANOW, changed)

        def restore(when: int) -> None:
            if _in_front(handle):
                with suppress(termios.error):
                    termios.tcsetattr(handle, when, before)

        def resume(_number: int, _frame: object) -> None:
            begin()
            # On another thread, because the signal may have interrupted the printing of a line.
            threading.Thread(target=again, daemon=True).start()

        def end(number: int, _frame: object) -> None:
            restore(termios.TCSANOW)
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

        actions = {signal.SIGCONT: resume, signal.SIGTERM: end, signal.SIGHUP: end}
        ours = [number for number in actions if signal.getsignal(number) is signal.SIG_DFL]
        try:
            begin()
            for number in ours:
                signal.signal(number, actions[number])
            yield
        finally:
            for number in ours:
                signal.signal(number, signal.SIG_DFL)
            restore(termios.TCSADRAIN)

    def pressed_keys(stop: threading.Event) -> Iterator[str]:
        """Yield keys until `stop` is set, or standard input ends."""
        handle = sys.stdin.fileno()
        decoder = codecs.getincrementaldecoder("utf-8")("ignore")  # a character may be cut between two reads
        while not stop.is_set():
            ready, _, _ = select.select([handle], [], [], LOOK_S)
            if not ready:
                continue
            if not _in_front(handle):  # reading would stop a process in the background
                stop.wait(LOOK_S)
                continue
            try:
                data = os.read(handle, 4096)
            except OSError:  # the terminal is gone
                return
            if not data:
                return
            yield from _SEQUENCES.sub(ESCAPE, decoder.decode(data))

    def _in_front(handle: int) -> bool:
        """Return whether this process is in the foreground; in the background, it must not change the terminal."""
        try:
            return os.tcgetpgrp(handle) == os.getpgrp()
        except OSError:
            return True  # not the controlling terminal, which cannot stop this process


_ERASE_LINE = "\r\x1b[2K"
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


class StatusLine:
    """One line on stderr, which must be a terminal. Everything that prints holds `lock`.

    `columns` returns the width of the terminal.
    """

    def __init__(self, lock: threading.RLock, columns: Callable[[], int]) -> None:
        self._lock = lock
        self._columns = columns
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
        wrapped = max(self._width - 1, 0) // max(self._columns(), 1) if self._text else 0
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
