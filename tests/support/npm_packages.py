"""npm packages for tests as requirements/npm/ locks them; run as a module, it renews the locks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ckfunc.base.files import cache_dir, locked
from ckfunc.base.text import digest
from ckfunc.runtime.node import node_executable, npm_script, shim_directory
from support.project_files import ROOT

LOCKS = ROOT / "requirements" / "npm"
FILES = ("package.json", "package-lock.json")
_QUIET = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--no-progress", "--loglevel=error")


def locked_packages(name: str) -> Path:
    """Return a directory whose `node_modules` holds exactly what `requirements/npm/NAME` locks."""
    texts = [(LOCKS / name / file).read_text(encoding="utf-8") for file in FILES]
    directory = cache_dir() / "locked" / f"{name}-{digest(''.join(texts))[:16]}"
    directory.parent.mkdir(parents=True, exist_ok=True)
    with locked(directory.with_name(f"{directory.name}.lock")):
        if not directory.exists():
            fresh = Path(tempfile.mkdtemp(dir=directory.parent))
            for file in FILES:
                shutil.copy(LOCKS / name / file, fresh)
            _npm(fresh, "ci", "--prefer-offline")
            fresh.rename(directory)
    return directory


def renew() -> None:
    """Lock the newest versions that each package.json allows, without the addresses of a registry."""
    for package in sorted(LOCKS.glob("*/package.json")):
        (package.parent / "package-lock.json").unlink(missing_ok=True)
        _npm(package.parent, "install", "--package-lock-only", "--omit-lockfile-registry-resolved")


def _npm(directory: Path, *arguments: str) -> None:
    command = [str(node_executable()), str(npm_script()), *arguments, *_QUIET]
    path = os.pathsep.join([str(shim_directory(cache_dir())), os.environ.get("PATH", os.defpath)])
    environ = {**os.environ, "PATH": path}
    done = subprocess.run(
        command, cwd=directory, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


if __name__ == "__main__":
    sys.exit(renew())
