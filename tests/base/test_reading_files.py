"""Limits of kind, size and time for reading files, and devices and pipes that are written to."""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ckfunc.base import files
from ckfunc.base.errors import SystemRefusal, UnusableFile
from ckfunc.base.files import read_file, write_atomically

if sys.platform == "win32":
    pytest.skip("pipes, sockets and devices have no names in directories there", allow_module_level=True)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "PIPE_WAIT_S", 0.05)


def pipe(path: Path, *parts: bytes) -> Path:
    """Create a named pipe to which a thread writes once, in parts."""
    os.mkfifo(path)

    def write() -> None:
        with suppress(BrokenPipeError), path.open("wb", buffering=0) as file:
            for part in parts:
                file.write(part)
                time.sleep(0.01)

    if parts:
        threading.Thread(target=write, daemon=True).start()
    return path


def test_a_regular_file_is_read_completely(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text" * 50_000)
    assert read_file(tmp_path / "file") == b"text" * 50_000
    (tmp_path / "empty").touch()
    assert read_file(tmp_path / "empty") == b""


def test_a_file_of_unknown_size_is_read_completely() -> None:
    if not Path("/proc/self/status").exists():
        pytest.skip("there is no /proc")
    assert b"Name:" in read_file(Path("/proc/self/status"))


def test_a_pipe_is_read_once_and_its_content_is_cached(tmp_path: Path) -> None:
    path = pipe(tmp_path / "pipe", b"one ", b"two")
    assert read_file(path, pipe=True) == b"one two"
    assert read_file(path, pipe=True) == b"one two"  # the writing thread has ended


def test_a_pipe_without_a_writer_times_out_once(tmp_path: Path, impatient: None) -> None:
    path = pipe(tmp_path / "pipe")
    with pytest.raises(UnusableFile, match="nothing was written to it"):
        read_file(path, pipe=True)
    files.PIPE_WAIT_S = 3600.0
    with pytest.raises(UnusableFile, match="nothing was written to it"):
        read_file(path, pipe=True)


def test_a_pipe_that_is_never_closed_times_out(tmp_path: Path, impatient: None) -> None:
    path = pipe(tmp_path / "pipe")
    handle = os.open(path, os.O_RDWR)
    try:
        os.write(handle, b"part")
        with pytest.raises(UnusableFile, match="did not close it"):
            read_file(path, pipe=True)
    finally:
        os.close(handle)


def test_an_endless_pipe_is_refused_at_the_limit(tmp_path: Path) -> None:
    path = pipe(tmp_path / "pipe", *[b"x" * 65536] * 40)
    with pytest.raises(UnusableFile, match="too large: more than 1 MiB"):
        read_file(path, limit_bytes=1024**2, pipe=True)


def test_an_unexpected_pipe_is_refused_without_opening_it(tmp_path: Path) -> None:
    path = pipe(tmp_path / "pipe", b"secret")
    with pytest.raises(UnusableFile, match="is a named pipe"):
        read_file(path)
    assert read_file(path, pipe=True) == b"secret"


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(tmp_path)  # paths of sockets are short
        server.bind("socket")
        for path, said in (
            (tmp_path / "socket", "is a socket"),
            (Path("/dev/zero"), "is a device"),
            (tmp_path, "is a directory"),
        ):
            with pytest.raises(UnusableFile, match=said):
                read_file(path, pipe=True)
    (tmp_path / "link").symlink_to("/dev/zero")
    with pytest.raises(UnusableFile, match="is a device"):
        read_file(tmp_path / "link", pipe=True)


def test_the_null_device_is_an_empty_file_if_pipes_are_allowed(tmp_path: Path) -> None:
    (tmp_path / ".env").symlink_to("/dev/null")
    assert read_file(tmp_path / ".env", pipe=True) == b""
    with pytest.raises(UnusableFile, match="is a device"):
        read_file(tmp_path / ".env")


def test_a_huge_sparse_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(UnusableFile, match="too large"):
        read_file(tmp_path / "huge")


def test_circular_links_and_missing_files_raise_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="ymbolic links"):
        read_file(tmp_path / "loop")
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "missing")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=write_atomically, args=(tmp_path / "pipe", "report"))
    writer.start()
    assert (tmp_path / "pipe").read_bytes() == b"report"
    writer.join()
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_link_to_a_device_is_not_replaced_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/dev/full")
    with pytest.raises(OSError) as failed:
        write_atomically(tmp_path / "link", "report")
    assert failed.value.errno == errno.ENOSPC
    assert (tmp_path / "link").readlink() == Path("/dev/full")


def test_a_failed_write_names_the_file_and_not_its_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(IsADirectoryError) as failed:
        write_atomically(tmp_path / "taken", "report")
    assert failed.value.filename == str(tmp_path / "taken")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("path", ["/proc/new.xml", "/proc/new/report.xml"])
def test_a_directory_that_allows_no_new_files_is_an_expected_failure(path: str) -> None:
    with pytest.raises(PermissionError, match="files cannot be created in this directory") as failed:
        write_atomically(Path(path), "report")
    refusal = SystemRefusal.of(failed.value)
    assert refusal is not None and path in refusal.message


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (RuntimeError("can't start new thread"), "the system does not allow another thread", "ulimit -u"),
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), os.strerror(errno.EAGAIN), "ulimit -u"),
        (MemoryError(), "there is not enough memory", "close other programs"),
        (RuntimeError("Symlink loop from '/a'"), f"'/a': {os.strerror(errno.ELOOP)}", "form a loop"),
    ],
)
def test_a_limit_of_the_system_is_an_expected_failure(error: Exception, message: str, hint: str) -> None:
    refusal = SystemRefusal.of(error)
    assert refusal is not None
    assert refusal.message == message
    assert hint in (refusal.hint or "")


def test_another_runtime_error_is_a_bug() -> None:
    assert SystemRefusal.of(RuntimeError("dictionary changed size during iteration")) is None


def test_files_can_be_written_to_a_disk_without_modes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "chmod", refuse)
    write_atomically(tmp_path / "file", "text")
    assert (tmp_path / "file").read_text() == "text"
