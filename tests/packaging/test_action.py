"""The GitHub action and the pre-commit hooks of this repository."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ckfunc.base.annotations import MARK
from ckfunc.cli.main import COMMANDS

TOP = Path(__file__).parents[2]
ACTION = yaml.safe_load((TOP / "action.yml").read_text(encoding="utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"] if "name" in step}
GH = """\
case "$*" in
  *--paginate*) cat "$RUNNER_TEMP/comments" ;;
  *) echo "$*" >> "$RUNNER_TEMP/written" ;;
esac
"""


class ActionRun:
    """The steps of the action, run in a shell; `outputs` are those of the last step."""

    def __init__(self, directory: Path, project: Path) -> None:
        self.directory = directory
        self.project = project
        self.outputs: dict[str, str] = {}
        (directory / "bin").mkdir()
        self.program(directory / "bin/gh", GH)
        (directory / "comments").touch()

    def program(self, path: Path, body: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def step(self, name: str, **environ: str) -> subprocess.CompletedProcess[str]:
        output = self.directory / "output"
        output.write_text("")
        ran = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[name]["run"]],
            cwd=self.project,
            env={
                **os.environ,
                "PATH": f"{self.directory / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "RUNNER_TEMP": str(self.directory),
                "GITHUB_OUTPUT": str(output),
                "GITHUB_STEP_SUMMARY": str(self.directory / "summary"),
                "GITHUB_REPOSITORY": "acme/chat",
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        self.outputs = dict(line.split("=", 1) for line in output.read_text().splitlines())
        return ran

    def command(self, command: str, *, comment: bool = False, changes_fail: bool = True) -> int:
        return self.step(
            "Run",
            COMMAND=command,
            COMMENT="true" if comment else "false",
            CHANGES_FAIL="true" if changes_fail else "false",
        ).returncode


@pytest.fixture
def action(tmp_path: Path, project: Path) -> ActionRun:
    (tmp_path / "runner").mkdir()
    run = ActionRun(tmp_path / "runner", project)
    run.program(run.directory / "ckfunc/bin/ckfunc", f'exec {shlex.quote(sys.executable)} -m ckfunc "$@"')
    return run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    (directory / "handlers").mkdir(parents=True)
    (directory / "handlers/start.ts").write_text("async function handleEvent() {\n  return 1;\n}\n")
    (directory / "functions.yaml").write_text(
        "version: 1\nfunctions:\n  user.attempted.start_session: {handler: handlers/start.ts}\n"
    )
    return directory


def test_the_action_outputs_the_exit_code_and_whether_there_are_changes(action: ActionRun) -> None:
    assert action.command("diff --target local") == 0
    assert action.outputs == {"exit-code": "0"}
    assert action.command("diff --target local --exit-code") == 3
    assert action.outputs == {"exit-code": "3", "changes": "true"}
    assert action.command("diff --target local --exit-code", changes_fail=False) == 0
    assert action.outputs == {"exit-code": "3", "changes": "true"}
    assert action.command("nonsense") == 2
    assert action.outputs == {"exit-code": "2"}


def test_the_action_posts_a_plan_comment_and_updates_it_later(action: ActionRun) -> None:
    assert action.command("diff --target local", comment=True) == 0
    plan = Path(action.outputs["plan"])
    assert plan.read_text().startswith(MARK)
    assert MARK in STEPS["Comment"]["run"]
    assert (action.directory / "summary").read_text() == plan.read_text()
    assert action.step("Comment", PLAN=str(plan), NUMBER="7", GH_TOKEN="secret").returncode == 0
    (action.directory / "comments").write_text("4711\n")
    assert action.step("Comment", PLAN=str(plan), NUMBER="7", GH_TOKEN="secret").returncode == 0
    assert (action.directory / "written").read_text().splitlines() == [
        f"api --silent -X POST repos/acme/chat/issues/7/comments -F body=@{plan}",
        f"api --silent -X PATCH repos/acme/chat/issues/comments/4711 -F body=@{plan}",
    ]
    assert action.command("check", comment=True) == 2
    assert action.outputs == {}


@pytest.mark.slow
def test_the_action_installs_ckfunc_from_its_own_source(action: ActionRun) -> None:
    program = action.directory / "ckfunc/bin/ckfunc"
    program.unlink()
    program.parent.rmdir()
    program.parent.parent.rmdir()
    ran = action.step("Install", PYTHON=sys.executable, SOURCE=str(TOP))
    assert ran.returncode == 0, ran.stderr
    assert action.command("--version") == 0
    assert action.step("Install", PYTHON="/nowhere", SOURCE="/nowhere").returncode == 0  # used again by a later step


def test_action_inputs_and_outputs_are_used_and_described() -> None:
    text = (TOP / "action.yml").read_text(encoding="utf-8")
    for name, given in ACTION["inputs"].items():
        assert given["description"] and f"inputs.{name} " in text, name
    for name, given in ACTION["outputs"].items():
        assert given["description"] and f"{name}=" in STEPS["Run"]["run"], name


def hooks() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((TOP / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("hook", hooks(), ids=lambda hook: hook["id"])
def test_each_pre_commit_hook_runs_a_command_for_project_files(hook: dict[str, Any]) -> None:
    program, command, *_ = hook["entry"].split()
    assert program == "ckfunc" and command in COMMANDS
    assert hook["language"] == "python" and hook["pass_filenames"] is False
    for path in ("functions.yaml", "chat/functions.yaml", "handlers/start.ts", "lib/greet.mjs"):
        assert re.search(hook["files"], path), path
    assert not re.search(hook["files"], "README.md")
