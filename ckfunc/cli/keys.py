"""Keys as they are pressed, without Enter, and changes of the terminal's size; Ctrl-C stays what it is."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

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
