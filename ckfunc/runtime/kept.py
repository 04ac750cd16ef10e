"""Where compiled scripts are kept, by the digest of their source: trying a handler out need not start a compiler."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from ckfunc import __version__
from ckfunc.base.files import read_checked, write_checked
from ckfunc.base.text import digest
from ckfunc.model.execution import Compiled, Import, SyntaxProblem
from ckfunc.runtime.compiler import Compiler
from ckfunc.runtime.node import node_executable

_KEPT_S = 14 * 24 * 3600.0
_FRESH_S = 24 * 3600.0
_MOST_IN_MEMORY = 2000


class KeptCompiler:
    """Compiles what was not compiled before, on this machine. Sync and thread-safe.

    `compiler` gives what compiles, when there is something to compile; `cache` is a directory for what can be made
    again. What does not parse is remembered in memory alone.
    """

    def __init__(self, compiler: Callable[[], Compiler], cache: Path) -> None:
        self._compiler = compiler
        self._directory = cache / "scripts"
        self._known: dict[tuple[str, str], Compiled | SyntaxProblem] = {}
        self._lock = threading.Lock()
        self._node = ""
        self._tidied = False

    def compile(self, scripts: Sequence[tuple[str, str]]) -> tuple[Compiled | SyntaxProblem, ...]:
        """Compile (name, source) pairs; the answers come in the same order. Raises NodeMissing."""
        return tuple(self._one(name, source) for name, source in scripts)

    def _one(self, name: str, source: str) -> Compiled | SyntaxProblem:
        with self._lock:  # two who want the same wait for one compilation
            known = self._known.get((name, source))
            if known is not None:
                return known
            file = self._directory / f"{digest(json.dumps([self._made_by(), name, source]))}.json"
            result: Compiled | SyntaxProblem | None = _read(file, name)
            if result is None:
                (result,) = self._compiler().compile([(name, source)])
                if isinstance(result, Compiled):
                    _write(file, result)
                    if not self._tidied:  # once is enough, however many scripts are compiled
                        self._tidied = True
                        _forget_old(self._directory)
            if len(self._known) >= _MOST_IN_MEMORY:
                self._known.clear()
            self._known[name, source] = result
            return result

    def _made_by(self) -> str:
        """Return what names the compiler: another Node or ckfunc may make something else of a source."""
        if not self._node:
            node = node_executable()
            found = node.stat()
            self._node = f"{__version__} {node} {found.st_size} {found.st_mtime_ns}"
        return self._node


def _read(file: Path, name: str) -> Compiled | None:
    """Return what is kept; whatever cannot be read counts as not there."""
    try:
        found = read_checked(file)
        result = Compiled(
            name,
            javascript=str(found["javascript"]),
            source_map=str(found["source_map"]),
            module_kind=str(found["module_kind"]),
            imports=tuple(Import(**one) for one in found["imports"]),
            no_handler=SyntaxProblem(**found["no_handler"]) if found["no_handler"] else None,
        )
        if time.time() - file.stat().st_mtime > _FRESH_S:
            os.utime(file)  # used again: not to be forgotten soon
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return result


def _write(file: Path, result: Compiled) -> None:
    with contextlib.suppress(OSError):
        write_checked(file, asdict(result))


def _forget_old(directory: Path) -> None:
    oldest = time.time() - _KEPT_S
    with contextlib.suppress(OSError):
        for one in directory.iterdir():
            if one.stat().st_mtime < oldest:
                one.unlink(missing_ok=True)
