"""Lines of standard input, read on a thread."""

from __future__ import annotations

import codecs
import os
import sys
import threading
from collections.abc import Callable


def read_input(typed: Callable[[str], object], ended: Callable[[], object]) -> None:
    """Call `typed` with each line of standard input, and `ended` after the last one, on a thread of its own.

    The thread reads without Python's buffer, whose lock it would still hold when the process ends.
    """

    def read() -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        try:
            while data := os.read(sys.stdin.fileno(), 65536):
                *lines, rest = (rest + decoder.decode(data)).split("\n")
                for line in lines:
                    typed(line.rstrip("\r"))
        except (OSError, ValueError):  # closed, or the terminal is gone
            pass
        if rest:
            typed(rest)
        ended()

    threading.Thread(target=read, name="ckfunc-input", daemon=True).start()
