"""ckfunc as a separate process, which tests can kill."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from faults.proxy import Exchange, Proxy

LONGEST_S = 60.0


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def start(root: Path, environ: Mapping[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Start a command in a project, without a terminal."""
    return subprocess.Popen(
        [sys.executable, "-m", "ckfunc", *arguments],
        cwd=root,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> Ran:
    """Wait for a process to end; return its exit code and output."""
    try:
        out, err = process.communicate(timeout=LONGEST_S)
    except BaseException:
        process.kill()
        process.communicate()
        raise
    return Ran(process.returncode, out, err)


def run(root: Path, environ: Mapping[str, str], *arguments: str) -> Ran:
    """Run a command to its end."""
    return finish(start(root, environ, *arguments))


class Killer:
    """Kills a process after its write `number` (from 1), and blocks later writes.

    With `unanswered`, the process gets no response to that write. Create it before the process starts.
    """

    def __init__(self, proxy: Proxy, number: int, *, unanswered: bool) -> None:
        self._number = number
        self._writing = threading.Lock()
        self._done = 0
        self._reached = threading.Event()
        self._dead = threading.Event()
        proxy.before = self._before
        proxy.done = self._stop if unanswered else None
        proxy.after = None if unanswered else self._stop

    def kill(self, process: subprocess.Popen[str]) -> bool:
        """Wait for that write and kill the process; return whether the write happened."""
        while not self._reached.wait(0.05):
            if process.poll() is not None:
                break
        process.kill()
        process.communicate()
        self._dead.set()
        return self._reached.is_set()

    def _before(self, exchange: Exchange) -> None:
        # One write at a time, so that the completed writes are known.
        if exchange.is_write:
            self._writing.acquire()
            if self._reached.is_set():
                self._writing.release()
                self._dead.wait(LONGEST_S)
                raise ConnectionAbortedError

    def _stop(self, exchange: Exchange) -> None:
        if not exchange.is_write:
            return
        self._done += 1
        if self._done == self._number:
            self._reached.set()
        self._writing.release()
        if self._reached.is_set():
            self._dead.wait(LONGEST_S)
            raise ConnectionAbortedError
