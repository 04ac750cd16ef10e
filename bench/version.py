"""Start-up time: `ckfunc --version` compared with a Python that only imports click."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial

from bench.harness import SCRATCH, Figure, alternate, clean_env, median, paired_ratio, wall_s
from bench.subjects import Ckfunc, Subject


def measure(subjects: Sequence[Subject], rounds: int = 15) -> list[Figure]:
    env = clean_env(SCRATCH / "home")
    commands = {
        subject.name: (subject.version_command(), subject.env) for subject in subjects if subject.version_command()
    }
    commands["import click"] = ([sys.executable, "-c", "import click"], env)
    samples = alternate({name: partial(wall_s, *command) for name, command in commands.items()}, rounds)
    ratio = paired_ratio(samples[Ckfunc.name], samples["import click"])
    seconds = {name: median(taken) for name, taken in samples.items() if name != "import click"}
    return [
        Figure("--version", "s", seconds, note=f"import click: {median(samples['import click']) * 1000:.0f} ms"),
        Figure("--version / import click", "x", {Ckfunc.name: ratio}, "at most 1.5", ratio <= 1.5),
    ]
