"""Cached findings of checks, valid until their inputs change."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ckfunc.base.files import read_checked, read_file, write_checked
from ckfunc.check.findings import Finding
from ckfunc.check.subject import DIRECTORY

_FILE = f"{DIRECTORY}/results.json"
_FORMAT = 1
_KEPT = 8
"""How many results are kept: for several targets, and for checks of some functions alone."""


@dataclass(frozen=True, slots=True)
class KnownCheck:
    """What the compiler found, and the digest of each file that it read, by the path below the project or absolute."""

    findings: tuple[Finding, ...]
    files: Mapping[str, str]


@dataclass(slots=True)
class Memory:
    """What is kept in a project's check directory. `syntax` is by script: None for one that parses."""

    results: dict[str, KnownCheck] = field(default_factory=dict)
    syntax: dict[str, Finding | None] = field(default_factory=dict)

    def fresh(self, key: str | None, root: Path) -> KnownCheck | None:
        """Return the result for `key` if every file that it came from still has the same content."""
        result = self.results.get(key) if key else None
        if result and all(file_digest(root / name) == known for name, known in result.files.items()):
            return result
        return None

    def keep(self, key: str | None, result: KnownCheck) -> None:
        """Remember a result as the newest."""
        if key:
            self.results.pop(key, None)
            self.results[key] = result


def file_digest(path: Path) -> str:
    """Return a digest of a file's bytes; "" when it cannot be read."""
    try:
        return hashlib.sha256(read_file(path)).hexdigest()
    except OSError:
        return ""


def recall(root: Path) -> Memory:
    """Return what is remembered of a project; nothing when that cannot be read or is another version's."""
    try:
        kept = read_checked(root / _FILE)
        if kept["format"] != _FORMAT:
            return Memory()
        results = {key: KnownCheck(_findings(one["findings"]), one["files"]) for key, one in kept["results"].items()}
        syntax = {key: Finding(**one) if one else None for key, one in kept["syntax"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Memory()
    return Memory(results, syntax)


def remember(root: Path, memory: Memory, scripts: Iterable[str]) -> None:
    """Keep the newest results, and the syntax of these scripts. That it cannot be written is no failure."""
    document: dict[str, Any] = {
        "format": _FORMAT,
        "results": {
            key: {"findings": [asdict(found) for found in one.findings], "files": dict(one.files)}
            for key, one in list(memory.results.items())[-_KEPT:]
        },
        "syntax": {
            key: asdict(found) if (found := memory.syntax[key]) else None for key in scripts if key in memory.syntax
        },
    }
    with contextlib.suppress(OSError):
        write_checked(root / _FILE, document)


def _findings(kept: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    return tuple(Finding(**one) for one in kept)
