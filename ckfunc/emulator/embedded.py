"""Start a project's emulator inside a command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ckfunc.base.clock import Clock
from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.emulator.data_directory import DATABASE, UnusableDirectory, find_running
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.store.trouble import UnwritableDatabase

STARTING_S = 5.0
"""How long an emulator may hold its data directory without answering: while it starts, and while it ends."""


def start_embedded(data: Path, options: EmulatorOptions, cache: Path, clock: Clock) -> tuple[str, Emulator | None]:
    """Start an emulator of `data`, and return its address and the emulator.

    If another process starts one at the same time, return its address, and None. If `data` cannot be written to, the
    emulator serves a copy and refuses changes, unless a port or a seed was given. Raises Busy after STARTING_S.
    """
    emulator = Emulator(data, options, cache=cache)
    until_s = clock.monotonic_s() + STARTING_S
    while True:
        try:
            return emulator.start(), emulator
        except (UnusableDirectory, UnwritableDatabase) as problem:
            if options.port or options.seed is not None or not problem.unwritable:
                raise
            emulator = _read_only(data, options, cache, problem)
        except Busy:
            # The process that holds the directory is about to answer, or about to release it.
            if (running := find_running(data)) is not None:
                return running, None
            if clock.monotonic_s() > until_s:
                raise
            clock.sleep(0.05)


def _read_only(data: Path, options: EmulatorOptions, cache: Path, problem: CkfuncError) -> Emulator:
    """Return an emulator that serves a copy of the data and refuses every change, for the reason in `problem`."""
    if options.on_event is not None:
        options.on_event(f"emulator: read-only: {problem.message}")
    reason = problem.sentence
    copy_of = data if (data / DATABASE).is_file() else None
    return Emulator(None, replace(options, copy_of=copy_of, unwritable=reason, spares=False), cache=cache)
