"""What JavaScript a TypeScript source becomes, or where it does not parse."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ckfunc.model.execution import Compiled, Import, SyntaxProblem
from ckfunc.runtime.frames import BrokenStream, Decoder, encode
from ckfunc.runtime.node import bare_environment, node_executable
from ckfunc.runtime.processes import death, kill_group, start_group

PROGRAM = Path(__file__).parent / "node" / "compiler.mjs"
# Node has the modules here that it has for handlers.
_FLAGS = ("--no-warnings", "--experimental-vm-modules", "--no-experimental-sqlite")
_INTERNALS = "--expose-internals"


class _Died(Exception):
    """Node ended before it answered; the argument tells how."""


class Compiler:
    """Compiles handlers and init scripts in one long-lived Node process, started with the first source.

    Sync and thread-safe. Types are removed, never checked; imports that are used as types alone are dropped.
    """

    def __init__(self, *, internals: bool = True) -> None:
        """Without `internals`, only Node's public functions are used: imports of types stay, positions are coarser."""
        self._flags = (*_FLAGS, _INTERNALS) if internals else _FLAGS
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._decoder = Decoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def compile(
        self, scripts: Sequence[tuple[str, str]], *, handlers: bool = False
    ) -> tuple[Compiled | SyntaxProblem, ...]:
        """Compile (name, source) pairs; the answers come in the same order.

        With `handlers`, a source without a function handleEvent that the host can call is a problem too. Names that
        end in .js are taken as JavaScript: none of their imports is dropped. Raises NodeMissing.
        """
        with self._lock:
            found = [self._compile(name, source) for name, source in scripts]
        return tuple(one.no_handler or one if handlers and isinstance(one, Compiled) else one for one in found)

    def is_javascript(self, source: str) -> bool:
        """Return whether a source parses as JavaScript, without anything of TypeScript in it. Raises NodeMissing."""
        with self._lock:
            try:
                answer, _ = self._ask({"op": "plain"}, source)
            except _Died:
                return False
        return bool(answer["plain"])

    def close(self) -> None:
        """End the process; the next `compile` starts another."""
        with self._lock:
            self._stop()

    def _compile(self, name: str, source: str) -> Compiled | SyntaxProblem:
        for last in (False, True):
            try:
                answer, javascript = self._ask({"name": name}, source)
            except _Died as died:
                if last:  # twice: it is this source that Node cannot digest
                    return SyntaxProblem(name, 1, 1, f"Node could not compile this: it {died}")
                continue
            if answer["op"] == "problem":
                return _problem(name, answer)
            imports = tuple(Import(**one) for one in answer["imports"])
            no_handler = _problem(name, answer["handler"]) if answer["handler"] else None
            return Compiled(name, javascript, answer["map"], answer["kind"], imports, no_handler)
        raise AssertionError("unreachable")

    def _ask(self, header: dict[str, Any], source: str) -> tuple[dict[str, Any], str]:
        process = self._process or self._start()
        stdin: Any = process.stdin
        stdout: Any = process.stdout
        try:
            stdin.write(encode(header, source))
            stdin.flush()
            while data := stdout.read1():
                for answer, body in self._decoder.feed(data):
                    return answer, body
        except (OSError, BrokenStream):
            pass
        raise _Died(death(self._stop()))

    def _start(self) -> subprocess.Popen[bytes]:
        self._decoder = Decoder()
        self._process = start_group(
            [str(node_executable()), *self._flags, str(PROGRAM)],
            cwd=PROGRAM.parent,
            env=bare_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        return self._process

    def _stop(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        stdin: Any = process.stdin
        stdout: Any = process.stdout
        with contextlib.suppress(OSError):
            stdin.close()
        try:
            process.wait(timeout=0.5)  # it ends when its input does
        except subprocess.TimeoutExpired:
            kill_group(process)
            process.wait()
        stdout.close()
        return process.returncode


def _problem(name: str, answer: Mapping[str, Any]) -> SyntaxProblem:
    return SyntaxProblem(name, max(answer["line"], 1), max(answer["column"], 1), answer["message"])
