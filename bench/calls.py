"""Throughput of warm functions over HTTP.

One call at a time, and 16 concurrent calls; ckfunc stores every invocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench import load
from bench.harness import Figure, alternate, median
from bench.subjects import Subject


def measure(subjects: Sequence[Subject], rounds: int = 3, seconds: float = 3) -> list[Figure]:
    alone: dict[str, list[float]] = {one.name: [] for one in subjects}

    def visit(subject: Subject) -> float:
        with subject.serve() as served:
            calls = served.calls[:1]
            alone[subject.name].append(load.press(served.url, calls, concurrency=1, seconds=1, warmup_calls=200).p50_s)
            return load.press(served.url, calls, concurrency=16, seconds=seconds, warmup_calls=500).per_second

    rates = alternate({one.name: partial(visit, one) for one in subjects}, rounds, warmups=0)
    p50 = {name: median(samples) for name, samples in alone.items()}
    rate = {name: median(samples) for name, samples in rates.items()}
    three_times_wrangler = rate["ckfunc"] > 3 * rate["wrangler"] if "wrangler" in rate else None
    return [
        Figure("warm call, one at a time, p50", "s", p50, "under 1 ms", p50["ckfunc"] < 0.001),
        Figure("calls, 16 at once", "/s", rate, "over 3 x wrangler", three_times_wrangler),
    ]
