"""Node processes: command lines, process groups, memory and cleanup."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, Self

from ckfunc.base.frozen import frozen
from ckfunc.model.execution import Limits
from ckfunc.runtime.cache import MARKER
from ckfunc.runtime.confinement import Reach, call_confined
from ckfunc.runtime.node import NODE_MAJOR, node_executable, node_major

_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
_MIB = 1024 * 1024
SEAL_BYTES = 16
"""The size of a host's seal, which is the first data sent to it."""
# Packages read these to determine the system (which binaries to load, which certificates exist), and a refusal breaks
# them. They contain no personal data.
_SYSTEM_FILES = (
    *("/etc/alpine-release", "/etc/hosts", "/etc/localtime", "/etc/mime.types", "/etc/os-release", "/etc/pki/tls"),
    *("/etc/resolv.conf", "/etc/ssl/certs", "/etc/timezone", "/lib", "/lib64", "/proc/cpuinfo", "/proc/meminfo"),
    *("/proc/version", "/usr/bin/ldd", "/usr/lib", "/usr/lib64", "/usr/share"),
)

if sys.platform == "win32":
    _NEW_GROUP = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW

    def _started(command: list[str], _pass_fds: tuple[int, ...], **rest: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(command, creationflags=_NEW_GROUP, **rest)

    def _kill(process: subprocess.Popen[bytes]) -> None:
        # Windows has no process groups: taskkill ends the children too, then the process itself.
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
    """Start a process in a group of its own, so that it does not receive Ctrl-C of the terminal. Raises OSError.

    `pass_fds` are inherited only on POSIX. With a `reach`, the process is confined as far as the system supports it.
    """
    start = partial(_started, command, pass_fds, cwd=cwd, env=env, stdin=stdin, stdout=stdout, stderr=stderr)
    return start() if reach is None else call_confined(start, reach)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and its children. Does nothing if its exit code was already read."""
    if process.returncode is None:
        _kill(process)


def resident_bytes(pid: int) -> int | None:
    """Return the resident memory of a process, or None if the system has no cheap way to determine it."""
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


# Resolved through a file, because an installer such as uv may link each file to its cache.
PROGRAMS = (Path(__file__).parent / "node" / "host.mjs").resolve().parent


@frozen
class Places:
    """The directories of a host: installed packages, compiled scripts, V8's cache, and handlers' scratch space."""

    runtime: Path
    scripts: Path
    compile_cache: Path
    scratch: Path

    @property
    def read(self) -> tuple[Path, ...]:
        """Directories and files that a host reads. Only parts of `runtime`, which has scripts of other projects too."""
        packages = self.runtime / "node_modules", self.runtime / "package.json", self.runtime / MARKER
        return (PROGRAMS, *packages, self.scripts, self.scratch, self.compile_cache)


def host_reach(places: Places, *, inspected: bool = False) -> Reach:
    """Return the files and sockets that the kernel allows a host. Raises NodeMissing."""
    own = (node_executable().resolve(), *places.read, *map(Path, _SYSTEM_FILES))
    return Reach(own, (places.scratch, places.compile_cache), listens=inspected)


def host_command(
    places: Places, limits: Limits, *, confined: bool, inspected: bool = False, covered: bool = False
) -> list[str]:
    """Return the command, with INPUT and OUTPUT instead of the numbers of its descriptors. Raises NodeMissing.

    With `inspected`, debuggers can attach. With `covered`, the host can measure coverage; it does not use V8's cache,
    because cached code has no counters. With `confined`, the kernel enforces `host_reach`.
    """
    reads = (*places.read, *_SYSTEM_FILES)
    writes = (places.scratch, places.compile_cache)
    return [
        str(node_executable()),
        "--disable-warning=ExperimentalWarning",
        "--disable-warning=SecurityWarning",
        f"--max-old-space-size={max(16, limits.memory_bytes // _MIB)}",
        # Not a sandbox against malicious code, as native code can bypass it; where the kernel confines the process too,
        # it gives better messages.
        "--permission",
        "--allow-addons",
        "--allow-worker",
        *(["--allow-net"] if node_major() > NODE_MAJOR else ()),  # Node 24 has no such permission
        *(["--allow-wasi"] if confined else ()),  # WASI can open any file, regardless of --permission
        "--no-experimental-sqlite",  # SQLite can open any file, regardless of --permission
        *(["--allow-inspector"] if inspected or covered else ()),
        *(f"--allow-fs-read={path}" for path in reads),
        *(f"--allow-fs-write={path}" for path in writes),
        str(PROGRAMS / "host.mjs"),
        "INPUT",
        "OUTPUT",
        str(SEAL_BYTES),
        "" if covered else str(places.compile_cache),
    ]


HAS_GROUPS = sys.platform != "win32"
"""Without process groups, a host still ends when its channel closes, unless a handler keeps it busy."""

# Reads "+GROUP" and "-GROUP" lines. When its input ends, because ckfunc closed it or died, it kills the remaining
# groups. It uses 1.5 MB of memory, starts in a millisecond and exists on every POSIX system. Idle processes need no
# warden, because a host ends itself when its channel closes. The warden is for busy ones.
_WARDEN = """
trap '' HUP INT TERM
left=' '
while read -r line; do
  group=${line#?}
  case $line in
    +*) left="$left$group " ;;
    -*) case $left in *" $group "*) left="${left%% $group *} ${left#* $group }" ;; esac ;;
  esac
done
for group in $left; do kill -s KILL -- "-$group" 2>/dev/null; done
if [ -n "$1" ]; then rm -rf -- "$1"; fi
exit 0
"""


class Warden:
    """Ends process groups that must not outlive this process, and removes a directory afterwards.

    Thread-safe. The shell is started with the first group.
    """

    def __init__(self) -> None:
        self.directory: Path | None = None
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._groups: set[int] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def watch(self, group: int) -> None:
        """Kill this group if this process dies before `release`."""
        with self._lock:
            self._groups.add(group)
            self._tell(f"+{group}\n")

    def release(self, group: int) -> None:
        """Remove a group. Call it before reading the leader's exit code: until then its number is not reused."""
        with self._lock:
            if group in self._groups:
                self._groups.remove(group)
                self._tell(f"-{group}\n")

    def close(self) -> None:
        """Kill the remaining groups, and end the warden."""
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            _end_warden(process)

    def _tell(self, line: str) -> None:
        if not HAS_GROUPS or self._closed:
            return
        for _ in range(2):
            if self._process is None:
                self._process = _start_warden(self.directory)
                line = "".join(f"+{group}\n" for group in sorted(self._groups))
            try:
                stdin: Any = self._process.stdin
                stdin.write(line.encode())
                stdin.flush()
            except OSError:  # it was killed: start another
                process, self._process = self._process, None
                _end_warden(process)
            else:
                return


def _start_warden(directory: Path | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _WARDEN, "ckfunc-warden", str(directory or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
        cwd=os.sep,
        start_new_session=True,
    )


def _end_warden(process: subprocess.Popen[bytes]) -> None:
    stdin: Any = process.stdin
    with contextlib.suppress(OSError):
        stdin.close()
    process.wait()
