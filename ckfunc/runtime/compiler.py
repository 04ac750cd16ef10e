"""Compile TypeScript in a Node process. Results are cached by the digest of the source."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, Self

from ckfunc import __version__
from ckfunc.base.files import mark_used, read_checked, remove_unused, write_checked
from ckfunc.base.text import digest
from ckfunc.model.execution import Compiled, Import, Resolution, StatementList, SyntaxProblem
from ckfunc.runtime.frames import BrokenStream, Decoder, encode
from ckfunc.runtime.node import START_S, bare_environment, no_answer, node_executable
from ckfunc.runtime.processes import death, kill_group, start_group

PROGRAM = Path(__file__).parent / "node" / "compiler.mjs"
# Node has the modules here that it has for handlers.
_FLAGS = (
    *("--no-warnings", "--experimental-vm-modules", "--no-experimental-sqlite"),
    "--experimental-import-meta-resolve",  # with a parent
)
_INTERNALS = "--expose-internals"

_UNUSED_S = 14 * 24 * 3600.0
_FRESH_S = 24 * 3600.0
_MOST_IN_MEMORY = 2000


class _Died(Exception):
    """Node ended before it responded; the argument says how."""


@cache
def programs_digest() -> str:
    """Return a digest of ckfunc's version and its programs for Node, whose results are cached."""
    contents = hashlib.blake2b(__version__.encode())
    for program in sorted(PROGRAM.parent.iterdir()):
        if program.suffix == PROGRAM.suffix:
            contents.update(program.read_bytes())
    return contents.hexdigest()


class CompilerProcess:
    """Compiles handlers and init scripts in one long-lived Node process, started with the first source.

    Sync and thread-safe. Types are removed, never checked; imports that are only used as types are dropped.
    """

    def __init__(self, *, internals: bool = True) -> None:
        """Without `internals`, only Node's public API is used: imports of types stay, positions are less precise."""
        self._flags = (*_FLAGS, _INTERNALS) if internals else _FLAGS
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._decoder = Decoder()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def compile(self, scripts: Sequence[tuple[str, str]]) -> tuple[Compiled | SyntaxProblem, ...]:
        """Compile (name, source) pairs; the results have the same order.

        Names that end in .js are JavaScript, and keep all of their imports. Raises NodeMissing.
        """
        with self._lock:
            return tuple(self._compile(name, source) for name, source in scripts)

    def warm_up(self) -> None:
        """Start Node on another thread, so that the first source does not wait for it."""
        threading.Thread(target=self.compile, args=([("warm-up.ts", "")],), daemon=True).start()

    def is_javascript(self, source: str) -> bool:
        """Return whether a source parses as JavaScript, without TypeScript syntax. Raises NodeMissing."""
        answer = self._answer({"op": "plain"}, source)
        return answer is not None and bool(answer["plain"])

    def resolve(self, directory: Path, imports: Sequence[Import]) -> tuple[Resolution, ...]:
        """Resolve imports of packages as a script in `directory` would, in the same order. Raises NodeMissing."""
        answer = self._answer({"op": "resolve", "directory": str(directory), "imports": _specifiers(imports)})
        return (Resolution(True),) * len(imports) if answer is None else tuple(map(Resolution.of, answer["modules"]))

    def statements(self, script: Compiled) -> tuple[StatementList, ...] | None:
        """Return the lists of statements in a compiled script, the outermost first, or None for unsupported syntax.

        Raises NodeMissing.
        """
        answer = self._answer({"op": "statements", "kind": script.module_kind}, script.javascript)
        lists = None if answer is None else answer["lists"]
        return None if lists is None else tuple(StatementList(around, tuple(starts)) for around, *starts in lists)

    def close(self) -> None:
        """End the process; the next `compile` starts another."""
        with self._lock:
            self._stop()

    def _compile(self, name: str, source: str) -> Compiled | SyntaxProblem:
        for last in (False, True):
            try:
                answer, javascript = self._ask({"name": name}, source)
            except _Died as died:
                if last:  # Node has ended twice: this source causes it, or every source does
                    return SyntaxProblem(name, 1, 1, f"Node could not compile this: it {died}")
                continue
            if answer["op"] == "problem":
                return _problem(name, answer)
            imports = tuple(Import.of(fields) for fields in answer["imports"])
            no_handler, failure, warning = (
                _problem(name, answer[key]) if answer[key] else None for key in ("handler", "failure", "warning")
            )
            return Compiled(name, javascript, answer["map"], answer["kind"], imports, no_handler, failure, warning)
        raise AssertionError("unreachable")

    def _answer(self, header: dict[str, Any], source: str = "") -> dict[str, Any] | None:
        """Return the answer to a request; None if Node has ended."""
        with self._lock, contextlib.suppress(_Died):
            return self._ask(header, source)[0]
        return None

    def _ask(self, header: dict[str, Any], source: str) -> tuple[dict[str, Any], str]:
        until = None if self._process else time.monotonic() + START_S
        process = self._process or self._start()
        limit = threading.Timer(START_S, kill_group, [process])
        stdin: Any = process.stdin
        stdout: Any = process.stdout
        try:
            if until is not None:
                limit.start()
            stdin.write(encode(header, source))
            stdin.flush()
            while data := stdout.read1():
                for answer, body in self._decoder.feed(data):
                    return answer, body
        except (OSError, BrokenStream):
            pass
        finally:
            limit.cancel()
        ended = death(self._stop())
        if until is not None and time.monotonic() >= until:
            raise no_answer(node_executable())
        raise _Died(ended)

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


def _specifiers(imports: Sequence[Import]) -> list[dict[str, Any]]:
    """Return the parts of imports that determine their resolution, as JSON."""
    return [{"name": each.name, "how": each.how, "type": each.type, "names": each.names} for each in imports]


def _problem(name: str, answer: Mapping[str, Any]) -> SyntaxProblem:
    return SyntaxProblem(name, max(answer["line"], 1), max(answer["column"], 1), answer["message"])


class CachingCompiler:
    """Compiles scripts that are not in the cache. Sync and thread-safe.

    `compiler` is called when there is something to compile; `cache` is the cache directory. Syntax errors are cached
    only in memory.
    """

    def __init__(self, compiler: Callable[[], CompilerProcess], cache: Path) -> None:
        self._compiler = compiler
        self._directory = cache / "scripts"
        self._known: dict[tuple[str, str], Compiled | SyntaxProblem] = {}
        self._lock = threading.Lock()
        self._node = ""
        self._cleaned = False

    def compile(self, scripts: Sequence[tuple[str, str]]) -> tuple[Compiled | SyntaxProblem, ...]:
        """Compile (name, source) pairs; the results have the same order. Raises NodeMissing."""
        return tuple(self._compile(name, source) for name, source in scripts)

    def _compile(self, name: str, source: str) -> Compiled | SyntaxProblem:
        with self._lock:  # concurrent requests for one script wait for one compilation
            cached = self._known.get((name, source))
            if cached is not None:
                return cached
            file = self._directory / f"{digest(json.dumps([self._compiler_identity(), name, source]))}.json"
            result: Compiled | SyntaxProblem | None = _read(file, name)
            if result is None:
                (result,) = self._compiler().compile([(name, source)])
                if isinstance(result, Compiled):
                    _write(file, result)
                    if not self._cleaned:  # once for each process
                        self._cleaned = True
                        with contextlib.suppress(OSError):
                            remove_unused(self._directory, _UNUSED_S)
            if len(self._known) >= _MOST_IN_MEMORY:
                self._known.clear()
            self._known[name, source] = result
            return result

    def resolve(self, directory: Path, imports: Sequence[Import]) -> tuple[Resolution, ...]:
        """Resolve imports of packages from the installed packages in `directory`, in the same order.

        The results are cached as long as the installation stays the same. Raises NodeMissing, and OSError if there is
        none.
        """
        installed = (directory / "node_modules").stat().st_mtime_ns
        key_parts = [str(directory), installed, _specifiers(imports)]
        file = self._directory / f"{digest(json.dumps([self._compiler_identity(), key_parts]))}.json"
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return tuple(map(Resolution.of, read_checked(file)["modules"]))
        resolutions = self._compiler().resolve(directory, imports)
        with contextlib.suppress(OSError):
            write_checked(file, {"modules": [asdict(module) for module in resolutions]})
        return resolutions

    def statements(self, script: Compiled) -> tuple[StatementList, ...] | None:
        """Return the lists of statements in a compiled script (see CompilerProcess)."""
        return self._compiler().statements(script)

    def _compiler_identity(self) -> str:
        """Return an identifier of the compiler, as another Node or ckfunc may produce other JavaScript."""
        if not self._node:
            node = node_executable()
            status = node.stat()
            self._node = f"{programs_digest()} {node} {status.st_size} {status.st_mtime_ns}"
        return self._node


def _read(file: Path, name: str) -> Compiled | None:
    """Return a cached script; None if it is missing or cannot be read."""
    try:
        content = read_checked(file)
        result = Compiled(
            name,
            javascript=str(content["javascript"]),
            source_map=str(content["source_map"]),
            module_kind=str(content["module_kind"]),
            imports=tuple(Import.of(fields) for fields in content["imports"]),
            **{
                key: SyntaxProblem(**content[key]) if content[key] else None
                for key in ("no_handler", "failure", "warning")
            },
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    mark_used(file, after_s=_FRESH_S)
    return result


def _write(file: Path, result: Compiled) -> None:
    with contextlib.suppress(OSError):
        write_checked(file, asdict(result))
