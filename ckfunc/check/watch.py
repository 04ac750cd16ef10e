"""Checks that are repeated after every change of a project's files."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from ckfunc.base.clock import Clock
from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.base.interrupts import require_uninterrupted
from ckfunc.check.project import CheckedProject
from ckfunc.manifest import watched_files
from ckfunc.watch.batches import Stop, batches


@dataclass(frozen=True, slots=True)
class Recheck:
    """The result of a repeated check, with the warnings that are different from those of the last result."""

    checked: CheckedProject
    new_warnings: tuple[str | Problem, ...]
    took_s: float


def rechecks(
    check: Callable[[], CheckedProject], root: Path, target: str | None, clock: Clock
) -> Iterator[Recheck | CkfuncError]:
    """Check now and after every change, until Ctrl-C. Yield errors too: the next change may fix them.

    A check that was repeated without a change is only yielded if its result is different.
    """
    wake = threading.Event()
    watched: frozenset[Path] = frozenset()
    last: CheckedProject | None = None

    def files() -> Collection[Path]:
        # The files that the last result depends on, as far as they can be read from an invalid manifest.
        return {*watched, *watched_files(root, target)}

    wake.set()  # the first check comes after the watch has begun, so that no change is missed
    for batch in batches(files, root, Stop(), wake=wake):
        began = clock.monotonic_s()
        try:
            checked = check()
        except CkfuncError as problem:
            yield problem
            continue
        if added := frozenset(checked.watched) - watched:
            # These files were not watched while they were read, so check again for changes in the meantime.
            watched |= added
            wake.set()
        before, last = last, checked
        if before is None or batch or (before.problems, before.warnings) != (checked.problems, checked.warnings):
            new = before is None or before.warnings != checked.warnings
            yield Recheck(checked, checked.warnings if new else (), clock.monotonic_s() - began)
    require_uninterrupted()
