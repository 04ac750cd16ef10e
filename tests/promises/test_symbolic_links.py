"""Symbolic links out of a project, as in a malicious repository: nothing is written through them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest
from cli.conftest import Ckfunc

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")

TYPE = "user.attempted.start_session"
COMMANDS = [
    ["check"],
    ["deploy", "--yes"],
    ["diff"],
    ["emulator", "export", "copy.db"],
    ["emulator", "reset"],
    ["invoke", TYPE],
    ["logs"],
    ["new", "user.sent.message"],
    ["pull", "--yes"],
    ["replay", TYPE],
    ["rollback", TYPE, "--yes"],
    ["test"],
    ["test", "add", "--invocation", "1", "--yes"],
    ["trigger", TYPE, "--data", "{}"],
    ["types", "--no-install"],
    ["undo", "--yes"],
    ["versions", TYPE],
    ["whoami"],
]


@pytest.fixture
def victim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of the developer outside the project."""
    return tmp_path_factory.mktemp("victim")


def contents(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_a_state_directory_linked_outside_the_project_is_refused(
    ckfunc: Ckfunc, project: Path, victim: Path, command: list[str]
) -> None:
    (project / ".ckfunc").symlink_to(victim)
    before = contents(project)
    ran = ckfunc("-C", project, "--target", "local", *command)
    assert ran.code == 1
    assert f"error: .ckfunc is a symbolic link that leads out of {project}, to {victim}: nothing was written" in ran.err
    assert (contents(victim), contents(project)) == ([], before)


@pytest.mark.parametrize(
    "place", ["journal", "cache", "cache/versions", "base", "types", "check", "emulator", "emulator/emulator.db-wal"]
)
def test_links_inside_the_state_directory_must_not_leave_the_project(
    ckfunc: Ckfunc, project: Path, victim: Path, place: str
) -> None:
    link = project / ".ckfunc" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    ran = ckfunc("-C", project, "--target", "local", "deploy", "--yes")
    assert (ran.code, f".ckfunc/{place} is a symbolic link that leads out of" in ran.err) == (1, True)
    assert contents(victim) == []


def test_a_dangling_link_is_refused(ckfunc: Ckfunc, project: Path, victim: Path) -> None:
    (project / ".ckfunc").mkdir()
    (project / ".ckfunc/functions.schema.json").symlink_to(victim / "not-there-yet")
    assert ckfunc("-C", project, "types", "--no-install").code == 1
    assert contents(victim) == []


def test_a_state_directory_linked_inside_the_project_is_allowed(ckfunc: Ckfunc, project: Path) -> None:
    (project / "state").mkdir()
    (project / ".ckfunc").symlink_to("state")
    assert ckfunc("-C", project, "types", "--no-install").code == 0
    assert (project / "state/types").is_dir()


@pytest.mark.parametrize("place", ["emulator/lock", "check/lock", "journal/x.jsonl"])
def test_a_named_pipe_in_the_state_directory_is_refused_without_waiting(
    ckfunc: Ckfunc, project: Path, place: str
) -> None:
    pipe = project / ".ckfunc" / place
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    ran = ckfunc("-C", project, "--target", "local", "deploy", "--yes")
    assert (ran.code, f".ckfunc/{place} in {project} is not a regular file" in ran.err) == (1, True)


def test_new_does_not_write_handlers_through_a_link(ckfunc: Ckfunc, project: Path, victim: Path) -> None:
    shutil.rmtree(project / "handlers")
    (project / "handlers").symlink_to(victim)
    manifest = (project / "functions.yaml").read_bytes()
    ran = ckfunc("-C", project, "new", "user.sent.message")
    assert (ran.code, "handlers is a symbolic link that leads out of" in ran.err) == (1, True)
    assert (contents(victim), (project / "functions.yaml").read_bytes()) == ([], manifest)


def test_new_does_not_change_a_linked_manifest_outside_the_project(ckfunc: Ckfunc, project: Path, victim: Path) -> None:
    (project / "functions.yaml").rename(victim / "functions.yaml")
    (project / "functions.yaml").symlink_to(victim / "functions.yaml")
    before = (victim / "functions.yaml").read_bytes()
    assert ckfunc("-C", project, "new", "user.sent.message").code == 1
    assert (victim / "functions.yaml").read_bytes() == before


@pytest.mark.parametrize("place", [".ckfunc", "handlers", ".vscode"])
def test_init_does_not_write_through_a_link(ckfunc: Ckfunc, tmp_path: Path, victim: Path, place: str) -> None:
    project = tmp_path / "cloned"
    project.mkdir()
    (project / place).symlink_to(victim)
    ran = ckfunc("init", project, "--ci", "github")
    if place != ".vscode":  # init writes nothing there
        assert (ran.code, contents(project)) == (1, [place])
    assert contents(victim) == []


def test_a_pipeline_is_not_written_through_a_link(ckfunc: Ckfunc, tmp_path: Path, victim: Path) -> None:
    (tmp_path / ".github").symlink_to(victim)
    assert ckfunc("-C", tmp_path, "init", "--ci", "github").code == 1
    assert contents(victim) == []


def test_the_emulator_does_not_follow_links_in_its_data_directory(ckfunc: Ckfunc, project: Path, victim: Path) -> None:
    data = project / "data"
    data.mkdir()
    with sqlite3.connect(victim / "theirs.db") as theirs:
        theirs.execute("CREATE TABLE kept (x)")
    theirs.close()
    before = (victim / "theirs.db").read_bytes()
    (data / "emulator.db").symlink_to(victim / "theirs.db")
    ran = ckfunc("-C", project, "emulator", "reset", "--data-dir", "data")
    assert (ran.code, "emulator.db is a symbolic link" in ran.err) == (1, True)
    assert (victim / "theirs.db").read_bytes() == before


@pytest.mark.parametrize(
    "command",
    [
        ["emulator", "export", "out/copy.db"],
        ["test", "--junit", "out/report.xml"],
        ["emulator", "reset", "--data-dir", "out"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_paths_in_arguments_must_not_leave_the_project_through_links(
    ckfunc: Ckfunc, project: Path, victim: Path, command: list[str]
) -> None:
    (project / "out").symlink_to(victim)
    ran = ckfunc("-C", project, "--target", "local", *command)
    assert (ran.code, "out is a symbolic link that leads out of" in ran.err) == (1, True)
    assert contents(victim) == []


def test_doctor_reports_a_link_outside_the_project(ckfunc: Ckfunc, project: Path, victim: Path) -> None:
    (project / ".ckfunc").symlink_to(victim)
    ran = ckfunc("-C", project, "doctor")
    assert (ran.code, ".ckfunc is a symbolic link that leads out of" in ran.out) == (1, True)
    assert contents(victim) == []
