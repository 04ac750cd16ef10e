"""Shared parts of all measurements: clean environment, alternating rounds, medians, table."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SCRATCH = ROOT / ".cache" / "bench"
BIN = Path(sys.executable).parent
CKFUNC = str(BIN / "ckfunc")


@dataclass(frozen=True)
class Figure:
    """One line of the table: a value for each subject. `unit` is "s", "/s", "B", "x" (a ratio), or "" (a count).

    `met` is None where there is no aim, or none that can be judged without the peers.
    """

    what: str
    unit: str
    values: Mapping[str, float]
    aim: str = ""
    met: bool | None = None
    note: str = ""


def clean_env(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a minimal environment, so that the developer's shell does not affect results.

    A single inherited variable matters: NODE_EXTRA_CA_CERTS alone triples the start of Node.
    """
    home.mkdir(parents=True, exist_ok=True)
    system = {name: os.environ[name] for name in ("SYSTEMROOT", "TMPDIR", "TEMP", "TMP") if name in os.environ}
    return {
        "PATH": os.pathsep.join([str(BIN), os.defpath]),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        **system,
        **(extra or {}),
    }


def wall_s(command: Sequence[str], env: Mapping[str, str], cwd: Path | None = None) -> float:
    """Return how long `command` takes in seconds; raises with its output when it fails."""
    begin = time.perf_counter()
    done = subprocess.run(command, env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = time.perf_counter() - begin
    if done.returncode:
        raise RuntimeError(
            f"{list(command)} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}"
        )
    return took


def alternate(measures: Mapping[str, Callable[[], float]], rounds: int, warmups: int = 1) -> dict[str, list[float]]:
    """Return `rounds` samples for each name, taken in turn, in both directions, so that a slow period affects all."""
    for _ in range(warmups):
        for measure in measures.values():
            measure()
    samples: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        names = list(measures) if number % 2 == 0 else list(measures)[::-1]
        for name in names:
            samples[name].append(measures[name]())
    return samples


def median(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def paired_ratio(samples: Sequence[float], base: Sequence[float]) -> float:
    """Return the median of the ratios of each round, which noise of more than a round does not affect."""
    return median([own / other for own, other in zip(samples, base, strict=True)])


def shown(value: float, unit: str) -> str:
    """Return a value formatted with its unit."""
    if unit == "s":
        ms = value * 1000
        return f"{ms:.2f} ms" if ms < 10 else f"{ms:.1f} ms" if ms < 100 else f"{ms:.0f} ms"
    if unit == "B":
        return f"{value / 2**20:.0f} MiB"
    if unit == "x":
        return f"{value:.2f} x"
    return f"{value:,.0f}{unit}"


def advantage(figure: Figure, subject: str, base: str = "ckfunc") -> str:
    """Return how many times better `base` is than `subject` (below 1: worse); works for rates too."""
    if base not in figure.values or subject not in figure.values:
        return ""
    ratio = figure.values[subject] / figure.values[base]
    return f"{1 / ratio if figure.unit == '/s' else ratio:.2f} x"


def talk(text: str) -> None:
    """Print progress to stderr; only the table goes to stdout."""
    print(text, file=sys.stderr, flush=True)


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as aligned text: a column for each subject, ckfunc's advantage over each peer, the aim."""
    subjects = list(dict.fromkeys(subject for figure in figures for subject in figure.values))
    peers = [subject for subject in subjects if subject != "ckfunc"]
    mark = {True: "met", False: "MISSED", None: ""}
    rows = [["what", *subjects, *(f"vs {peer}" for peer in peers), "aim", "", ""]]
    for figure in figures:
        values = [
            shown(figure.values[subject], figure.unit) if subject in figure.values else "-" for subject in subjects
        ]
        better = [advantage(figure, peer) for peer in peers]
        rows.append([figure.what, *values, *better, figure.aim, mark[figure.met], figure.note])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
