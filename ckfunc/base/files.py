"""Read files within limits, write them atomically, and lock them between processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ckfunc.base.errors import CkfuncError, NoHome, UnusableFile
from ckfunc.base.text import digest

LARGEST_BYTES = 64 * 1024 * 1024
"""The default limit for reading a file."""

PIPE_WAIT_S = 10.0
"""The time limit for reading a named pipe."""

_PACKAGE = Path(__file__).resolve().parent.parent


def read_file(path: Path, *, limit_bytes: int = LARGEST_BYTES, pipe: bool = False) -> bytes:
    """Return the content of a regular file; with `pipe`, also of a named pipe (a mounted .env) and of /dev/null.

    Never waits longer than PIPE_WAIT_S. A pipe is read once: later calls in this process return the same bytes. Raises
    UnusableFile for other kinds of files and for more than `limit_bytes`, and OSError.
    """
    # Checked before opening, because opening a pipe wakes its writer, and opening a device may have side effects.
    status = path.stat()
    if pipe and stat.S_ISFIFO(status.st_mode):
        return _read_pipe_once(path, status, limit_bytes)
    if pipe and _is_null_device(status):
        return b""
    _require_regular(path, status)
    with os.fdopen(_open(path), "rb") as file:
        status = os.fstat(file.fileno())
        _require_regular(path, status)  # the file may have been replaced in the meantime
        if status.st_size > limit_bytes:
            raise _too_large(path, limit_bytes)
        data = file.read(status.st_size + 1)
        while len(data) > status.st_size and len(data) <= limit_bytes and (more := file.read(65536)):
            data += more  # the file grows while it is read, or the system does not report its size
    if len(data) > limit_bytes:
        raise _too_large(path, limit_bytes)
    return data


def lossy_text(path: Path) -> str | None:
    """Return the text of a regular file, with replacements for invalid UTF-8; None if it cannot be read."""
    try:
        return read_file(path).decode("utf-8", "replace")
    except OSError:
        return None


def _is_null_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and os.path.samestat(status, Path(os.devnull).stat())


def _open(path: Path) -> int:
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
    kind = next((kind for is_kind, kind in kinds if is_kind(status.st_mode)), "a device")
    raise UnusableFile(errno.EINVAL, f"is {kind}, not a regular file", str(path))


def _too_large(path: Path, limit_bytes: int) -> UnusableFile:
    return UnusableFile(errno.EFBIG, f"is too large: more than {limit_bytes // 1024**2} MiB", str(path))


_pipes: dict[tuple[str, int, int], bytes | UnusableFile] = {}
_reading_pipes = threading.Lock()


def _read_pipe_once(path: Path, status: os.stat_result, limit_bytes: int) -> bytes:
    key = (str(path), status.st_dev, status.st_ino)
    with _reading_pipes:
        if key not in _pipes:
            try:
                _pipes[key] = _read_pipe(path, limit_bytes)
            except UnusableFile as problem:
                _pipes[key] = problem
        content = _pipes[key]
    if isinstance(content, UnusableFile):
        raise UnusableFile(*content.args, str(path))
    return content


def _read_pipe(path: Path, limit_bytes: int) -> bytes:
    """Read a pipe until its writers close it. Raises UnusableFile."""
    data, deadline, pause_s = b"", time.monotonic() + PIPE_WAIT_S, 0.001
    with contextlib.ExitStack() as opened:
        handle = _open(path)
        opened.callback(os.close, handle)
        if not stat.S_ISFIFO(os.fstat(handle).st_mode):
            raise UnusableFile(errno.EINVAL, "was replaced while it was read", str(path))
        while time.monotonic() < deadline:
            try:
                chunk = os.read(handle, 65536)
            except BlockingIOError:  # a writer has opened the pipe, but has not written yet
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
    reason = "its writer did not close it" if data else "nothing was written to it"
    raise UnusableFile(errno.ETIMEDOUT, f"is a named pipe, and {reason} within {PIPE_WAIT_S:.0f} s", str(path))


def write_atomically(path: Path, content: str | bytes, *, mode: int = 0o644) -> None:
    """Write `content` to a temporary file and rename it to `path`, so that readers see the old file or the new one.

    Creates parent directories. Text is written as UTF-8; its newlines stay unchanged. What is not a file, such as
    /dev/stdout or a pipe, is written to and stays. Raises OSError that names `path`.
    """
    data = content.encode("utf-8") if isinstance(content, str) else content
    if is_irreplaceable(path):
        with path.open("ab") as special:
            special.write(data)
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        raise _no_files_in(path) from None
    try:
        _rename_over(path, data, mode)
    except FileNotFoundError:
        raise _no_files_in(path) from None
    except OSError as error:
        error.filename, error.filename2 = str(path), None  # not the temporary file
        raise


def _no_files_in(path: Path) -> PermissionError:
    # In /proc, creating a file fails as if the directory did not exist.
    return PermissionError(errno.EACCES, "files cannot be created in this directory", str(path))


def is_irreplaceable(path: Path) -> bool:
    """Return whether `path` is a device, a pipe or a socket, or a link of the system to an open file: /dev/stdout."""
    try:
        if stat.S_ISREG(path.stat().st_mode):
            return path.is_symlink() and any(path.is_relative_to(system) for system in ("/dev", "/proc"))
        return not path.is_dir()
    except OSError:
        return False


def _rename_over(path: Path, data: bytes, mode: int) -> None:
    import tempfile  # takes 3 ms, and `ckfunc --version` does not need it

    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        with contextlib.suppress(PermissionError):  # a disk without modes, such as a USB stick or a shared folder
            os.chmod(temporary, mode)  # noqa: PTH101 - `temporary` is a name from mkstemp, which made it private
        _replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)  # noqa: PTH108 - the same
        raise


def _replace(temporary: str, path: Path) -> None:
    """Rename `temporary` to `path`, with retries on Windows: renaming fails while another program reads the file."""
    for pause_s in (0.01, 0.05, 0.2, 0.5) if sys.platform == "win32" else ():
        try:
            os.replace(temporary, path)  # noqa: PTH105 - a name from mkstemp
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    os.replace(temporary, path)  # noqa: PTH105 - the same


def write_checked(path: Path, document: Any) -> None:
    """Write a JSON document and its digest, for `read_checked`. Raises OSError."""
    text = json.dumps(document, separators=(",", ":"))
    write_atomically(path, f"{digest(text)}\n{text}")


def read_checked(path: Path) -> Any:
    """Return a document of `write_checked`; None if the file is missing, unreadable or does not match its digest."""
    try:
        expected, _, text = read_file(path).decode("utf-8").partition("\n")
        return json.loads(text) if expected == digest(text) else None
    except (OSError, ValueError):
        return None


def mark_used(path: Path, *, after_s: float = 0.0) -> None:
    """Set the time of a file or directory of a cache to now if it is older than `after_s`, so that it is not removed.

    A time in the future, from a clock that was wrong, is corrected, so that the file is removed one day. Errors are
    ignored.
    """
    with contextlib.suppress(OSError):
        if not 0 <= time.time() - path.stat().st_mtime < after_s:
            os.utime(path)


def paths_beginning(text: str, directory: Path) -> list[str]:
    """Return the paths that begin with a text, as a shell in `directory` completes them, sorted.

    Those of directories end with a slash.
    """
    head, slash, beginning = text.rpartition("/")
    try:
        with os.scandir(directory / f"{head}{slash}") as entries:
            names = [f"{entry.name}/" if entry.is_dir() else entry.name for entry in entries]
    except OSError:
        return []
    fitting = (name for name in names if name.startswith(beginning) and (beginning[:1] == "." or name[:1] != "."))
    files = sorted(f"{head}{slash}{name}" for name in fitting if not name.split()[1:])  # shells would split white space
    if len(files) == 1 and files[0].endswith("/"):
        files += paths_beginning(files[0], directory)  # otherwise the shell ends the word after the directory
    return files


def templates(package: Path = _PACKAGE) -> Path:
    """Return the directory of the templates; `package` is the directory of ckfunc's code.

    It is `ckfunc/_templates` in a wheel, and `templates/` next to `ckfunc/` in a checkout. Raises CkfuncError if the
    installation has neither.
    """
    for directory in (package / "_templates", package.parent / "templates"):
        if (directory / "handler.ts.j2").is_file():
            return directory
    raise CkfuncError(
        f"the templates are missing from this installation of ckfunc ({package})",
        hint="reinstall ckfunc: `pip install --force-reinstall ckfunc`",
    )


def cache_dir() -> Path:
    """Return the cache directory: CKFUNC_CACHE_DIR, or `ckfunc` in the user's cache directory.

    The path is absolute, because npm and Node run in other directories. `~/` at the start of CKFUNC_CACHE_DIR is the
    home directory, because no shell expands the variables of a CI system. A relative XDG_CACHE_HOME is ignored, as the
    XDG Base Directory Specification requires. Raises NoHome.
    """
    if directory := os.environ.get("CKFUNC_CACHE_DIR"):
        return (_home() / directory[2:] if directory.startswith(("~/", "~\\")) else Path(directory)).absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(_home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(_home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        base = base if os.path.isabs(base) else str(_home() / ".cache")  # noqa: PTH117 - a string, perhaps empty
    return Path(base) / "ckfunc"


def _home() -> Path:
    with contextlib.suppress(RuntimeError):  # HOME is not set, and the user has no entry in the user database
        home = Path.home()
        if home.is_absolute():
            return home
    raise NoHome("the home directory cannot be determined", hint="set HOME, or CKFUNC_CACHE_DIR for only the cache")


def link_directory(link: Path, target: Path) -> None:
    """Create `link` to the directory `target`, which need not exist. Raises OSError, such as FileExistsError.

    On Windows this is a junction, because symbolic links need rights that few users have.
    """
    if sys.platform == "win32":
        import _winapi

        _winapi.CreateJunction(str(target), str(link))
    else:
        link.symlink_to(target, target_is_directory=True)


def link_target(link: Path) -> Path | None:
    """Return the target that is stored in a link; None if the path is not a link or cannot be read."""
    try:
        return Path(str(link.readlink()).removeprefix("\\\\?\\"))
    except OSError:
        return None


_REPORTED_WAIT_S = 1.0
"""The wait for a lock after which it is reported."""


@contextlib.contextmanager
def locked(path: Path, *, wait_s: float | None = None, on_wait: Callable[[], object] = lambda: None) -> Iterator[bool]:
    """Lock the file `path`; yield whether the lock was acquired. The system releases it when the process ends.

    With `wait_s` None, waits without a limit; with 0, tries once. `on_wait` is called once, after a second of
    waiting. The file is never removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        began, reported = time.monotonic(), False
        while not (acquired := _try_exclusive(file.fileno())):
            waited_s = time.monotonic() - began
            if wait_s is not None and waited_s >= wait_s:
                break
            if waited_s >= _REPORTED_WAIT_S and not reported:
                reported = True
                on_wait()
            time.sleep(0.02)
        try:
            yield acquired
        finally:
            if acquired:
                _unlock(file.fileno())


def remove_unused(directory: Path, unused_s: float) -> bool:
    """Remove the files in `directory` that were not modified for `unused_s` seconds; return whether all were removed.

    Raises OSError.
    """
    oldest = time.time() - unused_s
    files = list(directory.iterdir())
    unused = [file for file in files if file.stat().st_mtime < oldest]
    for file in unused:
        file.unlink(missing_ok=True)
    return len(unused) == len(files)


def hold_shared(path: Path) -> None:
    """Hold a shared lock on the file `path` until this process ends. Raises OSError.

    Waits while `lock_alone` holds the file.
    """
    if path in _held:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        # No file object, because the descriptor has to stay open. Child processes do not inherit it.
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock_shared(handle)
            if os.fstat(handle).st_ino == path.stat().st_ino:  # if not, the file was removed in the meantime
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
    """Hold an exclusive lock on the file `path` if no process holds it, including this one; yield whether it worked.

    If it did, the file is removed at the end. Raises OSError.
    """
    if path in _held:
        yield False
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        acquired = _try_exclusive(handle)
        try:
            yield acquired
        finally:
            if acquired and sys.platform != "win32":
                path.unlink(missing_ok=True)
    finally:
        os.close(handle)


_held: set[Path] = set()
"""Files that this process holds with a shared lock."""


if sys.platform == "win32":
    import msvcrt

    _MOST = 0x7FFF0000

    def _lock_shared(handle: int) -> None:
        # Windows has no shared locks, so each process locks a different byte.
        os.lseek(handle, os.getpid() % _MOST, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_LOCK, 1)

    def _try_exclusive(handle: int) -> bool:
        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, _MOST)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        os.lseek(handle, 0, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_UNLCK, _MOST)

else:
    import fcntl

    def _lock_shared(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_SH)

    def _try_exclusive(handle: int) -> bool:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _unlock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_UN)
