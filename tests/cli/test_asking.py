"""What is asked on a terminal before something is written: rollback and pull."""

from __future__ import annotations

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
def test_a_rollback_asks_and_takes_no_for_an_answer(
    ckfunc: Callable[..., Any], twice: Path, answer: str, code: int, deployed: str
) -> None:
    ended, shown = on_terminal("-C", twice, "rollback", TYPE, answer=answer)
    assert ended == code
    assert "Deploy v1 again, as v3" in shown
    assert deployed in ckfunc("-C", twice, "show", TYPE).out


@pytest.mark.parametrize(("answer", "code", "written"), [("n", 1, "Goodbye"), ("y", 0, "Hello")])
def test_a_pull_asks_and_takes_no_for_an_answer(
    ckfunc: Callable[..., Any], twice: Path, answer: str, code: int, written: str
) -> None:
    assert ckfunc("-C", twice, "rollback", TYPE, "--yes").code == 0
    ended, shown = on_terminal("-C", twice, "pull", answer=answer)
    assert ended == code
    assert "Write this?" in shown
    assert written in (twice / "handlers/start.ts").read_text()
