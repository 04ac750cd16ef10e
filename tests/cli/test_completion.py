"""What shells offer: commands, trigger types and targets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ckfunc.cli.main import COMMANDS
from ckfunc.model.triggers import TRIGGERS

TYPE = "user.attempted.start_session"


def offered(project: Path, *words: str) -> list[str]:
    """Return what is offered for the last of `words`, as the script for bash asks for it."""
    line = ["ckfunc", "-C", str(project), *words]
    environ = {
        **os.environ,
        "_CKFUNC_COMPLETE": "bash_complete",
        "COMP_WORDS": " ".join(line),
        "COMP_CWORD": str(len(line) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", "from ckfunc.cli.main import main; main()"],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [text.partition(",")[2] for text in done.stdout.splitlines() if text]


def test_commands_types_and_targets_are_offered(project: Path) -> None:
    assert set(offered(project, "")) == set(COMMANDS)
    assert offered(project, "dep") == ["deploy"]
    for command in ("versions", "show", "rollback", "diff", "logs", "trigger"):
        assert offered(project, command, "user.") == [TYPE], command
    assert offered(project, "new", "user.") == [
        one.type for one in TRIGGERS if one.type.startswith("user.") and one.type != TYPE
    ]
    assert offered(project, "deploy", "--target", "") == ["local", "remote"]
    assert "--blame" in offered(project, "versions", "--")


def test_a_broken_manifest_or_a_command_that_is_none_offers_what_there_is(project: Path) -> None:
    (project / "functions.yaml").write_text("functions: [")
    assert len(offered(project, "versions", "")) == len(TRIGGERS)
    assert offered(project, "deploy", "--target", "") == []
    assert set(offered(project, "nonsense", "")) == set(COMMANDS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_that_the_shell_accepts(ckfunc: Callable[..., Any], shell: str, tmp_path: Path) -> None:
    ran = ckfunc("completion", shell)
    assert ran.code == 0
    assert "_CKFUNC_COMPLETE" in ran.out
    if program := shutil.which(shell):
        script = tmp_path / "script"
        script.write_text(ran.out)
        subprocess.run([program, "-n", str(script)], check=True)


def test_another_shell_is_refused(ckfunc: Callable[..., Any]) -> None:
    assert ckfunc("completion", "tcsh").code == 2
