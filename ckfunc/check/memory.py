"""Cache of check results, each valid until one of its inputs changes."""

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
_MAX_RESULTS = 8
"""More than one: for several targets, and for checks of selected functions."""


@dataclass(frozen=True, slots=True)
class CachedCheck:
    """The compiler's findings and the digests of the files that it read, by path below the project or absolute."""

    findings: tuple[Finding, ...]
    files: Mapping[str, str]


@dataclass(slots=True)
class ResultCache:
    """The results cached in a project. `syntax` has the syntax error of each script; None for one that parses."""

    results: dict[str, CachedCheck] = field(default_factory=dict)
    syntax: dict[str, Finding | None] = field(default_factory=dict)

    def lookup(self, key: str | None, root: Path) -> CachedCheck | None:
        """Return the result for `key` if none of the files that the compiler read has changed."""
        result = self.results.get(key) if key else None
        if result and all(file_digest(root / name) == known for name, known in result.files.items()):
            return result
        return None

    def store(self, key: str | None, result: CachedCheck) -> None:
        """Add a result as the newest; without a key, do nothing."""
        if key:
            self.results.pop(key, None)
            self.results[key] = result


def file_digest(path: Path) -> str:
    """Return a digest of a file's bytes; "" if it cannot be read."""
    try:
        return hashlib.sha256(read_file(path)).hexdigest()
    except OSError:
        return ""


def load_cache(root: Path) -> ResultCache:
    """Read the cache of a project; it is empty if its file is damaged, missing or of another format."""
    try:
        document = read_checked(root / _FILE)
        if document["format"] != _FORMAT:
            return ResultCache()
        results = {
            key: CachedCheck(_findings(result["findings"]), result["files"])
            for key, result in document["results"].items()
        }
        syntax = {key: Finding(**error) if error else None for key, error in document["syntax"].items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return ResultCache()
    return ResultCache(results, syntax)


def save_cache(root: Path, cache: ResultCache, scripts: Iterable[str]) -> None:
    """Write the newest results, and the syntax errors of these scripts. Write errors are ignored."""
    document: dict[str, Any] = {
        "format": _FORMAT,
        "results": {
            key: {"findings": [asdict(finding) for finding in result.findings], "files": dict(result.files)}
            for key, result in list(cache.results.items())[-_MAX_RESULTS:]
        },
        "syntax": {
            key: asdict(error) if (error := cache.syntax[key]) else None for key in scripts if key in cache.syntax
        },
    }
    with contextlib.suppress(OSError):
        write_checked(root / _FILE, document)


def _findings(documents: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
    return tuple(Finding(**document) for document in documents)
