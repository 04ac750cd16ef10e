"""Unusual environments: no home directory, unwritable caches, and names that are not UTF-8."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ckfunc as package
from ckfunc.base.errors import NoHome
from ckfunc.base.files import cache_dir, templates

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX alone has HOME, and file names of any bytes")


@pytest.fixture
def local(project: Path) -> Path:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    return project


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user unknown to the system, as in a container with an arbitrary user id."""
    import pwd

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    for name in ("HOME", "CKFUNC_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)


@posix
@pytest.mark.usefixtures("homeless")
def test_without_a_home_directory_the_error_names_the_variables_to_set(ckfunc: Callable[..., Any], local: Path) -> None:
    for command in (["diff"], ["check"], ["cache", "info"]):
        ran = ckfunc("-C", local, *command)
        assert ran.code == 1
        assert "error: the home directory cannot be determined" in ran.err
        assert "hint: set HOME, or CKFUNC_CACHE_DIR" in ran.err
    assert ckfunc("-C", local, "doctor").code in (0, 1)
    assert ckfunc("init", local / "another").code == 0


@posix
@pytest.mark.usefixtures("homeless")
def test_the_cache_directory_does_not_depend_on_the_current_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoHome):
        cache_dir()
    monkeypatch.setenv("HOME", "relative")
    with pytest.raises(NoHome):
        cache_dir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert tmp_path in cache_dir().parents and "relative" not in cache_dir().parts
    monkeypatch.setenv("CKFUNC_CACHE_DIR", "")  # an empty variable counts as not set
    assert cache_dir().is_relative_to(tmp_path) and cache_dir().name == "ckfunc"
    monkeypatch.setenv("CKFUNC_CACHE_DIR", "mine")
    assert cache_dir() == tmp_path / "mine"
    monkeypatch.setenv("CKFUNC_CACHE_DIR", "~/mine")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_dir() == tmp_path / "home/mine"


@posix
@pytest.mark.parametrize("at", ["/proc/nowhere", "file/cache"])
def test_a_cache_directory_that_cannot_be_created_is_an_expected_error(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    if at.startswith("/proc") and not Path("/proc").is_dir():
        pytest.skip("needs /proc")
    (local / "file").write_text("")
    monkeypatch.setenv("CKFUNC_CACHE_DIR", str(local / at))
    ran = ckfunc("-C", local, "check")
    assert ran.code == 1
    assert "cannot be written to" in ran.err and "set CKFUNC_CACHE_DIR" in ran.err


def test_a_bug_is_printed_if_no_report_file_can_be_written(
    ckfunc: Callable[..., Any], local: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("with canary-4711")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("CHATKITTY_CLIENT_SECRET", "canary-4711")
    monkeypatch.setattr("ckfunc.deploy.run.plan", broken)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    ran = ckfunc("-C", local, "diff", "--target=local")
    assert ran.code == 4
    assert "ZeroDivisionError: with ••••" in ran.err and "canary-4711" not in ran.err
    assert ran.err.endswith("the details are above\nhint: please report it with these lines\n")


@posix
def test_file_names_that_are_not_utf8_are_shown_with_escaped_bytes(
    ckfunc: Callable[..., Any], local: Path, tmp_path: Path
) -> None:
    odd = tmp_path / os.fsdecode(b"d\xffr")
    try:
        odd.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    for name in ("functions.yaml", "handlers"):
        (local / name).rename(odd / name)
    assert ckfunc("-C", odd, "deploy").code == 0
    ran = ckfunc("-C", odd, "diff", "--out", os.fsdecode(b"p\xfe.json"))
    assert "p\\xfe.json" in ran.err and "p\\xfe.json" not in ran.out
    ran = ckfunc("-C", odd, "check")
    assert ran.code == 1 and "d\\xffr: its name is not UTF-8\nhint: rename the directory" in ran.err
    (odd / "tests").mkdir()
    (odd / "tests" / os.fsdecode(b"x\xff.yaml")).write_text("x")
    assert "tests/x\\xff.yaml" in ckfunc("-C", odd, "test").err


@posix
@pytest.mark.parametrize(
    "args",
    [["show", "\udcff"], ["emulator", "--host", "\udcff"], ["-C", "\udcff", "diff"], ["\udcff"], ["help", "\udcff"]],
)
def test_arguments_that_are_not_utf8_are_expected_errors(
    ckfunc: Callable[..., Any], local: Path, args: list[str]
) -> None:
    ran = ckfunc("-C", local, *args)
    assert ran.code in (1, 2)
    assert "error: " in ran.err and "bug" not in ran.err


@posix
def test_a_removed_current_directory_is_ignored_if_a_directory_is_given(
    ckfunc: Callable[..., Any], local: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setenv("npm_config_loglevel", "silent")
    for command in (["deploy"], ["diff"], ["invoke", "user.attempted.start_session"], ["cache", "info"]):
        ran = ckfunc("-C", local, *command)
        assert (ran.code, "bug" in ran.err) == (0, False), (command, ran.err)


def test_a_usage_error_shows_the_given_value_truncated(ckfunc: Callable[..., Any]) -> None:
    ran = ckfunc("deploy", "--concurrency", "99")
    assert ran.err.startswith("error: --concurrency must be a whole number from 1 to 16, not 99\n")
    ran = ckfunc("completion", "x" * 5000)
    assert ran.code == 2 and "…" in ran.err and len(ran.err) < 300


@pytest.mark.parametrize(
    ("module", "command", "said"),
    [
        ("click", "--version", "click, which ckfunc depends on, cannot be imported: not for this Python"),
        ("yaml", "diff", "yaml, which ckfunc depends on, cannot be imported: not for this Python"),
        ("_sqlite3", "deploy", f"{sys.executable} was built without the module _sqlite3"),
    ],
)
def test_an_incomplete_installation_is_an_expected_error(
    local: Path, tmp_path: Path, module: str, command: str, said: str
) -> None:
    broken = tmp_path / "first" / module
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text(f"raise ImportError('not for this Python', name='{module}.native')\n")
    path = os.pathsep.join([str(broken.parent), *sys.path])
    ran = subprocess.run(
        [sys.executable, "-m", "ckfunc", command],
        cwd=local,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"error: {said}\nhint: install ckfunc ")


@posix
def test_each_file_of_the_installation_may_be_a_link(local: Path, tmp_path: Path) -> None:
    root = Path(package.__file__).parent
    for file in root.rglob("*"):
        if file.is_file() and file.suffix != ".pyc":
            link = tmp_path / "linked" / file.relative_to(root.parent)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(file)
    (tmp_path / "linked" / "templates").symlink_to(templates())
    ran = subprocess.run(
        [sys.executable, "-m", "ckfunc", "invoke", "user.attempted.start_session"],
        cwd=local,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "linked"), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
