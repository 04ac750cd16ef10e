"""A smoke test of an installation: create, deploy and run a project."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

TYPE = "user.attempted.start_session"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


def run(ckfunc: Path, *arguments: str, cwd: Path) -> Ran:
    """Run an installed `ckfunc` in a separate process, without a terminal and without the environment of the tests."""
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("COV_", "COVERAGE_", "PYTHON"))
    }
    done = subprocess.run(
        [str(ckfunc), *arguments],
        cwd=cwd,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=110,
        check=False,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def smoke(ckfunc: Path, directory: Path, version: str) -> None:
    """Run and check the first steps of a new user in an empty `directory`, on the embedded emulator."""

    def step(*arguments: str, code: int = 0) -> Ran:
        ran = run(ckfunc, *arguments, cwd=directory)
        assert ran.code == code, f"ckfunc {' '.join(arguments)} ended with {ran.code}\n{ran.out}\n{ran.err}"
        assert "Traceback" not in ran.err
        assert "Warning" not in ran.err
        return ran

    assert version in step("--version").out
    step("init", "chat")
    assert (directory / "chat" / "functions.yaml").is_file()
    here = ("-C", "chat")
    step(*here, "new", "user.sent.message")
    assert TYPE in step(*here, "diff", "--exit-code", code=3).out
    step(*here, "deploy")
    step(*here, "diff", "--exit-code")
    event = json.dumps({"username": "jane", "authParams": {}})
    step(*here, "trigger", TYPE, "--data", event)
    lines = step(*here, "logs", "--json").out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["SUCCEEDED"]
    # Wherever ckfunc is installed, a stack shows the user's own lines alone.
    handler = next((directory / "chat/handlers").glob("*sent*.ts"))
    handler.write_text("function handleEvent(event) {\n  throw new Error('no such luck');\n}\n", encoding="utf-8")
    step(*here, "deploy")
    failed = step(*here, "trigger", "user.sent.message", "--data", "{}", code=1).out
    assert "no such luck" in failed
    assert ".ts:2:" in failed
    assert ".mjs" not in failed
