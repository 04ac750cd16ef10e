"""Pipelines for CI systems, and the plan as a comment."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ckfunc.cli.main import COMMANDS
from ckfunc.deploy.markdown import MARK

FILES = {"github": ".github/workflows/ckfunc.yml", "gitlab": ".gitlab-ci.yml"}
MANIFEST = """\
version: 1
runtime:
  environment: {OPENAI_API_KEY: "${OPENAI_API_KEY}", GREETING: "Hello ${NAME}"}
functions:
  user.attempted.start_session:
    handler: handlers/start.ts
targets:
  local: {emulator: true}
  live: {application: "${CHATKITTY_APPLICATION}"}
"""


def commands_of(text: str) -> list[list[str]]:
    return [found.split() for found in re.findall(r"^ +- (?:run: )?ckfunc (.+)$", text, re.MULTILINE)]


@pytest.mark.parametrize("system", FILES)
def test_a_pipeline_checks_plans_deploys_and_looks_for_drift(
    ckfunc: Callable[..., Any], project: Path, system: str
) -> None:
    (project / "functions.yaml").write_text(MANIFEST)
    ran = ckfunc("-C", project, "init", "--ci", system)
    assert ran.code == 0, ran.err
    assert "warning" not in ran.err
    text = (project / FILES[system]).read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    assert MARK in text
    lines = commands_of(text)
    assert ["check", "--target", "live"] in lines
    assert ["diff", "--target", "live", "--markdown", ">", "plan.md"] in lines
    assert ["deploy", "--target", "live", "--yes"] in lines
    assert ["diff", "--target", "live", "--exit-code"] in lines
    assert {line[0] for line in lines} <= set(COMMANDS)
    for name in ("OPENAI_API_KEY", "NAME", "CHATKITTY_CLIENT_SECRET"):
        assert name in text
    assert not (project / "tsconfig.json").exists()
    again = ckfunc("-C", project, "init", "--ci", system)
    assert again.code == 0
    assert "unchanged" in again.err


def test_the_scripts_of_pipelines_are_sound(ckfunc: Callable[..., Any], project: Path) -> None:
    (project / "functions.yaml").write_text(MANIFEST)
    for system in FILES:
        ckfunc("-C", project, "init", "--ci", system)
    github = yaml.safe_load((project / FILES["github"]).read_text(encoding="utf-8"))
    assert github["jobs"]["check"]["if"] == "github.event_name == 'pull_request'"  # from forks too: it needs no secret
    scripts = [step["run"] for job in github["jobs"].values() for step in job["steps"] if "run" in step]
    for script in scripts:
        subprocess.run(["sh", "-n", "-c", script], check=True)
    assert github["permissions"] == {"contents": "read"}
    assert "fork" not in str(github["jobs"]["plan"]["if"]) and "full_name" in github["jobs"]["plan"]["if"]
    assert github["env"]["OPENAI_API_KEY"] == "${{ secrets.OPENAI_API_KEY }}"
    gitlab = yaml.safe_load((project / FILES["gitlab"]).read_text(encoding="utf-8"))
    heredoc = next(line for line in gitlab["ckfunc plan"]["script"] if line.startswith("python"))
    program = heredoc.partition("<<'END'\n")[2].rpartition("\nEND")[0]
    compile(program, "gitlab", "exec")


def test_a_project_below_the_top_of_its_repository_is_named_and_a_new_one_is_made_whole(
    ckfunc: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / ".git").mkdir()
    ran = ckfunc("-C", tmp_path, "init", "chat/support", "--ci", "github")
    assert ran.code == 0, ran.err
    assert "no target 'production'" in ran.err
    assert (tmp_path / "chat/support/functions.yaml").is_file()
    text = (tmp_path / ".github/workflows/ckfunc.yml").read_text(encoding="utf-8")
    assert "ckfunc -C 'chat/support' deploy --target production --yes" in text


def test_a_pipeline_of_ones_own_is_not_overwritten(ckfunc: Callable[..., Any], project: Path) -> None:
    (project / ".gitlab-ci.yml").write_text("mine: {}\n")
    ran = ckfunc("-C", project, "init", "--ci", "gitlab")
    assert ran.code == 1
    assert ".gitlab-ci.yml exists already" in ran.err
    assert (project / ".gitlab-ci.yml").read_text() == "mine: {}\n"
    odd = project / "it's"
    odd.mkdir()
    (project / ".git").mkdir()
    (odd / "functions.yaml").write_text(MANIFEST)
    assert "cannot be named" in ckfunc("-C", odd, "init", "--ci", "github").err


def test_the_plan_is_printed_as_a_comment(ckfunc: Callable[..., Any], project: Path) -> None:
    local = ("-C", project, "--target", "local")
    ran = ckfunc(*local, "diff", "--markdown", "--exit-code")
    assert ran.code == 3
    assert ran.out.startswith(f"{MARK}\n### ckfunc: local")
    assert "new function, v1" in ran.out
    assert "```diff\n" in ran.out
    assert ckfunc(*local, "--json", "diff", "--markdown").code == 2
    assert ckfunc(*local, "diff", "user.sent.message@1", "--markdown").code == 2
