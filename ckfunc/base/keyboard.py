"""Keys as they are pressed, and changes of the terminal's size."""

from __future__ import annotations

import codecs
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

ESCAPE = "\x1b"
# Escape sequences of arrows and function keys, whose letters must not be read as keys.
_SEQUENCES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\x1b])")
LOOK_S = 0.2
"""The interval at which to check whether to stop."""
_END_S = 1.0

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


@contextmanager
def keys_thread(read: Callable[[], object], redraw: Callable[[], object], stop: threading.Event) -> Iterator[None]:
    """Call `read`, which handles keys until `stop` is set, on another thread; set `stop` at the end.

    `redraw` is called when the terminal was resized or restored. For the main thread only.
    """
    with key_by_key(redraw), on_resize(redraw):
        keys = threading.Thread(target=read, name="ckfunc-keys", daemon=True)
        keys.start()
        try:
            yield
        finally:
            stop.set()
            keys.join(_END_S)
