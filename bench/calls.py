"""Throughput of warm functions over HTTP.

One call at a time, and 16 concurrent calls; ckfunc stores every invocation. Ratios are medians of the rounds' ratios,
in which the subjects take turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench import load
from bench.harness import Figure, alternate, median, paired_ratio
from bench.subjects import Subject


def measure(subjects: Sequence[Subject], rounds: int = 5, seconds: float = 3) -> list[Figure]:
    alone: dict[str, list[float]] = {subject.name: [] for subject in subjects}

    def visit(subject: Subject) -> float:
        with subject.serve() as served:
            calls = served.calls[:1]
            alone[subject.name].append(load.press(served.url, calls, concurrency=1, seconds=1, warmup_calls=200).p50_s)
            return load.press(served.url, calls, concurrency=16, seconds=seconds, warmup_calls=500).per_second

    rates = alternate({subject.name: partial(visit, subject) for subject in subjects}, rounds, warmups=0)
    p50 = {name: median(samples) for name, samples in alone.items()}
    rate = {name: median(samples) for name, samples in rates.items()}
    ratios = {} if "miniflare" not in rates else _ratios(alone, rates)
    three_times_wrangler = rate["ckfunc"] > 3 * rate["wrangler"] if "wrangler" in rate else None
    return [
        Figure("warm call, one at a time, p50", "s", p50, "under 1 ms", p50["ckfunc"] < 0.001),
        Figure("calls, 16 at once", "/s", rate, "over 3 x wrangler", three_times_wrangler),
        *(
            Figure(f"{what}, ratio to miniflare", "x", {"ckfunc": ratio}, aim, met)
            for what, (ratio, aim, met) in ratios.items()
        ),
    ]


def _ratios(alone: dict[str, list[float]], rates: dict[str, list[float]]) -> dict[str, tuple[float, str, bool]]:
    latency = paired_ratio(alone["ckfunc"], alone["miniflare"])
    throughput = paired_ratio(rates["ckfunc"], rates["miniflare"])
    return {
        "warm call p50": (latency, "at most 1.30 x", latency <= 1.3),
        "calls at 16": (throughput, "at least 1.20 x", throughput >= 1.2),
    }
