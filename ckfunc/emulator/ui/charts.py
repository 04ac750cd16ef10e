"""Charts of runs and failures over time, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ckfunc.model.function import Status

WIDTH, HEIGHT = 600, 60
_BARS = 40
_GAP = 3


@dataclass(frozen=True, slots=True)
class ChartBar:
    """The runs in one interval: `x` and heights in units of the chart, and the counts."""

    x: float
    width: float
    height: float
    failed_height: float
    runs: int
    failures: int
    start: datetime


@dataclass(frozen=True, slots=True)
class RunChart:
    """Runs and failures in intervals of equal length, the oldest first."""

    bars: tuple[ChartBar, ...]
    runs: int
    failures: int
    start: datetime
    end: datetime


def run_chart(runs: Sequence[tuple[datetime, Status]]) -> RunChart | None:
    """Return the chart of these runs, in any order; None for no runs."""
    if not runs:
        return None
    start, end = min(moment for moment, _ in runs), max(moment for moment, _ in runs)
    interval = (end - start) / _BARS
    counts, failures = [0] * _BARS, [0] * _BARS
    for moment, status in runs:
        at = min(int((moment - start) / interval), _BARS - 1) if interval else _BARS - 1
        counts[at] += 1
        failures[at] += status is Status.FAILED
    step, most = WIDTH / _BARS, max(counts)
    bars = tuple(
        ChartBar(
            x=round(at * step, 1),
            width=round(step - _GAP, 1),
            height=round(HEIGHT * counts[at] / most, 1),
            failed_height=round(HEIGHT * failures[at] / most, 1),
            runs=counts[at],
            failures=failures[at],
            start=start + at * interval,
        )
        for at in range(_BARS)
        if counts[at]
    )
    return RunChart(bars, len(runs), sum(failures), start, end)
