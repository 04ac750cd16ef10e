"""Duration of commands with a lock of 200 packages that fits the manifest."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness import CKFUNC, SCRATCH, Figure, clean_env, median, wall_s
from bench.subjects import Subject, replace
from ckfunc.manifest.project import lock_text
from ckfunc.model.application import PLATFORM_RANGES
from ckfunc.model.lock import PackageLock

PACKAGES = 200
_DIRECT = 20
_INTEGRITY = f"sha512-{'A' * 86}=="


def measure(subjects: Sequence[Subject], rounds: int = 9) -> list[Figure]:
    del subjects
    home = SCRATCH / "lock"
    shutil.rmtree(home, ignore_errors=True)
    _write_project(home)
    env = clean_env(SCRATCH / "home")
    figures = []
    for what, command in (("check the lock", ["lock", "--check"]), ("lock", ["lock"])):
        seconds = median([wall_s([CKFUNC, "-C", str(home), "-q", *command], env) for _ in range(rounds)])
        figures.append(
            Figure(
                f"{what}: {PACKAGES} packages, nothing changed",
                "s",
                {"ckfunc": seconds},
                "under 1000 ms",
                seconds < 1,
                "npm does not run",
            )
        )
    return figures


def _write_project(home: Path) -> None:
    names = [*PLATFORM_RANGES, *(f"bench-{number:03}" for number in range(PACKAGES - len(PLATFORM_RANGES)))]
    entries: dict[str, dict[str, Any]] = {
        f"node_modules/{name}": {"version": "1.0.0", "integrity": _INTEGRITY} for name in names
    }
    for name, required in itertools.pairwise(names):
        entries[f"node_modules/{name}"]["dependencies"] = {required: "^1.0.0"}
    own = dict.fromkeys(names[-_DIRECT:], "^1.0.0")
    home.mkdir(parents=True)
    lines = ["version: 1", "runtime:", "  dependencies:", *(f"    {name}: {version}" for name, version in own.items())]
    replace(home / "functions.yaml", "\n".join([*lines, ""]))
    replace(home / "functions.lock", lock_text(PackageLock.of_entries({**PLATFORM_RANGES, **own}, entries)))
