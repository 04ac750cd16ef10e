"""Contents and cleanup of the cache directory."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError, IncompleteInstallation, NoHome, SystemRefusal, shown_path
from ckfunc.base.files import cache_dir, hold_shared, lock_alone, locked, mark_used
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, shortened, size_text
from ckfunc.model.application import PLATFORM_RANGES

if TYPE_CHECKING:
    from ckfunc.model.outputs import CacheCleanedJson, CacheEntryJson, CacheJson

MARKER = ".ckfunc-installed"
"""The file that lists an installation's files, written last. failures.mjs reads its `skipped`."""

UNUSED_S = 60 * 24 * 3600.0
"""Installed packages that were not used for this time are removed when others are installed."""

_FRESH_S = 24 * 3600.0
_RUNTIME = re.compile(r"[0-9a-f]{32}")
_LEFTOVER = re.compile(r"[0-9a-f]{32}\.new-.+")
PACKAGES, _SCRIPTS, _BUNDLES, _COMPILED, _DOWNLOADS, _OTHER = (
    *("packages", "scripts", "bundles", "compiled code", "npm downloads", "other"),
)
_DIRECTORIES = {"scripts": _SCRIPTS, "bundles": _BUNDLES, "compiled": _COMPILED, "npm": _DOWNLOADS, "no-types": _OTHER}
_LONGEST_NAME = 44
_NOTE = re.compile(r"(?:typescript|node-types)-[\w.-]+")


class CacheRefused(CkfuncError):
    """The system refused to write to the cache."""

    @classmethod
    def of(cls, error: OSError, cache: Path) -> CacheRefused | None:
        """Return the failure for `error`, or None if it is not about writing to `cache`."""
        place = Path(error.filename) if isinstance(error.filename, str) else cache
        caches = (cache, cache.resolve())
        # The directory that cannot be created may be a parent of the cache, such as ~/.cache. For parents, file systems
        # such as /proc report ENOENT; inside the cache, ENOENT is a bug in ckfunc.
        above = error.filename is not None and any(place == path or place in path.parents for path in caches)
        hint = _ELSEWHERE if above and error.errno == errno.ENOENT else _HINTS.get(error.errno or 0)
        if hint is None or not (above or any(place.is_relative_to(path) for path in caches)):
            return None
        return cls(f"the cache {cache} cannot be written to: {os.strerror(error.errno or 0)}", hint=hint)

    @classmethod
    @contextlib.contextmanager
    def reported(cls, cache: Path) -> Iterator[None]:
        """Turn OSErrors about writing to `cache` into CacheRefused; others propagate."""
        try:
            yield
        except OSError as error:
            if (refused := cls.of(error, cache)) is None:
                raise
            raise refused from error


def refusal_of(error: BaseException) -> CkfuncError | None:
    """Return the failure that an error of the cache, system or installation means; None if it may be a bug."""
    with contextlib.suppress(NoHome):
        if isinstance(error, OSError) and error.filename and (in_cache := CacheRefused.of(error, cache_dir())):
            return in_cache
    return IncompleteInstallation.of(error) or SystemRefusal.of(error)


_ELSEWHERE = "set CKFUNC_CACHE_DIR to a directory that can be written to"
_ROOM = "free up space on its disk (`ckfunc cache clean` removes unused files), or set CKFUNC_CACHE_DIR to another disk"
_HINTS = {
    **dict.fromkeys((errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ELOOP), _ELSEWHERE),
    **dict.fromkeys((errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)), _ROOM),
}


@frozen
class CacheEntry:
    """A file or installation in the cache. `used` is the time of its last use, in seconds since 1970."""

    kind: str
    name: str
    path: Path
    size_bytes: int
    used: float
    in_use: bool = False

    def to_json(self) -> CacheEntryJson:
        """Return the entry for `--json`."""
        used = datetime.fromtimestamp(self.used, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        return {
            "kind": self.kind,
            "name": self.name,
            "path": str(self.path),
            "bytes": self.size_bytes,
            "lastUsed": used,
            "inUse": self.in_use,
        }


def hold(directory: Path) -> None:
    """Protect an installation from removal while this process runs, and record that it is used."""
    with contextlib.suppress(OSError):  # an installation that cannot be written to cannot be removed either
        hold_shared(_use_file(directory))
        mark_used(directory / MARKER, after_s=_FRESH_S)


def entries(cache: Path) -> list[CacheEntry]:
    """Return the entries of the cache, without unknown files and locks of deploys."""
    cached = list(_runtimes(cache))
    for name, kind in _DIRECTORIES.items():
        cached += [_file_entry(kind, file, status) for file, status in _files(cache / name)]
    notes = (file for file in _children(cache) if _NOTE.fullmatch(file.name) and file.is_file())
    cached += [_file_entry(_OTHER, file, status) for file, status in _existing(notes)]
    return cached


def remove(entry: CacheEntry) -> bool:
    """Remove an entry unless a process uses it, and return whether it was removed. Raises OSError."""
    if entry.kind != PACKAGES:
        entry.path.unlink(missing_ok=True)
        return True
    if _LEFTOVER.fullmatch(entry.path.name):
        with locked(entry.path.with_name(f"{entry.path.name[:32]}.lock"), wait_s=0) as free:
            return free and _remove_tree(entry.path)
    with lock_alone(_use_file(entry.path)) as free:
        return free and _remove_tree(entry.path)


@frozen
class CacheCleanup:
    """The entries of a cache that were removed, or would be with `dry_run`, and those left because they are in use."""

    directory: Path
    removed: Sequence[CacheEntry]
    used: Sequence[CacheEntry]
    dry_run: bool

    def to_json(self) -> CacheCleanedJson:
        """Return the cleanup for `--json`."""
        return {
            "directory": str(self.directory),
            "dryRun": self.dry_run,
            "bytes": _size(self.removed),
            "removed": [entry.to_json() for entry in self.removed],
            "inUse": [entry.to_json() for entry in self.used],
        }

    def lines(self) -> Iterator[Line]:
        """Yield each removed installation, and the other removed entries by kind."""
        yield from (_entry_line(entry) for entry in self.removed if entry.kind == PACKAGES)
        yield from _total_lines([entry for entry in self.removed if entry.kind != PACKAGES])

    def summary(self) -> Iterator[Line]:
        """Yield messages about the entries in use, and about the size of the removed ones."""
        if self.used:
            names = shortened(", ".join(entry.name for entry in self.used), _LONGEST_NAME)
            yield [(f"kept {names}: in use by a running ckfunc", "")]
        if not self.removed:
            yield [("nothing to remove", "")]
            return
        verb = "would remove" if self.dry_run else "removed"
        yield [(f"{verb} {size_text(_size(self.removed))}", "success"), (f" from {shown_path(self.directory)}", "")]


def clean(cache: Path, *, older_than_s: float = 0.0, dry_run: bool = False) -> CacheCleanup:
    """Remove entries that were not used for `older_than_s`, except those that a process uses.

    With `dry_run`, nothing is removed. Raises OSError and CacheRefused.
    """
    with CacheRefused.reported(cache):
        now = time.time()  # a time in the future, from a clock that was wrong, counts as now
        old = [entry for entry in entries(cache) if max(now - entry.used, 0) >= older_than_s]
        used = [entry for entry in old if entry.in_use]
        removed = [entry for entry in old if not entry.in_use and (dry_run or remove(entry))]
        if not dry_run:
            for name in _DIRECTORIES:
                _remove_empty(cache / name)
    return CacheCleanup(cache, removed, used, dry_run)


def prune_old(cache: Path) -> None:
    """Remove installations that were not used for UNUSED_S. Errors are ignored."""
    oldest = time.time() - UNUSED_S
    with contextlib.suppress(OSError):
        for directory in _children(cache.resolve() / "runtimes"):
            if _RUNTIME.fullmatch(directory.name) and directory.is_dir() and _used(directory) < oldest:
                with lock_alone(_use_file(directory)) as free:
                    if free:
                        _remove_tree(directory)


def _use_file(directory: Path) -> Path:
    return directory.with_name(f"{directory.name}.used")


def _runtimes(cache: Path) -> Iterator[CacheEntry]:
    for directory in _children(cache / "runtimes"):
        leftover = _LEFTOVER.fullmatch(directory.name)
        if directory.is_symlink() or not directory.is_dir() or not (leftover or _RUNTIME.fullmatch(directory.name)):
            continue
        lock = directory.with_name(f"{directory.name[:32]}.lock") if leftover else _use_file(directory)
        size = sum(status.st_size for _, status in _files(directory))
        yield CacheEntry(PACKAGES, _title(directory), directory, size, _used(directory), _is_held(lock))


def _is_held(lock: Path) -> bool:
    with contextlib.suppress(OSError):
        if lock.exists():
            with lock_alone(lock) as free:
                return not free
    return False


def _used(directory: Path) -> float:
    for file in (directory / MARKER, directory):
        with contextlib.suppress(OSError):
            return file.stat().st_mtime
    return 0.0


def _title(directory: Path) -> str:
    try:
        dependencies = json.loads((directory / "package.json").read_bytes())["dependencies"]
        # Most installations have the platform's packages: the others come first, because they tell installations apart.
        names = sorted(dependencies, key=PLATFORM_RANGES.__contains__)
        return ", ".join(f"{name}@{dependencies[name]}" for name in names) or "no packages"
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return "an unfinished install"


def _file_entry(kind: str, file: Path, status: os.stat_result) -> CacheEntry:
    return CacheEntry(kind, file.name, file, status.st_size, status.st_mtime)


def _children(directory: Path) -> list[Path]:
    try:
        return sorted(directory.iterdir())
    except OSError:
        return []


def _files(directory: Path) -> Iterator[tuple[Path, os.stat_result]]:
    return _existing(Path(place, name) for place, _, names in os.walk(directory) for name in names)


def _existing(files: Iterable[Path]) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield files with their status, without those that another process has removed in the meantime."""
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            yield file, file.lstat()


def _remove_tree(directory: Path) -> bool:
    if sys.platform == "win32":
        shutil.rmtree(directory, ignore_errors=True)
    else:
        # Renamed first, so that no process finds a part of it.
        renamed = directory.with_name(f"{directory.name[:32]}.new-gone-{os.getpid()}")
        directory.rename(renamed)
        shutil.rmtree(renamed, ignore_errors=True)
    return not directory.exists()


def _remove_empty(directory: Path) -> None:
    for place, _, _ in os.walk(directory, topdown=False):
        with contextlib.suppress(OSError):
            Path(place).rmdir()


def info_json(directory: Path, cached: Sequence[CacheEntry]) -> CacheJson:
    """Return the contents of the cache for `--json`."""
    return {"directory": str(directory), "bytes": _size(cached), "entries": [entry.to_json() for entry in cached]}


def info_lines(cached: Sequence[CacheEntry]) -> Iterator[Line]:
    """Yield the size of each kind of entries and of each installation, largest first."""
    yield from _total_lines(cached)
    yield [(_columns(_size(cached)), ""), ("total", "title")]
    installed = sorted((entry for entry in cached if entry.kind == PACKAGES), key=lambda entry: -entry.size_bytes)
    if installed:
        yield []
        yield [("packages", "title")]
    for entry in installed:
        day = datetime.fromtimestamp(entry.used).astimezone().date().isoformat()
        note = "in use" if entry.in_use else f"last used {day}"
        yield [*_entry_line(entry), (f"  ({note})", "muted")]


def _size(cached: Sequence[CacheEntry]) -> int:
    return sum(entry.size_bytes for entry in cached)


def _total_lines(cached: Sequence[CacheEntry]) -> Iterator[Line]:
    """Yield the size and the number of the entries of each kind, in the order of first occurrence."""
    for kind in dict.fromkeys(entry.kind for entry in cached):
        those = [entry for entry in cached if entry.kind == kind]
        yield [(_columns(_size(those)), ""), (kind, ""), (f"  ({len(those)})", "muted")]


def _entry_line(entry: CacheEntry) -> Line:
    return [(_columns(entry.size_bytes), ""), (shortened(entry.name, _LONGEST_NAME), "")]


def _columns(size_bytes: int) -> str:
    return f"{size_text(size_bytes):>10}  "
