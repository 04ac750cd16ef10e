"""Commands run within the test's own process, as a shell would run them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.json_outputs import command_of, documents_of, require_documented

from ckfunc.cli.main import run


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Ckfunc = Callable[..., Ran]


@pytest.fixture
def ckfunc(capfd: pytest.CaptureFixture[str]) -> Ckfunc:
    """Return a function that runs a command line and returns its exit code, stdout and stderr.

    Output of --json is validated by its published schema.
    """

    def call(*args: str | Path) -> Ran:
        capfd.readouterr()
        code = run([str(arg) for arg in args])
        out, err = capfd.readouterr()
        if "--json" in args and out:
            command = command_of([str(arg) for arg in args])
            require_documented(command, *documents_of(command, out))
        return Ran(code, out, err)

    return call


def written(root: Path, files: Mapping[str, str]) -> Path:
    """Write a project's files, by path, and return its directory."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def start(ckfunc: Ckfunc, root: Path, username: str) -> Ran:
    """Fire user.attempted.start_session for a user."""
    return ckfunc("-C", root, "trigger", "user.attempted.start_session", "--data", json.dumps({"username": username}))


MANIFEST = """\
version: 1
functions:
  user.attempted.start_session:
    handler: handlers/start.ts
targets:
  local: {emulator: true}
  remote: {}
default_target: remote
"""

HANDLER = """\
async function handleEvent(event: UserAttemptedStartSessionEvent, context: Context) {
  return 'Hello ' + event.username;
}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one handler, whose default target is the real platform."""
    (tmp_path / "handlers").mkdir()
    (tmp_path / "functions.yaml").write_text(MANIFEST)
    (tmp_path / "handlers/start.ts").write_text(HANDLER)
    return tmp_path
