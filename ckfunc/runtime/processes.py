"""Node processes: command lines, process groups and memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ckfunc.model.execution import Limits
from ckfunc.runtime.confinement import Reach, call_confined
from ckfunc.runtime.contents import MARKER
from ckfunc.runtime.node import node_executable

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


PROGRAMS = (Path(__file__).parent / "node").resolve()
_MIB = 1024 * 1024

SEAL_BYTES = 16
"""How many bytes a host is sent first, with which all its frames begin."""

# Packages look here to find out which system they are on (which of their binaries to load, which certificates there
# are), and a refusal breaks them. Nothing of a developer's is in these places.
_SYSTEM_FILES = (
    "/etc/alpine-release",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/os-release",
    "/etc/pki/tls",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/etc/timezone",
    "/lib",
    "/lib64",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/proc/version",
    "/usr/bin/ldd",
    "/usr/lib",
    "/usr/lib64",
    "/usr/share",
)


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of a host: installed packages, compiled scripts, V8's cache, and where handlers may write."""

    runtime: Path
    scripts: Path
    compile_cache: Path
    scratch: Path

    @property
    def read(self) -> tuple[Path, ...]:
        """What a host reads of its own. The scripts of other projects lie below `runtime` too."""
        packages = self.runtime / "node_modules", self.runtime / "package.json", self.runtime / MARKER
        return (PROGRAMS, *packages, self.scripts, self.scratch, self.compile_cache)


def host_reach(places: Places, *, inspected: bool = False) -> Reach:
    """Return what the kernel lets a host use, where it can confine it. Raises NodeMissing."""
    own = (node_executable().resolve(), *places.read, *map(Path, _SYSTEM_FILES))
    return Reach(own, (places.scratch, places.compile_cache), listens=inspected)


def host_command(places: Places, limits: Limits, *, confined: bool, inspected: bool = False) -> list[str]:
    """Return the command, with the words INPUT and OUTPUT for the numbers of its descriptors. Raises NodeMissing.

    One that is `inspected` may let debuggers attach. `confined` tells that the kernel enforces `host_reach`.
    """
    reads = (*places.read, *_SYSTEM_FILES)
    writes = (places.scratch, places.compile_cache)
    return [
        str(node_executable()),
        "--disable-warning=ExperimentalWarning",
        "--disable-warning=SecurityWarning",
        f"--max-old-space-size={max(16, limits.memory_bytes // _MIB)}",
        # Alone it is no sandbox against malice, since native code is not asked; where the kernel confines the process
        # too, it gives the better messages.
        "--permission",
        "--allow-addons",
        "--allow-worker",
        *(["--allow-wasi"] if confined else ()),  # WASI opens any file, whatever is allowed here
        "--no-experimental-sqlite",  # it opens any file, whatever is allowed here
        *(["--allow-inspector"] if inspected else ()),
        *(f"--allow-fs-read={one}" for one in reads),
        *(f"--allow-fs-write={one}" for one in writes),
        str(PROGRAMS / "host.mjs"),
        "INPUT",
        "OUTPUT",
        str(SEAL_BYTES),
        str(places.compile_cache),
    ]
