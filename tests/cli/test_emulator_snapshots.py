"""`ckfunc emulator snapshots` and `reset`, with and without a running emulator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import connect

import pytest
from cli.conftest import Ckfunc

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator


@contextmanager
def emulator_of(project: Path, *, running: bool) -> Iterator[None]:
    if not running:
        yield
        return
    with Emulator(project / ".ckfunc/emulator", cache=cache_dir()):
        yield


def add(ckfunc: Ckfunc, project: Path, name: str) -> None:
    (project / "seed.yaml").write_text(f"users: [{{name: {name}}}]\n")
    assert ckfunc("-C", project, "emulator", "seed", "seed.yaml").code == 0


def names(project: Path) -> list[str]:
    with closing(connect(project / ".ckfunc/emulator/emulator.db")) as database:
        return [row[0] for row in database.execute("SELECT name FROM users ORDER BY id")]


@pytest.mark.parametrize("running", [False, True])
def test_snapshots_are_saved_restored_and_removed(ckfunc: Ckfunc, project: Path, *, running: bool) -> None:
    add(ckfunc, project, "ann")
    with emulator_of(project, running=running):
        ran = ckfunc("-C", project, "emulator", "snapshots", "save", "one")
        assert ran.code == 0
        assert re.match(
            r"saved snapshot one \([\d.]+ kB\)\nnote: the copy contains the values of environment variables", ran.err
        )
        add(ckfunc, project, "bob")
        refused = ckfunc("-C", project, "emulator", "snapshots", "restore", "one")
        assert (refused.code, names(project)) == (2, ["ann", "bob"])
        assert "confirmation is required, but there is no terminal; nothing was changed" in refused.err
        assert ckfunc("-C", project, "emulator", "snapshots", "restore", "one", "--yes").err.startswith("restored ")
        assert names(project) == ["ann"]
        refused = ckfunc("-C", project, "emulator", "snapshots", "save", "one")
        assert (refused.code, "nothing was changed" in refused.err) == (2, True)
        add(ckfunc, project, "cy")
        assert ckfunc("-C", project, "emulator", "snapshots", "save", "one", "-y").code == 0
        assert ckfunc("-C", project, "emulator", "reset", "--yes").code == 0
        made = json.loads(ckfunc("-C", project, "--json", "emulator", "snapshots", "restore", "one", "-y").out)
        assert names(project) == ["ann", "cy"]
        listed = json.loads(ckfunc("-C", project, "emulator", "snapshots", "--json").out)
        assert listed == [made]
        assert re.fullmatch(
            r"NAME +SAVED +SIZE\none +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +[\d.]+ kB\n",
            ckfunc("-C", project, "emulator", "snapshots").out,
        )
        assert ckfunc("-C", project, "emulator", "snapshots", "remove", "one").code == 2
        removed = json.loads(ckfunc("-C", project, "emulator", "snapshots", "remove", "one", "-y", "--json").out)
        assert removed == made
    ran = ckfunc("-C", project, "emulator", "snapshots")
    assert (ran.code, ran.out) == (0, "")
    assert "no snapshots; `ckfunc emulator snapshots save NAME` saves one" in ran.err


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(
    ("command", "message", "hint"),
    [
        (("restore", "oen"), "there is no snapshot 'oen'", "did you mean one?"),
        (("remove", "xyz", "--yes"), "there is no snapshot 'xyz'", "existing snapshots: one"),
        (("save", "../x"), "'../x' cannot be the name of a snapshot", "use letters, digits, dots"),
        (("save", ""), "'' cannot be the name of a snapshot", "use letters, digits, dots"),
        (("restore", "a b", "--yes"), "'a b' cannot be the name of a snapshot", "use letters, digits, dots"),
    ],
)
def test_a_snapshot_error_is_one_sentence_with_a_hint(
    ckfunc: Ckfunc, project: Path, command: tuple[str, ...], message: str, hint: str, *, running: bool
) -> None:
    add(ckfunc, project, "ann")
    assert ckfunc("-C", project, "emulator", "snapshots", "save", "one").code == 0
    with emulator_of(project, running=running):
        ran = ckfunc("-C", project, "emulator", "snapshots", *command)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err.startswith(f"error: {message}")
        assert hint in ran.err
        assert len(ran.err.strip().splitlines()) <= 2
    assert names(project) == ["ann"]


def test_a_snapshot_without_emulator_data_fails(ckfunc: Ckfunc, project: Path) -> None:
    ran = ckfunc("-C", project, "emulator", "snapshots", "save", "one")
    assert ran.code == 1
    assert "there is no emulator data" in ran.err
    assert not (project / ".ckfunc/emulator/snapshots").exists()


def test_a_reset_of_a_running_emulator_does_not_remove_snapshots(ckfunc: Ckfunc, project: Path) -> None:
    add(ckfunc, project, "ann")
    with emulator_of(project, running=True):
        assert ckfunc("-C", project, "emulator", "snapshots", "save", "one").code == 0
        ran = ckfunc("-C", project, "emulator", "reset", "--yes")
        assert (ran.code, names(project)) == (0, [])
        assert "emulator is empty" in ran.err
        assert ckfunc("-C", project, "emulator", "snapshots", "restore", "one", "--yes").code == 0
        assert names(project) == ["ann"]
