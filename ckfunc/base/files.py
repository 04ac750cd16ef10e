"""How files are written whole or not at all, and how processes keep out of each other's way."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write `content` beside `path` and swap it in, so that a reader sees the old file or the new one.

    Parents are made; text is written as UTF-8 with its newlines as they are. Raises OSError.
    """
    import tempfile  # costs 3 ms, which `ckfunc --version` need not pay

    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(beside, mode)  # noqa: PTH101 - `beside` is a name from mkstemp
        _swap(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)  # noqa: PTH108 - the same
        raise


def _swap(beside: str, path: Path) -> None:
    """Put `beside` in the place of `path`; on Windows that fails for as long as somebody reads the old file."""
    for pause_s in (0.01, 0.05, 0.2, 0.5) if sys.platform == "win32" else ():
        try:
            os.replace(beside, path)  # noqa: PTH105 - a name from mkstemp
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    os.replace(beside, path)  # noqa: PTH105 - the same


def cache_dir() -> Path:
    """Return the directory for what can be made again: CKFUNC_CACHE_DIR, else the user's cache directory."""
    if given := os.environ.get("CKFUNC_CACHE_DIR"):
        return Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "ckfunc"


def link_directory(link: Path, target: Path) -> None:
    """Make `link` lead to the directory `target`, which may be missing. Raises OSError, FileExistsError among them.

    On Windows that is a junction, since a symbolic link would need rights that few users have.
    """
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(target), str(link))
    else:
        link.symlink_to(target, target_is_directory=True)


def link_target(link: Path) -> Path | None:
    """Return where a link leads, as it says itself; None for what is no link, or cannot be read."""
    try:
        return Path(str(link.readlink()).removeprefix("\\\\?\\"))
    except OSError:
        return None


@contextlib.contextmanager
def locked(path: Path, *, wait_s: float | None = None) -> Iterator[bool]:
    """Hold the lock file `path`; yield whether it was got. The system frees it when the process ends, however it ends.

    `wait_s` None waits for ever, 0 tries once. The file stays; only the lock on it counts.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        until = None if wait_s is None else time.monotonic() + wait_s
        while not (got := _try_lock(file)):
            if until is not None and time.monotonic() >= until:
                break
            time.sleep(0.02)
        try:
            yield got
        finally:
            if got:
                _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
