"""Confirmation on a terminal before a write: rollback, pull, undo and deploy."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if sys.platform == "win32":
    pytest.skip("a terminal is a POSIX pseudo terminal here", allow_module_level=True)

from cli.test_terminal import TYPE, on_terminal


@pytest.fixture
def twice(ckfunc: Callable[..., Any], project: Path) -> Path:
    """A project on the emulator whose function was deployed twice."""
    manifest, handler = project / "functions.yaml", project / "handlers/start.ts"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    for word in ("Hello", "Goodbye"):
        handler.write_text(handler.read_text().replace("Hello", word))
        assert ckfunc("-C", project, "deploy").code == 0
    return project


@pytest.mark.parametrize(("answer", "code", "deployed"), [("n", 1, "Goodbye"), ("y", 0, "Hello")])
@pytest.mark.slow
def test_a_rollback_asks_for_confirmation_and_can_be_declined(
    ckfunc: Callable[..., Any], twice: Path, answer: str, code: int, deployed: str
) -> None:
    ended, shown = on_terminal("-C", twice, "rollback", TYPE, answer=answer)
    assert ended == code
    assert "Deploy v1 again, as v3" in shown
    assert ("Cancelled. Nothing was deployed to local." in shown) == (answer == "n")
    assert deployed in ckfunc("-C", twice, "show", TYPE).out


@pytest.mark.parametrize(("answer", "code", "written"), [("n", 1, "Goodbye"), ("y", 0, "Hello")])
@pytest.mark.slow
def test_a_pull_asks_for_confirmation_and_can_be_declined(
    ckfunc: Callable[..., Any], twice: Path, answer: str, code: int, written: str
) -> None:
    assert ckfunc("-C", twice, "rollback", TYPE, "--yes").code == 0
    ended, shown = on_terminal("-C", twice, "pull", answer=answer)
    assert ended == code
    assert "Write these changes to the project?" in shown
    assert ("Cancelled. Nothing was written." in shown) == (answer == "n")
    assert written in (twice / "handlers/start.ts").read_text()


@pytest.mark.slow
def test_an_undo_of_a_rollback_shows_its_time_and_reports_the_result(ckfunc: Callable[..., Any], twice: Path) -> None:
    assert ckfunc("-C", twice, "rollback", TYPE, "--yes").code == 0
    ended, shown = on_terminal("-C", twice, "undo", answer="n")
    assert ended == 1
    assert re.search(r"Revert the rollback [^\n]+ \(\d\d:\d\d\) on local\? \[y/N\]", shown)
    assert "Cancelled. Nothing was reverted on local." in shown
    assert "Deployed" not in shown and "skipped" not in shown
    ended, shown = on_terminal("-C", twice, "undo", answer="y")
    assert ended == 0
    assert re.search(r"Reverted the rollback [^\n]+ \(\d\d:\d\d\) on local \(application 1\): 1 updated\.", shown)
    assert "Deployed" not in shown


@pytest.mark.parametrize("quiet", [[], ["-q"]])
def test_a_declined_deploy_shows_its_plan_even_with_quiet_and_is_cancelled(
    ckfunc: Callable[..., Any], twice: Path, quiet: list[str]
) -> None:
    manifest, handler = twice / "functions.yaml", twice / "handlers/start.ts"
    manifest.write_text(manifest.read_text().replace("{emulator: true}", "{emulator: true, protected: true}"))
    handler.write_text(handler.read_text().replace("Goodbye", "Hello again"))
    ended, shown = on_terminal("-C", twice, *quiet, "deploy", answer="n")
    assert ended == 1
    assert shown.index("Hello again") < shown.index("Deploy this to local? [y/N]")
    assert ("Cancelled. Nothing was deployed to local." in shown) == (not quiet)
    assert "skipped" not in shown and "Deployed" not in shown


def test_an_invalid_answer_repeats_the_question(twice: Path, ckfunc: Callable[..., Any]) -> None:
    ended, shown = on_terminal("-C", twice, "rollback", TYPE, answer="maybe\nYES")
    assert ended == 0
    assert "the answer must be yes or no" in shown and "type y or n" in shown
    assert "Error: " not in shown
    assert shown.count("[y/N]") == 2
    assert "Hello" in ckfunc("-C", twice, "show", TYPE).out


def test_a_declined_change_of_the_emulator_data_is_reported_once_and_exits_1(
    ckfunc: Callable[..., Any], project: Path
) -> None:
    data, export = ("--data-dir", project / "data"), project / "saved.db"
    (project / "seed.yaml").write_text("users: [{name: jane}]\n")
    for prepared in (["seed", project / "seed.yaml"], ["export", export], ["snapshots", "save", "one"]):
        assert ckfunc("emulator", *prepared, *data).code == 0
    for command, done in {
        ("reset",): "deleted",
        ("import", export): "imported",
        ("snapshots", "save", "one"): "saved",
        ("snapshots", "restore", "one"): "restored",
        ("snapshots", "remove", "one"): "removed",
    }.items():
        ended, shown = on_terminal("emulator", *command, *data, answer="n")
        assert ended == 1
        assert shown.count("Nothing") == 1
        assert f"Cancelled. Nothing was {done}." in shown
