"""The esbuild program: its runs, its errors as problems, and the bundled chat client."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from platform import machine

from ckfunc.base.errors import CkfuncError, Problem
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.text import digest
from ckfunc.bundle.cache import ESBUILD
from ckfunc.bundle.graph import EXTENSIONS, Graph, Specifier, place_of, specifiers
from ckfunc.runtime.install import install
from ckfunc.runtime.node import bare_environment
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy
from ckfunc.runtime.tools import install_tool, make_runnable

TEMPORARY_EXPORT = "ckfunc_kept"
"""The name of a temporary export of handleEvent, which prevents esbuild from removing the function."""

_ERROR = re.compile(
    r"^✘ \[ERROR\] (?P<message>[^\n]*)\n(?:\n {4}(?P<path>[^\n]+):(?P<line>\d+):(?P<column>\d+):$)?", re.M
)
_UNRESOLVED = re.compile(r'Could not resolve "(?P<name>.*)"$')
_NO_LOADER = re.compile("No loader is configured for ")
_COMPUTED = re.compile(r'Could not resolve (?:import|require)\(".*\*.*"\)$')
_APPENDED = re.compile(r'"?\b(?:export|handleEvent|ckfunc_kept)\b"?')

# The systems that esbuild supports, and its names of processors, by Python's names. Source: https://esbuild.github.io/getting-started
_SYSTEMS = ("linux", "darwin", "win32", "freebsd")
_PROCESSORS = {
    "x86_64": "x64",
    "amd64": "x64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm",
    "i386": "ia32",
    "i686": "ia32",
    "x86": "ia32",
    "ppc64le": "ppc64",
    "riscv64": "riscv64",
    "s390x": "s390x",
    "loongarch64": "loong64",
}
_TIMEOUT_S = 120.0


def problems(errors: str, entry: str, graph: Graph) -> Iterator[Problem]:
    """Yield the problems that esbuild reported for the script at `entry`; `errors` is its standard error."""
    absolute = {(path, each.line, each.column): each.path for path, each in absolute_specifiers(graph)}
    for error in _ERROR.finditer(errors):
        message = error["message"]
        if error["path"] is None:
            yield Problem(entry, 1, 1, f"this cannot be bundled: {message}")
            continue
        path = error["path"]
        if path not in graph.files:  # a file outside of the project, imported by an absolute path
            yield from _outside_specifiers(path, graph)
            continue
        line, column, ended = _position(graph.files.get(path, ""), int(error["line"]), int(error["column"]))
        if match := _UNRESOLVED.match(message):
            yield _unresolved(Problem(path, line, column, ""), match["name"], graph)
        elif _NO_LOADER.match(message) and (name := absolute.get((path, line, column))):
            yield outside(path, line, column, name)
        elif _COMPUTED.match(message):
            yield computed(path, line, column)
        elif ended and message.endswith("is not declared in this file"):
            yield no_handler(path)
        elif ended and _APPENDED.search(message):
            yield Problem(path, line, column, "the file ends too early: a bracket, string or comment is not closed")
        else:
            yield Problem(path, line, column, _sentence(message))


def absolute_specifiers(graph: Graph) -> Iterator[tuple[str, Specifier]]:
    """Yield the absolute specifiers in files, each with its file."""
    for path, text in sorted(graph.files.items()):
        yield from ((path, specifier) for specifier in specifiers(text) if specifier.absolute)


def _outside_specifiers(file: str, graph: Graph) -> Iterator[Problem]:
    """Yield the specifiers of a file outside of the project; all absolute ones if none matches."""
    absolute = tuple(absolute_specifiers(graph))
    stem = file.replace("\\", "/").lstrip("./")
    matching = [each for each in absolute if stem.startswith(each[1].path.replace("\\", "/").lstrip("./"))]
    for path, specifier in matching or absolute:
        yield outside(path, specifier.line, specifier.column, specifier.path)


def no_handler(path: str) -> Problem:
    """Return the problem of a handler without the function that the platform calls."""
    hint = "declare it, or import it under that name"
    return Problem(path, 1, 1, "there is no top-level function named handleEvent", hint)


def renamed(path: str, name: str) -> Problem:
    """Return the problem of a handler that imports its function under another name."""
    message = f"the script's function would be named {name}, not handleEvent"
    return Problem(path, 1, 1, message, "import it under its own name, and call it from a function handleEvent")


def outside(path: str, line: int, column: int, name: str) -> Problem:
    """Return the problem of a specifier outside of the project."""
    hint = "move the file into the project; links out of it are not followed"
    return Problem(path, line, column, f'"{name}" is outside the project', hint)


def computed(path: str, line: int, column: int) -> Problem:
    """Return the problem of a computed specifier."""
    hint = "import each file by its literal path, and select one of them at run time"
    return Problem(path, line, column, "an import with a computed path cannot be bundled", hint)


def _unresolved(at: Problem, name: str, graph: Graph) -> Problem:
    base = place_of(at.path, name)
    if base is None:
        return outside(at.path, at.line, at.column, name)
    for path in (base, *(base + extension for extension in EXTENSIONS)):
        if complaint := graph.unusable.get(path):
            return Problem(at.path, at.line, at.column, complaint.message, complaint.hint)
    if base.endswith(EXTENSIONS):
        return Problem(at.path, at.line, at.column, f"there is no file {base}", "create it, or fix the path")
    hint = "files with these extensions can be imported: .ts, .mts, .cts, .js, .mjs, .cjs, .json"
    message = f"there is no file {base}.ts, or with another extension"
    if "." in posixpath.basename(base):  # such as styles.css, which may exist
        message = f'no file that can be imported matches "{name}"'
    return Problem(at.path, at.line, at.column, message, hint)


def _position(text: str, line: int, column: int) -> tuple[int, int, bool]:
    """Return line and column as in editors, and whether they are in the text that ckfunc appended to the file.

    `column` counts bytes from 0, as in esbuild's errors.
    """
    lines = text.split("\n")
    if line > len(lines):
        last = len(text.rstrip().split("\n"))
        return last, len(lines[last - 1]) + 1, True
    return line, len(lines[line - 1].encode("utf-8", "replace")[:column].decode("utf-8", "ignore")) + 1, False


def _sentence(message: str) -> str:
    return message[:1].lower() + message[1:] if message[1:2].islower() else message


class NoBundler(CkfuncError):
    """esbuild does not support this machine, or cannot be run."""


def package(system: str, processor: str) -> str:
    """Return the npm package with esbuild for a machine. Raises NoBundler."""
    name = _PROCESSORS.get(processor.lower())
    if name is None or system not in _SYSTEMS:
        raise NoBundler(
            f"esbuild, which bundles scripts with their local files, does not support {system} {processor}",
            hint="deploy from another machine, or keep each handler in one file",
        )
    return f"@esbuild/{system}-{name}"


def executable(
    cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> Path:
    """Return the path of esbuild; install it with npm if needed.

    Raises NoBundler, DependenciesFailed, CacheRefused and NodeMissing.
    """
    name = package(sys.platform, machine())
    directory = install_tool({name: ESBUILD}, cache, on_progress, policy) / "node_modules" / name
    return make_runnable(directory / ("esbuild.exe" if sys.platform == "win32" else "bin/esbuild"))


def run(program: Path, arguments: Sequence[str], directory: Path) -> str:
    """Run esbuild in `directory`; return its error output, "" on success. Raises NoBundler."""
    try:
        done = subprocess.run(
            [program, *arguments],
            cwd=directory,
            env=bare_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoBundler(f"esbuild cannot be run: {error}", hint=f"remove {program} to reinstall it") from error
    errors = done.stderr.decode("utf-8", "replace")
    return errors if errors or not done.returncode else f"esbuild exited with code {done.returncode}"


CHAT_CLIENT = "@chatkitty/client"
CHAT_CLIENT_PACKAGES = {CHAT_CLIENT: "2.105.8", "@stomp/rx-stomp": "2.4.0", "axios": "1.21.1"}
"""The client and its peers."""

_CHAT_CLIENT_OPTIONS = (
    "--bundle",
    "--minify",
    "--format=esm",
    "--platform=browser",
    "--charset=utf8",
    "--log-level=error",
)


def chat_client(
    cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> bytes:
    """Return the module, installed and bundled if it is not in the cache.

    Raises NoBundler, DependenciesFailed, CacheRefused and NodeMissing.
    """
    script = cache / f"chat-client-{digest(json.dumps([CHAT_CLIENT_PACKAGES, ESBUILD, _CHAT_CLIENT_OPTIONS]))[:16]}.js"
    try:
        return read_file(script)
    except OSError:
        pass
    directory = install(CHAT_CLIENT_PACKAGES, cache, on_progress, policy=policy)
    program = executable(cache, on_progress, policy)
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / "client.js"
        output = run(program, [CHAT_CLIENT, *_CHAT_CLIENT_OPTIONS, f"--outfile={built}"], directory)
        if output:
            raise CkfuncError(f"{CHAT_CLIENT} could not be bundled: {output.strip()}")
        text = built.read_bytes()
    write_atomically(script, text.decode("utf-8"))
    return text
