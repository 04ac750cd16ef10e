"""The TypeScript compiler: native, of one exact version, in the cache."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from platform import machine

from ckfunc.base.errors import CkfuncError, DependenciesFailed
from ckfunc.check.diagnostics import CompilerReport, parse
from ckfunc.check.settings import TYPESCRIPT
from ckfunc.runtime.node import bare_environment
from ckfunc.runtime.npm_failures import NETWORK
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy
from ckfunc.runtime.processes import kill_group, start_group
from ckfunc.runtime.tools import (
    NODE_TYPES,
    PACKAGE,
    found_once,
    install_tool,
    make_runnable,
    node_types,
    own_node_types,
)

_VERDICTS = (0, 1, 2)
"""Exit codes of a run that came to a verdict."""


class CompilerMissing(CkfuncError):
    """The TypeScript compiler, or the declarations that it needs, is not in the cache and could not be fetched."""

    def __init__(self, why: str, hint: str | None = None, *, without: str = f"TypeScript {TYPESCRIPT}") -> None:
        fetched = "it is fetched once and then kept in the cache: check the network, or the registry in .npmrc"
        super().__init__(f"the types cannot be checked without {without}: {why}", hint=hint or fetched)


class CompilerBroke(CkfuncError):
    """The TypeScript compiler ended without a verdict."""

    def __init__(self, said: str, program: Path) -> None:
        first = next((line.strip() for line in said.splitlines() if line.strip()), "it said nothing")
        super().__init__(
            f"TypeScript {TYPESCRIPT} ended without a verdict: {first}",
            hint=f"run it again; if it fails again, remove {_home(program)}, and it is fetched again",
        )


def compiler(cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY) -> Path:
    """Return the compiler's program, installed if need be.

    Raises CompilerMissing, also for a system that it does not run on, CacheRefused and NodeMissing.
    """
    # Where it is, is noted: what installs packages asks Node for its version first, which takes as long as a check.
    note = cache / f"typescript-{TYPESCRIPT}-{sys.platform}-{machine()}"
    return make_runnable(found_once(note, lambda: _installed(cache, on_progress, policy)))


def declarations_of_node(
    root: Path, cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> Path:
    """Return the declarations of Node for scripts of the project at `root`: those that the user's packages bring, or
    ours, installed if need be. Raises CompilerMissing and NodeMissing."""
    try:
        directory = own_node_types(root) or node_types(cache, on_progress, policy)
    except DependenciesFailed as problem:
        raise CompilerMissing(
            problem.message, None if problem.hint == NETWORK else problem.hint, without=f"{PACKAGE} {NODE_TYPES}"
        ) from problem
    return directory / "index.d.ts"


def _installed(cache: Path, on_progress: Callable[[str], None] | None, policy: InstallPolicy) -> Path:
    try:
        directory = install_tool({"typescript": TYPESCRIPT}, cache, on_progress, policy)
    except DependenciesFailed as problem:
        raise CompilerMissing(problem.message, None if problem.hint == NETWORK else problem.hint) from problem
    packages = directory / "node_modules" / "@typescript"
    # npm installs the one package that is for this system and processor; a program, it needs no Node to start.
    for program in (*packages.glob("typescript-*/lib/tsc"), *packages.glob("typescript-*/lib/tsc.exe")):
        return program
    if any(packages.glob("typescript-*")):
        raise CompilerMissing("a part of it is missing", hint=f"remove {directory}, and it is fetched again")
    raise CompilerMissing("there is none for this system", hint="check from another machine")


def _home(program: Path) -> Path:
    """Return the directory that holds all of an installation."""
    return next((one.parent for one in program.parents if one.name == "node_modules"), program)


def run(program: Path, root: Path, options: Sequence[str]) -> CompilerReport:
    """Run the compiler in the directory `root` and return what it says; paths in that are relative to `root`.

    Raises CompilerBroke. An interrupt ends the compiler too.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = start_group(
                [str(program), *options, "--pretty", "true", "--listFiles", "--locale", "en"],
                cwd=root,
                env=bare_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output.fileno(),
                stderr=output.fileno(),
            )
        except OSError as error:
            raise CompilerBroke(error.strerror or str(error), program) from error
        try:
            status = process.wait()
        finally:
            kill_group(process)
            process.wait()
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    found = parse(text)
    if status not in _VERDICTS or bool(status) != bool(found.findings):
        raise CompilerBroke(text, program)
    return found
