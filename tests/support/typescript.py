"""The real TypeScript compiler, installed once into the tests' package cache, run on real projects."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ckfunc.base.files import cache_dir
from ckfunc.runtime.install import install
from ckfunc.runtime.node import bare_environment, node_executable

PACKAGES = {"typescript": "5.9.3"}
NODE_TYPES = {"@types/node": "24.1.0"}
SDK_PACKAGES = {"axios": "0.26.1", "chatkitty-platform-sdk": "2.4.0"}


def installed(packages: dict[str, str]) -> Path:
    """Return a directory whose `node_modules` holds `packages`."""
    return install(packages, cache_dir())


def tsc(project: Path, *options: str) -> list[str]:
    """Return the problems that `tsc` finds in `project`, one a line; its tsconfig.json decides how strict it is."""
    compiler = installed(PACKAGES) / "node_modules" / "typescript" / "bin" / "tsc"
    command = [str(node_executable()), str(compiler), "--noEmit", "--pretty", "false", "-p", ".", *options]
    done = subprocess.run(
        command, cwd=project, env=bare_environment(), capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert not done.stderr, done.stderr
    assert bool(done.stdout) == bool(done.returncode)
    return done.stdout.splitlines()
