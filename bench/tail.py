"""Completeness, speed and memory of `logs -f` with 10,000 invocations."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Sequence

from bench import load
from bench.harness import CKFUNC, Figure
from bench.processes import end, memory_bytes
from bench.subjects import Ckfunc, Served, Subject

INVOCATIONS = 10_000
EARLY = 1_000


def measure(subjects: Sequence[Subject]) -> list[Figure]:
    subject = next(subject for subject in subjects if isinstance(subject, Ckfunc))
    with subject.serve() as served:
        tail = _Tail(subject)
        try:
            while not tail.ended:  # the tail is ready once it prints an event that was just fired
                served.call()
                time.sleep(0.2)
            began = time.perf_counter()
            _fire(served, EARLY)
            tail.wait_for(EARLY)
            early = memory_bytes(tail.process.pid, "Rss")
            _fire(served, INVOCATIONS - EARLY)
            fired = time.perf_counter()
            tail.wait_for(INVOCATIONS)
            last = time.perf_counter()
            late = memory_bytes(tail.process.pid, "Rss")
        finally:
            tail.close()
    missing = max(tail.ended) - min(tail.ended) + 1 - len(set(tail.ended))
    twice = len(tail.ended) - len(set(tail.ended))
    wrong = missing + twice + tail.disorder
    what = f"tail of {INVOCATIONS:,} invocations"
    lag = (
        f"last line {(last - fired) * 1000:.0f} ms after the last call; {len(tail.ended) / (last - began):,.0f} lines/s"
    )
    memory = f"{late / 2**20:.0f} MiB, after {EARLY:,}: {early / 2**20:.0f} MiB"
    return [
        Figure(f"{what}: lost, repeated, disordered", "", {"ckfunc": wrong}, "0", not wrong, lag),
        Figure(f"{what}: memory growth", "x", {"ckfunc": late / early}, "flat: under 1.10", late / early < 1.1, memory),
    ]


def _fire(served: Served, calls: int) -> None:
    load.press(served.url, served.calls[:1], concurrency=16, seconds=0, warmup_calls=calls - 16)


class _Tail:
    """`ckfunc logs -f --json`, read on a thread. `ended` has the ids of ended invocations in printed order."""

    def __init__(self, subject: Ckfunc) -> None:
        command = [CKFUNC, "-C", str(subject.home), "--target", "local", "logs", "-f", "-n", "0", "--json"]
        self.process: subprocess.Popen[bytes] = subprocess.Popen(
            command,
            env=subject.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.ended: list[int] = []
        self.disorder = 0
        self._newest = 0
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            entry = json.loads(line)
            seen_running = entry["id"] <= self._newest
            self._newest = max(self._newest, entry["id"])
            if entry["status"] == "RUNNING":
                self.disorder += seen_running
            else:
                self.ended.append(entry["id"])

    def wait_for(self, count: int, timeout_s: float = 120) -> None:
        deadline = time.perf_counter() + timeout_s
        while len(self.ended) < count:
            if time.perf_counter() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the tail showed {len(self.ended)} of {count} invocations")
            time.sleep(0.005)

    def close(self) -> None:
        end(self.process)
        self._thread.join()
        if self.process.stdout:
            self.process.stdout.close()
