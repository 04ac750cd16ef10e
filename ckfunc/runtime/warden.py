"""Cleanup of child processes when ckfunc ends, even when it is killed.

A small shell outlives ckfunc and kills remaining processes.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

HAS_GROUPS = sys.platform != "win32"
"""Without process groups, a host still ends when its channel closes, unless a handler keeps it busy."""

# Reads "+GROUP" and "-GROUP" lines. When its input ends, because ckfunc closed it or died, it kills the remaining
# groups. It uses 1.5 MB of memory, starts in a millisecond and exists on every POSIX system. Idle processes need no
# warden, because a host ends itself when its channel closes. The warden is for busy ones.
_SCRIPT = """
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
            _end(process)

    def _tell(self, line: str) -> None:
        if not HAS_GROUPS or self._closed:
            return
        for _ in range(2):
            if self._process is None:
                self._process = _start(self.directory)
                line = "".join(f"+{group}\n" for group in sorted(self._groups))
            try:
                stdin: Any = self._process.stdin
                stdin.write(line.encode())
                stdin.flush()
            except OSError:  # it was killed: start another
                process, self._process = self._process, None
                _end(process)
            else:
                return


def _start(directory: Path | None) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, "ckfunc-warden", str(directory or "")],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin"},
        cwd=os.sep,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    stdin: Any = process.stdin
    with contextlib.suppress(OSError):
        stdin.close()
    process.wait()
