"""A command line in a separate process, as a shell would run it."""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0


@contextmanager
def process_of(command: Sequence[str | Path], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process, and kill it if the test fails."""
    with subprocess.Popen(list(map(str, command)), **options) as process:
        try:
            yield process
        except BaseException:
            process.kill()
            raise


class Command:
    """A command in a separate process, whose output is read while it runs."""

    def __init__(self, *args: str | Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ckfunc", *map(str, args)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
        )
        self.said: list[str] = []
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()  # an empty one is the end of the output
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def until(self, text: str) -> str:
        """Return the next line that contains `text`; if there is none in time, fail and show the output."""
        ends = time.monotonic() + PATIENCE_S
        while line := self._next(ends):
            if text in line:
                return line
        raise AssertionError(f"{text!r} never came:\n{''.join(self.said)}")

    def interrupt(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=30)
        while self._next(time.monotonic() + PATIENCE_S):
            pass
        return code

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _next(self, ends: float) -> str:
        try:
            line = self._lines.get(timeout=max(0.0, ends - time.monotonic()))
        except queue.Empty:
            return ""
        if line:
            self.said.append(line)
        else:
            self._lines.put("")  # the output has ended for the next call too
        return line

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._reader.join()
        if self.process.stdout:
            self.process.stdout.close()
