"""Time from saving a handler under watch to the first result of its new version."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from bench.harness import Figure, median
from bench.subjects import Served, Subject


def measure(subjects: Sequence[Subject], saves: int = 15) -> list[Figure]:
    times = {subject.name: _times(subject, saves) for subject in subjects}
    p50 = {name: median(samples) for name, samples in times.items()}
    if "wrangler" in p50:
        aim, met = "under half of wrangler", p50["ckfunc"] < p50["wrangler"] / 2
    else:
        aim, met = "under 150 ms", p50["ckfunc"] < 0.150
    return [Figure(f"save to new answer, p50 of {saves}", "s", p50, aim, met, _spread(times))]


def _times(subject: Subject, saves: int) -> list[float]:
    with subject.serve(watch=True) as served:
        number = time.time_ns() // 1_000_000_000
        while not _save(subject, served, number, patience_s=1):  # the watch may still be starting
            number += 1
            if time.perf_counter() > served.running.ready + 30:
                raise RuntimeError(f"{subject.name} does not watch: it never answered with what was saved")
        taken = []
        for _ in range(saves):
            time.sleep(0.3)  # a pause between saves, so that all work is done
            number += 1
            begin = time.perf_counter()
            if not _save(subject, served, number, patience_s=20):
                raise RuntimeError(f"{subject.name} never answered with what was saved")
            taken.append(time.perf_counter() - begin)
        return taken


def _save(subject: Subject, served: Served, number: int, patience_s: float) -> bool:
    subject.save(number)
    deadline = time.perf_counter() + patience_s
    while time.perf_counter() < deadline:
        with contextlib.suppress(OSError, RuntimeError):  # a peer refuses connections while it reloads
            if subject.answers(served, number):
                return True
        time.sleep(0.002)
    return False


def _spread(times: dict[str, list[float]]) -> str:
    worst = ", ".join(f"{name} {max(samples) * 1000:.0f}" for name, samples in times.items())
    return f"slowest, ms: {worst}"
