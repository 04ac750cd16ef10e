"""How Node processes are started, killed with everything they started, and measured: what differs between systems."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from ckfunc.runtime.confinement import Reach, call_confined

if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW

    def _started(command: list[str], _pass_fds: tuple[int, ...], **rest: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, creationflags=_NEW_GROUP, **rest)

    def _kill(process: subprocess.Popen[bytes]) -> None:
        # There are no groups to kill: taskkill ends what the process started too, then the process itself.
        with contextlib.suppress(OSError):
            subprocess.run(
                ["taskkill", "/T", "/F", "/PID", str(process.pid)],  # noqa: S607 - on PATH of every Windows
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                creationflags=subprocess.CREATE_NO_WINDOW,
                check=False,
            )
        process.kill()

else:

    def _started(command: list[str], pass_fds: tuple[int, ...], **rest: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, pass_fds=pass_fds, start_new_session=True, **rest)

    def _kill(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def start_group(
    command: list[str],
    *,
    cwd: Path,
    env: dict[str, str],
    stdin: int,
    stdout: int,
    stderr: int,
    pass_fds: tuple[int, ...] = (),
    reach: Reach | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process that leads its own group: a Ctrl-C in the terminal does not reach it. Raises OSError.

    `pass_fds` are inherited on POSIX alone. With a `reach`, the process is confined as far as the system can do it.
    """

    def start() -> subprocess.Popen[bytes]:
        return _started(command, pass_fds, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr)

    return start() if reach is None else call_confined(start, reach)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and all that it started, at once. Does nothing for one that was waited for already."""
    if process.returncode is None:
        _kill(process)


def resident_bytes(pid: int) -> int | None:
    """Return how much memory a process holds in RAM; None where this system has no cheap way to tell."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - read several times a second
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return None


def death(returncode: int) -> str:
    """Return how a process ended, as the end of a sentence."""
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
