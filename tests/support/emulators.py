"""Emulators that start no process before a function needs it."""

from __future__ import annotations

import atexit
from functools import cache
from pathlib import Path
from typing import Any

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.runtime.compiler import CachingCompiler, CompilerProcess


@cache
def shared_compiler() -> CachingCompiler:
    """Return the compiler of all emulators in this process of pytest."""
    process = CompilerProcess()
    atexit.register(process.close)
    return CachingCompiler(lambda: process, cache_dir())


def cold_emulator(data_dir: Path | None, **options: Any) -> Emulator:
    """Return an emulator that starts a function's process with its first run; `data_dir` None keeps data in memory."""
    given = EmulatorOptions(spares=False, compiler=shared_compiler(), **options)
    return Emulator(data_dir, given, cache=cache_dir())
