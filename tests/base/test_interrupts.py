"""Waits that Ctrl-C ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Sends the signal at each line of Python code that the wait runs, or, where there is none, after a moment.
_AT_EVERY_LINE = """
import os, signal, sys, threading
from ckfunc.base.interrupts import wait_for_interrupt

def waits(at):
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        lines += event == "line"
        if lines == at:
            sys.settrace(None)
            signal.raise_signal(signal.SIGINT)
        return trace

    late = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))

    def begin():
        late.start()
        sys.settrace(trace)

    wait_for_interrupt(begin, on_end=lambda: sys.settrace(None))
    late.cancel()
    late.join()

signal.signal(signal.SIGINT, signal.SIG_IGN)  # one that comes after a wait
for at in range(40):
    waits(at)
print("ended")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal")
def test_an_interrupt_at_any_moment_ends_the_wait() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _AT_EVERY_LINE], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("ended\n", "", 0)


def test_a_wait_ends_by_itself_when_it_is_no_longer_needed() -> None:
    ended = (
        "from ckfunc.base.interrupts import wait_for_interrupt as wait\n"
        "wait(lambda: print('began'), needed=lambda: False, on_end=lambda: print('ended'))"
    )
    ran = subprocess.run([sys.executable, "-c", ended], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.split() == ["began", "ended"]
