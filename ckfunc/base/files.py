"""Read files within limits, write them atomically, and lock them between processes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from ckfunc.base.errors import NoHome, UnusableFile

LARGEST_BYTES = 64 * 1024 * 1024
"""The default limit for reading a file."""

PIPE_WAIT_S = 10.0
"""The time limit for reading a named pipe."""


def read_file(path: Path, *, limit_bytes: int = LARGEST_BYTES, pipe: bool = False) -> bytes:
    """Return the content of a regular file, and with `pipe` also that of a pipe (a mounted .env, `<(command)`).

    Never waits for longer than PIPE_WAIT_S. A pipe is read once: later calls in this process return the same bytes.
    Raises UnusableFile for anything else and beyond `limit_bytes`, and OSError.
    """
    # Checked before opening: opening a pipe wakes its writer, and opening a device may have effects of its own.
    status = path.stat()
    if pipe and stat.S_ISFIFO(status.st_mode):
        return _piped(path, status, limit_bytes)
    _require_regular(path, status)
    with os.fdopen(_opened(path), "rb") as file:
        status = os.fstat(file.fileno())
        _require_regular(path, status)  # another file may have taken its place
        if status.st_size > limit_bytes:
            raise _too_large(path, limit_bytes)
        data = file.read(status.st_size + 1)
        while len(data) > status.st_size and len(data) <= limit_bytes and (more := file.read(65536)):
            data += more  # it grows while it is read, or the system does not know its size
    if len(data) > limit_bytes:
        raise _too_large(path, limit_bytes)
    return data


def _opened(path: Path) -> int:
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):  # each exists only on some systems
        flags |= getattr(os, name, 0)
    return os.open(path, flags)


def _require_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    if stat.S_ISDIR(status.st_mode):
        raise UnusableFile(errno.EISDIR, "is a directory", str(path))
    kinds = ((stat.S_ISFIFO, "a named pipe"), (stat.S_ISSOCK, "a socket"))
    kind = next((kind for tells, kind in kinds if tells(status.st_mode)), "a device")
    raise UnusableFile(errno.EINVAL, f"is {kind}, not a regular file", str(path))


def _too_large(path: Path, limit_bytes: int) -> UnusableFile:
    return UnusableFile(errno.EFBIG, f"is too large: more than {limit_bytes // 1024**2} MiB", str(path))


_pipes: dict[tuple[str, int, int], bytes | UnusableFile] = {}
_reading_pipes = threading.Lock()


def _piped(path: Path, status: os.stat_result, limit_bytes: int) -> bytes:
    key = (str(path), status.st_dev, status.st_ino)
    with _reading_pipes:
        if key not in _pipes:
            try:
                _pipes[key] = _drained(path, limit_bytes)
            except UnusableFile as problem:
                _pipes[key] = problem
        found = _pipes[key]
    if isinstance(found, UnusableFile):
        raise UnusableFile(*found.args, str(path))
    return found


def _drained(path: Path, limit_bytes: int) -> bytes:
    """Return the content of a pipe, up to the close by its writers. Raises UnusableFile."""
    data, until, pause_s = b"", time.monotonic() + PIPE_WAIT_S, 0.001
    with contextlib.ExitStack() as opened:
        handle = _opened(path)
        opened.callback(os.close, handle)
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            raise UnusableFile(errno.EINVAL, "was replaced while it was read", str(path))
        while time.monotonic() < until:
            try:
                chunk = os.read(handle, 65536)
            except BlockingIOError:  # a writer has it open, and has not written yet
                chunk = None
            if chunk:
                data += chunk
                if len(data) > limit_bytes:
                    raise _too_large(path, limit_bytes)
            elif data and chunk is not None:
                return data
            else:
                time.sleep(pause_s)
                pause_s = min(pause_s * 1.2, 0.02)
    what = "its writer did not close it" if data else "nothing was written to it"
    raise UnusableFile(errno.ETIMEDOUT, f"is a named pipe, and {what} within {PIPE_WAIT_S:.0f} s", str(path))


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write `content` to a temporary file and rename it to `path`: a reader sees the old file or the new one.

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
    """Rename `beside` to `path`; on Windows that fails while another program reads the old file."""
    for pause_s in (0.01, 0.05, 0.2, 0.5) if sys.platform == "win32" else ():
        try:
            os.replace(beside, path)  # noqa: PTH105 - a name from mkstemp
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    os.replace(beside, path)  # noqa: PTH105 - the same


def write_checked(path: Path, document: Any) -> None:
    """Write a JSON document with a digest, for `read_checked`. Raises OSError."""
    import json

    from ckfunc.base.text import digest

    text = json.dumps(document, separators=(",", ":"))
    write_atomically(path, f"{digest(text)}\n{text}")


def read_checked(path: Path) -> Any:
    """Return what `write_checked` wrote; None for a file that is not there, cannot be read, or was changed since."""
    import json

    from ckfunc.base.text import digest

    try:
        kept, _, text = read_file(path).decode("utf-8").partition("\n")
        return json.loads(text) if kept == digest(text) else None
    except (OSError, ValueError):
        return None


def cache_dir() -> Path:
    """Return the cache directory: CKFUNC_CACHE_DIR, else `ckfunc` in the user's cache directory.

    Always absolute: npm and Node run in other directories. A relative XDG_CACHE_HOME is ignored, as the XDG Base
    Directory Specification says. Raises NoHome.
    """
    if given := os.environ.get("CKFUNC_CACHE_DIR"):
        return Path(given).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(_home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(_home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        base = base if os.path.isabs(base) else str(_home() / ".cache")  # noqa: PTH117 - a string, perhaps empty
    return Path(base) / "ckfunc"


def _home() -> Path:
    with contextlib.suppress(RuntimeError):  # no HOME, and a user whom the system does not know
        home = Path.home()
        if home.is_absolute():
            return home
    raise NoHome("the home directory cannot be determined", hint="set HOME, or CKFUNC_CACHE_DIR for the cache alone")


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
    """Return the target of a link, as stored in it; None for a path that is not a link or cannot be read."""
    try:
        return Path(str(link.readlink()).removeprefix("\\\\?\\"))
    except OSError:
        return None


@contextlib.contextmanager
def locked(path: Path, *, wait_s: float | None = None) -> Iterator[bool]:
    """Hold the lock file `path`; yield whether it was acquired. The system releases it when the process ends.

    `wait_s` None waits without a limit, 0 tries once. The file is never removed.
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


def remove_unused(directory: Path, unused_s: float) -> bool:
    """Remove the files in `directory` that were not modified for `unused_s` seconds; return whether none is left.

    Raises OSError.
    """
    oldest = time.time() - unused_s
    files = list(directory.iterdir())
    old = [file for file in files if file.stat().st_mtime < oldest]
    for file in old:
        file.unlink(missing_ok=True)
    return len(old) == len(files)


def hold_shared(path: Path) -> None:
    """Hold the lock file `path` until this process ends, as any number of processes may. Raises OSError.

    Waits while `lock_alone` holds it.
    """
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        # No file object: the descriptor stays open on purpose, and child processes do not inherit it.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _share(handle)
            if os.fstat(handle).st_ino == path.stat().st_ino:  # else it was removed meanwhile
                _held.add(path)
                return
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextlib.contextmanager
def lock_alone(path: Path) -> Iterator[bool]:
    """Hold the lock file `path` if no process holds it, this one included; yield whether it was acquired.

    If it was, the file is removed afterwards. Raises OSError.
    """
    if path in _held:
        yield False
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        got = _take_alone(handle)
        try:
            yield got
        finally:
            if got and sys.platform != "win32":
                path.unlink(missing_ok=True)
    finally:
        os.close(handle)


_held: set[Path] = set()
"""Lock files that this process holds until it ends."""


if sys.platform == "win32":
    import msvcrt

    _MOST = 0x7FFF0000

    def _share(handle: int) -> None:
        # There are no shared locks: each process locks a byte of its own.
        os.lseek(handle, os.getpid() % _MOST, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

    def _take_alone(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, _MOST)
        except OSError:
            return False
        return True

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

    def _share(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_SH)

    def _take_alone(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
