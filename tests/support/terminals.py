"""A command line on a pseudo terminal, or in a pipe, that is read while it runs."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ckfunc.base.text import Line, plain


class Running:
    """A running command, and its output so far."""

    def __init__(self, process: subprocess.Popen[bytes], handle: int) -> None:
        self.process = process
        self.handle = handle
        self.shown = ""

    def until(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Read until the output since the last call matches."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if found := re.search(pattern, self.shown, re.DOTALL):
                self.shown = self.shown[found.end() :]
                return found
            if not select.select([self.handle], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(self.handle, 65536)
            except OSError:
                data = b""
            if not data:
                break
            self.shown += data.decode("utf-8", "replace")
        raise AssertionError(f"{pattern!r} is not in {self.shown!r}")

    def press(self, keys: str) -> None:
        os.write(self.handle, keys.encode())


def started(arguments: list[str | Path], **options: Any) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "CI")}
    return subprocess.Popen(
        [sys.executable, "-m", "ckfunc", *map(str, arguments)],
        env={**kept, "TERM": "xterm", "COLUMNS": "100"},
        start_new_session=True,
        **options,
    )


@contextmanager
def on_terminal(*arguments: str | Path) -> Iterator[Running]:
    ours, theirs = os.openpty()
    process = started([*arguments], stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        yield Running(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


@contextmanager
def in_pipe(*arguments: str | Path) -> Iterator[Running]:
    process = started([*arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    try:
        yield Running(process, process.stdout.fileno())
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def plain_text(lines: Iterable[Line]) -> str:
    """Return the text of lines without their styles, with a newline after each."""
    return "".join(f"{plain(line)}\n" for line in lines)
