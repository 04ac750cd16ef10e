"""Server processes: start in a new session, wait, measure memory, stop with all children."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY = re.compile(rb"[Rr]eady (?:on )?(http://127\.0\.0\.1:\d+)")


@dataclass
class Running:
    """A server that is ready. `began` is the value of perf_counter when it was started."""

    process: subprocess.Popen[bytes]
    url: str
    began: float
    ready: float

    @property
    def pid(self) -> int:
        return self.process.pid


@contextmanager
def running(
    command: Sequence[str],
    env: Mapping[str, str],
    cwd: Path,
    timeout_s: float = 60,
    ready: re.Pattern[bytes] | None = READY,
) -> Iterator[Running]:
    """Start `command`, wait for its ready line (None: do not wait), and stop all its processes afterwards."""
    began = time.perf_counter()
    errors_file = cwd / f".{Path(command[0]).name}-{time.monotonic_ns()}.stderr"
    errors = errors_file.open("wb")
    process = subprocess.Popen(
        command,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )
    drain: threading.Thread | None = None
    try:
        url = _wait_until_ready(process, ready, began + timeout_s, errors_file) if ready else ""
        ready_at = time.perf_counter()
        drain = threading.Thread(target=_drain, args=(process,), daemon=True)
        drain.start()
        yield Running(process, url, began, ready_at)
    finally:
        end(process)
        if drain:
            drain.join()
        if process.stdout:
            process.stdout.close()
        errors.close()
        errors_file.unlink()


def _wait_until_ready(process: subprocess.Popen[bytes], ready: re.Pattern[bytes], deadline: float, errors: Path) -> str:
    assert process.stdout is not None
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.perf_counter() < deadline:
            if not selector.select(deadline - time.perf_counter()):
                break
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            said += data
            if found := ready.search(said):
                return found[1].decode() if found.groups() else ""
    raise RuntimeError(f"{process.args!r} never got ready: {said[-1000:]!r} {errors.read_bytes()[-2000:]!r}")


def _drain(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    with contextlib.suppress(OSError, ValueError):
        while os.read(process.stdout.fileno(), 65536):
            pass


def end(process: subprocess.Popen[bytes]) -> None:
    """Terminate a process and its children, then kill those that remain, by id."""
    below = descendants(process.pid)
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid in below:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the ids of all descendants of `pid`; none on a system without /proc and ps."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents().items():
        children.setdefault(parent, []).append(child)
    found: list[int] = []
    queue = [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def _parents() -> dict[int, int]:
    parents: dict[int, int] = {}
    if Path("/proc/self/stat").exists():
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        return parents
    listing = subprocess.run(["ps", "-axo", "pid=,ppid="], capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        child, parent = line.split()
        parents[int(child)] = int(parent)
    return parents


def tree_memory_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants, shared pages counted once (PSS; RSS without /proc)."""
    return sum(memory_bytes(process) for process in [pid, *descendants(pid)])


def memory_bytes(pid: int, kind: str = "Pss") -> int:
    """Return the memory of one process in bytes, 0 when it has ended; `kind` "Rss" counts shared pages in full."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{kind}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return 0
    listing = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return int(listing.strip() or 0) * 1024


@contextmanager
def peak_memory(pid: int, every_s: float = 0.1) -> Iterator[list[int]]:
    """Sample the memory of a tree while the block runs; the list holds every sample in bytes."""
    samples: list[int] = []
    over = threading.Event()

    def sample() -> None:
        while True:
            samples.append(tree_memory_bytes(pid))
            if over.wait(every_s):
                return

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()
