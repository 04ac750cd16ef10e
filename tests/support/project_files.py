"""The files of the project, for tests of promises."""

from __future__ import annotations

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_MADE = {"__pycache__", "node_modules", "build", "dist"}


def project_files(directory: str = ".") -> list[Path]:
    """Return the files below `directory` that git tracks or would add; without git, all that are not generated."""
    top = ROOT / directory
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "."]
    try:
        listed = subprocess.run(command, cwd=top, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return [path for path in top.rglob("*") if path.is_file() and not _made(path.relative_to(ROOT))]
    return [top / name for name in listed.split("\0") if name and (top / name).is_file()]


def _made(path: Path) -> bool:
    return any(part in _MADE or (part.startswith(".") and part not in {".ci", ".github"}) for part in path.parts[:-1])
