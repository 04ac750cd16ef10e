"""What README.md shows: its manifest must be valid, its handler must type-check, its commands must exist."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.typescript import tsc

from ckfunc.base.errors import (
    EXIT_BUG,
    EXIT_DIFFERENCES,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
)
from ckfunc.cli.main import COMMANDS
from ckfunc.manifest import load, targets
from ckfunc.manifest.definition import MANIFEST, PLATFORM_PACKAGES
from ckfunc.manifest.kinds import Entries, Record
from ckfunc.model.triggers import TRIGGERS
from ckfunc.scaffold.project import init
from ckfunc.scaffold.stubs import TYPES_DIR

README = (Path(__file__).parent.parent.parent / "README.md").read_text(encoding="utf-8")


def block(language: str, start: str) -> str:
    """Return the code block of README.md that begins with `start`."""
    return next(text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if text.startswith(start))


def test_its_manifest_is_valid(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").write_text(block("yaml", "# yaml-language-server"), encoding="utf-8")
    for name in ("init.ts", "handlers/start-session.ts"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("// more\n", encoding="utf-8")
    assert targets(tmp_path) == ("local", "staging", "production")
    project = load(tmp_path, "production", {"OPENAI_API_KEY": "x"})
    assert project.runtime.environment == {"SUPPORT_CHANNEL": "9", "OPENAI_API_KEY": "x"}
    assert project.target.protected


def test_its_handler_type_checks_in_a_new_project(tmp_path: Path) -> None:
    init(tmp_path, schema="{}")
    (tmp_path / "handlers" / "readme.ts").write_text(block("ts", "async function handleEvent"), encoding="utf-8")
    assert tsc(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="its lines are a POSIX shell's")
def test_its_first_lines_work_as_they_are_written(tmp_path: Path) -> None:
    lines = [line.removeprefix("$ ") for line in block("console", "$ python3 -m venv").splitlines()]
    lines += [line.removeprefix("$ ") for line in block("console", "$ ckfunc trigger user.sent.message").splitlines()]
    install, (first, *more) = lines[:2], lines[2:]
    assert [line.partition(" ")[0] for line in install] == ["python3", "pip"]
    script = "\n".join(["set -e", first, *more[:-1], "ckfunc new user.sent.message", "ckfunc deploy", more[-1]])
    path = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATKITTY_")}
    done = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=tmp_path,
        env={**environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "session allowed" in done.stdout
    assert "user.sent.message v1 SUCCEEDED" in done.stdout


def test_its_commands_exist() -> None:
    shown = set(re.findall(r"(?:^\$|`)\s*ckfunc ([a-z]+)", README, re.MULTILINE))
    assert shown <= set(COMMANDS)
    table = README.partition("| command | does |")[2].partition("\n\n")[0]
    rows = set(re.findall(r"^\| `([a-z]+)(?: [^`]*)?` \|", table, re.MULTILINE))
    assert rows == set(COMMANDS)


def test_it_explains_every_key_of_the_manifest() -> None:
    missing = []
    for path in _keys(MANIFEST, ""):
        if f"`{path}`" not in README:
            missing.append(path)
    assert missing == []


@pytest.mark.parametrize("code", [EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_DIFFERENCES, EXIT_BUG, EXIT_INTERRUPTED])
def test_it_explains_every_exit_code(code: int) -> None:
    assert f"\n| {code} | " in README


def test_it_names_every_trigger_type_and_every_package_of_the_platform() -> None:
    assert [one.type for one in TRIGGERS if f"`{one.type}`" not in README] == []
    assert [name for name in PLATFORM_PACKAGES if f"`{name}`" not in README] == []
    assert f"`{TYPES_DIR}/*.d.ts`" in README


def _keys(record: Record, prefix: str) -> list[str]:
    """Return the dotted names of what a record may hold, down to its leaves."""
    found = []
    for field in record.fields:
        kind, name = field.kind, prefix + field.name
        if isinstance(kind, Record):
            found += _keys(kind, f"{name}.")
        elif isinstance(kind, Entries) and isinstance(kind.kind, Record):
            found += _keys(kind.kind, f"{name}.{'TYPE' if field.name == 'functions' else 'NAME'}.")
        else:
            found.append(name)
    return found
