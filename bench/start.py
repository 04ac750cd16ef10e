"""Time to the first result: from the start of the server, and from the first call when it is ready."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from bench.harness import Figure, alternate, median
from bench.subjects import Subject


def measure(subjects: Sequence[Subject], rounds: int = 5) -> list[Figure]:
    cold: dict[str, list[float]] = {one.name: [] for one in subjects}

    def start(subject: Subject) -> float:
        with subject.serve() as served:
            called = time.perf_counter()
            served.call()
            answered = time.perf_counter()
        cold[subject.name].append(answered - called)
        return answered - served.running.began

    starts = alternate({one.name: partial(start, one) for one in subjects}, rounds)
    first = {name: median(samples) for name, samples in starts.items()}
    call = {name: median(samples[1:]) for name, samples in cold.items()}
    under_miniflare = first["ckfunc"] < first["miniflare"] if "miniflare" in first else None
    return [
        Figure("start to first answered call", "s", first, "under miniflare", under_miniflare),
        Figure("cold first call", "s", call, "under 110 ms", call["ckfunc"] < 0.110),
    ]
