"""Memory of a server with its functions under load: all processes, shared pages counted once."""

from __future__ import annotations

from collections.abc import Sequence

from bench import load
from bench.harness import Figure
from bench.processes import peak_memory
from bench.subjects import Subject


def measure(subjects: Sequence[Subject], seconds: float = 5) -> list[Figure]:
    peaks: dict[str, float] = {}
    for subject in subjects:
        with subject.serve() as served, peak_memory(served.running.pid) as samples:
            load.press(served.url, served.calls, concurrency=16, seconds=seconds)
        peaks[subject.name] = max(samples)
    functions = ", ".join(f"{subject.name} {subject.functions}" for subject in subjects)
    met = peaks["ckfunc"] < 250 * 2**20
    return [Figure("peak memory under load", "B", peaks, "under 250 MiB", met, note=f"functions: {functions}")]
