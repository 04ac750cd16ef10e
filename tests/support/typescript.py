"""The real TypeScript compiler, installed once into the tests' package cache, run on real projects."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ckfunc.runtime.node import bare_environment, node_executable
from support.npm_packages import locked_packages


def tsc(project: Path, *options: str) -> list[str]:
    """Return the problems that `tsc` finds in `project`, one a line; its tsconfig.json decides how strict it is."""
    compiler = locked_packages("typescript") / "node_modules" / "typescript" / "bin" / "tsc"
    command = [str(node_executable()), str(compiler), "--noEmit", "--pretty", "false", "-p", ".", *options]
    done = subprocess.run(
        command, cwd=project, env=bare_environment(), capture_output=True, text=True, encoding="utf-8", check=False
    )
    assert not done.stderr, done.stderr
    assert bool(done.stdout) == bool(done.returncode)
    return done.stdout.splitlines()
