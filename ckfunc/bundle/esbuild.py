"""Where esbuild is, and how it is run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from platform import machine

from ckfunc.base.errors import CkfuncError
from ckfunc.bundle.entries import ESBUILD
from ckfunc.runtime.node import bare_environment
from ckfunc.runtime.policy import NO_POLICY, InstallPolicy
from ckfunc.runtime.tools import install_tool, make_runnable

# Platforms' packages, by what Python calls system and processor. Source: https://esbuild.github.io/getting-started
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "win32": "win32", "freebsd": "freebsd"}
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


class NoBundler(CkfuncError):
    """There is no esbuild for this machine, or it does not run."""


def package(system: str, processor: str) -> str:
    """Return the npm package that holds esbuild for a machine. Raises NoBundler."""
    known = _SYSTEMS.get(system), _PROCESSORS.get(processor.lower())
    if None in known:
        raise NoBundler(
            f"there is no esbuild for {system} {processor}, and scripts that import local files are bundled with it",
            hint="deploy from another machine, or keep each handler in one file",
        )
    return "@esbuild/{}-{}".format(*known)


def executable(
    cache: Path, on_progress: Callable[[str], None] | None = None, policy: InstallPolicy = NO_POLICY
) -> Path:
    """Return esbuild, installed with npm if it is not yet.

    Raises NoBundler, DependenciesFailed, CacheRefused and NodeMissing.
    """
    name = package(sys.platform, machine())
    directory = install_tool({name: ESBUILD}, cache, on_progress, policy) / "node_modules" / name
    return make_runnable(directory / ("esbuild.exe" if sys.platform == "win32" else "bin/esbuild"))


def run(program: Path, arguments: Sequence[str], directory: Path) -> str:
    """Run esbuild in `directory`; return what it complains of, "" when all went well. Raises NoBundler."""
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
        raise NoBundler(
            f"esbuild does not run: {error}", hint=f"it is {program}; remove it to install it again"
        ) from error
    said = done.stderr.decode("utf-8", "replace")
    return said if said or not done.returncode else f"esbuild ended with exit code {done.returncode}"
