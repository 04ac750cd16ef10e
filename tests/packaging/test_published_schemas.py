"""Pipelines, workflows and the action, validated by the published schemas of their formats.

check-jsonschema includes the schemas of SchemaStore, so nothing is downloaded.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from cli.conftest import ckfunc, project
from support.pipelines import FILES

TOP = Path(__file__).parents[2]
SCHEMAS = {"github": "github-workflows", "gitlab": "gitlab-ci"}
MANIFEST = """\
version: 1
runtime:
  environment: {OPENAI_API_KEY: "${OPENAI_API_KEY}"}
functions:
  user.attempted.start_session: {handler: handlers/start.ts}
targets:
  local: {emulator: true}
  live: {application: "${CHATKITTY_APPLICATION}"}
"""

__all__ = ["ckfunc", "project"]

pytestmark = pytest.mark.skipif(
    not hasattr(click.ParamType, "__class_getitem__"), reason="check-jsonschema needs a newer click than ckfunc does"
)


def mistakes(schema: str, *files: Path) -> str:
    """Return the errors that a schema of SchemaStore finds in files; empty if they are valid."""
    ran = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *map(str, files)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stderr
    return ran.stdout + ran.stderr if ran.returncode else ""


@pytest.mark.parametrize("system", FILES)
@pytest.mark.parametrize("subdirectory", ["", "chat"])
def test_pipelines_generated_by_init_are_valid(
    ckfunc: Callable[..., Any], tmp_path: Path, project: Path, system: str, subdirectory: str
) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    root = project
    if subdirectory:
        root = tmp_path / subdirectory
        root.mkdir()
        (project / "handlers").rename(root / "handlers")
        (project / "functions.yaml").unlink()
    (root / "functions.yaml").write_text(MANIFEST)
    ran = ckfunc("-C", root, "init", "--ci", system, "--branch", "trunk")
    assert ran.code == 0, ran.err
    assert mistakes(SCHEMAS[system], tmp_path / FILES[system]) == ""


@pytest.mark.parametrize(
    ("schema", "pattern"),
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("github-actions", "action.yml"),
        ("dependabot", ".github/dependabot.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
    ],
)
def test_the_github_files_of_this_repository_are_valid(schema: str, pattern: str) -> None:
    files = sorted(TOP.glob(pattern))
    assert files
    assert mistakes(schema, *files) == ""


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ("github-workflows", "on: push\njobs: {check: {runs_on: ubuntu-latest, steps: [{run: 'true'}]}}\n"),
        ("github-actions", "name: x\ndescription: x\nruns: {using: composite}\n"),
        ("gitlab-ci", "check: {script: ['true'], artifacts: {path: [x]}}\n"),
    ],
)
def test_a_misspelled_key_is_found(tmp_path: Path, schema: str, text: str) -> None:
    (tmp_path / "file.yml").write_text(text)
    assert "file.yml" in mistakes(schema, tmp_path / "file.yml")


def test_pre_commit_accepts_our_hooks() -> None:
    program = [sys.executable, "-m", "pre_commit", "validate-manifest", str(TOP / ".pre-commit-hooks.yaml")]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
