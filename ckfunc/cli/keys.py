"""Which keys are pressed, one by one, without Enter; Ctrl-C stays what it is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LOOK_S = 0.2
"""How often it is looked whether to stop."""

if sys.platform == "win32":
    import msvcrt

    @contextmanager
    def key_by_key() -> Iterator[None]:
        """Let keys be read as they are pressed."""
        yield

    def pressed_keys(stop: threading.Event) -> Iterator[str]:
        """Yield keys until `stop` is set."""
        while not stop.wait(LOOK_S):
            while msvcrt.kbhit():
                yield msvcrt.getwch()

else:
    import os
    import select
    import termios

    @contextmanager
    def key_by_key() -> Iterator[None]:
        """Let keys be read as they are pressed, and not be echoed; the terminal is put back afterwards."""
        handle = sys.stdin.fileno()
        before = termios.tcgetattr(handle)
        changed = termios.tcgetattr(handle)
        changed[3] &= ~(termios.ICANON | termios.ECHO)
        try:
            termios.tcsetattr(handle, termios.TCSANOW, changed)
            yield
        finally:
            with suppress(termios.error):
                termios.tcsetattr(handle, termios.TCSADRAIN, before)

    def pressed_keys(stop: threading.Event) -> Iterator[str]:
        """Yield keys until `stop` is set, or standard input ends."""
        handle = sys.stdin.fileno()
        while not stop.is_set():
            ready, _, _ = select.select([handle], [], [], LOOK_S)
            if not ready:
                continue
            data = os.read(handle, 64)
            if not data:
                return
            yield from data.decode("utf-8", "ignore")
