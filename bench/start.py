"""Time to the first result: from the start of the server, and from the first call when it is ready."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from bench.harness import Figure, alternate, median
from bench.subjects import Subject

_PAUSE_S = 1.0
"""The pause between the start of a server and the call of a quick developer."""


def measure(subjects: Sequence[Subject], rounds: int = 5) -> list[Figure]:
    cold: dict[str, list[float]] = {subject.name: [] for subject in subjects}

    def start(subject: Subject) -> float:
        with subject.serve() as served:
            called = time.perf_counter()
            served.call()
            answered = time.perf_counter()
        cold[subject.name].append(answered - called)
        return answered - served.running.began

    def first_call_later(subject: Subject) -> float:
        with subject.serve() as served:
            time.sleep(_PAUSE_S)
            called = time.perf_counter()
            served.call()
            return time.perf_counter() - called

    starts = alternate({subject.name: partial(start, subject) for subject in subjects}, rounds)
    first = {name: median(samples) for name, samples in starts.items()}
    call = {name: median(samples[1:]) for name, samples in cold.items()}
    later_calls = alternate({subject.name: partial(first_call_later, subject) for subject in subjects}, rounds)
    later = {name: median(samples) for name, samples in later_calls.items()}
    under_miniflare = first["ckfunc"] < first["miniflare"] if "miniflare" in first else None
    return [
        Figure("start to first answered call", "s", first, "under miniflare", under_miniflare),
        Figure("cold first call, when ready", "s", call, "under 110 ms", call["ckfunc"] < 0.110),
        Figure("cold first call, a second later", "s", later, "under 45 ms", later["ckfunc"] < 0.045),
    ]
