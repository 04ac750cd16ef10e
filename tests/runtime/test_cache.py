"""The cache directory: listing, cleaning, entries in use, and errors."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ckfunc.base.files import mark_used, read_checked, write_checked
from ckfunc.runtime.cache import CacheRefused, clean, entries, hold, prune_old
from ckfunc.runtime.install import install, write_marker
from ckfunc.runtime.tools import make_runnable

DAY_S = 24 * 3600.0


def installation(cache: Path, letter: str, *, age_days: float = 0.0) -> Path:
    """An installation as `install` leaves it, last used some days ago."""
    directory = cache / "runtimes" / (letter * 32)
    (directory / "node_modules" / "tiny").mkdir(parents=True)
    (directory / "package.json").write_text('{"dependencies": {"tiny": "1.2.3"}}')
    (directory / "node_modules" / "tiny" / "index.js").write_text("x" * 100)
    write_marker(directory, ())
    when = time.time() - age_days * DAY_S
    os.utime(directory / ".ckfunc-installed", (when, when))
    return directory


@pytest.fixture
def other_process():
    """Let another process hold an installation until the test is over."""
    started = []

    def use(directory: Path) -> None:
        code = f"from pathlib import Path\nfrom ckfunc.runtime.cache import hold\nhold(Path({str(directory)!r}))\n"
        code += "print('held', flush=True)\ninput()"
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"held\n"

    yield use
    for process in started:
        process.communicate(b"\n")


def test_cache_entries_are_listed_by_kind_with_their_size(tmp_path):
    installation(tmp_path, "a")
    (tmp_path / "bundles").mkdir()
    (tmp_path / "bundles" / "one.json").write_text("{}")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "deploy.lock").touch()
    (tmp_path / "somebody's file").touch()
    found = entries(tmp_path)
    assert [entry.kind for entry in found] == ["packages", "bundles"]
    assert found[0].name == "tiny@1.2.3"
    assert found[0].size_bytes > 100
    assert not found[0].in_use


def test_clean_removes_old_entries_but_not_locks_or_unknown_files(tmp_path):
    old, new = installation(tmp_path, "a", age_days=40), installation(tmp_path, "b", age_days=1)
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "deploy.lock").touch()
    (tmp_path / "mine").write_text("not ckfunc's")
    clean(tmp_path, older_than_s=30 * DAY_S, dry_run=True)
    assert old.is_dir()
    removed = clean(tmp_path, older_than_s=30 * DAY_S).removed
    assert [entry.path for entry in removed] == [old]
    assert not old.exists()
    assert new.is_dir()
    clean(tmp_path)
    assert not new.exists()
    assert (tmp_path / "locks" / "deploy.lock").exists()
    assert (tmp_path / "mine").exists()


def test_a_time_in_the_future_counts_as_now(tmp_path):
    ahead = installation(tmp_path, "a", age_days=-400)
    assert clean(tmp_path, older_than_s=DAY_S).removed == []
    mark_used(ahead / ".ckfunc-installed", after_s=DAY_S)
    assert entries(tmp_path)[0].used < time.time() + DAY_S
    ahead = installation(tmp_path, "b", age_days=-400)
    clean(tmp_path)
    assert not ahead.exists()


def test_an_installation_in_use_by_another_process_is_never_removed(tmp_path, other_process):
    used, free = installation(tmp_path, "a", age_days=400), installation(tmp_path, "b", age_days=400)
    other_process(used)
    when = time.time() - 400 * DAY_S  # holding it updated its time, so that only the lock protects it
    os.utime(used / ".ckfunc-installed", (when, when))
    prune_old(tmp_path)
    assert used.is_dir()
    assert not free.exists()
    cleanup = clean(tmp_path)
    assert cleanup.removed == []
    assert [entry.path for entry in cleanup.used] == [used]


def test_an_installation_in_use_by_this_process_is_never_removed_and_counts_as_new(tmp_path):
    used = installation(tmp_path, "c", age_days=400)
    hold(used)
    prune_old(tmp_path)
    assert clean(tmp_path).removed == []
    assert time.time() - (used / ".ckfunc-installed").stat().st_mtime < DAY_S


def test_the_remains_of_a_killed_install_are_removed(tmp_path):
    leftover = tmp_path / "runtimes" / f"{'d' * 32}.new-abc"
    leftover.mkdir(parents=True)
    (leftover / "package.json").write_text("{")
    assert [entry.name for entry in entries(tmp_path)] == ["an unfinished install"]
    clean(tmp_path)
    assert not leftover.exists()


def test_installing_removes_old_installations(tmp_path):
    old = installation(tmp_path, "e", age_days=61)
    new = installation(tmp_path, "f", age_days=59)
    install({}, tmp_path)
    assert not old.exists()
    assert new.is_dir()


def test_an_unwritable_cache_is_reported_with_a_hint(tmp_path):
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(CacheRefused, match=r"the cache .* cannot be written to") as caught:
        install({}, tmp_path / "cache")
    assert "CKFUNC_CACHE_DIR" in caught.value.hint


def test_errors_outside_the_cache_are_not_reported_as_cache_errors(tmp_path):
    with pytest.raises(OSError, match="elsewhere"), CacheRefused.reported(tmp_path / "cache"):
        raise OSError(28, "No space left on device", str(tmp_path / "elsewhere"))


def test_a_missing_temporary_directory_is_not_reported_as_a_cache_error(tmp_path):
    none = FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")
    assert CacheRefused.of(none, tmp_path / "cache") is None
    above = FileNotFoundError(errno.ENOENT, "No such file or directory", str(tmp_path))
    assert CacheRefused.of(above, tmp_path / "cache") is not None
    within = FileNotFoundError(errno.ENOENT, "No such file or directory", str(tmp_path / "cache" / "packages"))
    assert CacheRefused.of(within, tmp_path / "cache") is None


@pytest.mark.parametrize("damage", [lambda text: text[:-2], lambda text: text.replace("right", "wrong"), lambda _: ""])
def test_a_modified_or_truncated_file_counts_as_absent(tmp_path, damage):
    file = tmp_path / "deep" / "one.json"
    write_checked(file, {"text": "right"})
    assert read_checked(file) == {"text": "right"}
    file.write_text(damage(file.read_text()))
    assert read_checked(file) is None


@pytest.mark.skipif(not Path("/proc/version").is_file(), reason="needs a file that nobody can make executable")
def test_a_program_that_the_system_does_not_run_is_reported_with_a_hint():
    with pytest.raises(CacheRefused, match="does not allow running /proc/version") as caught:
        make_runnable(Path("/proc/version"))
    assert "CKFUNC_CACHE_DIR" in caught.value.hint
