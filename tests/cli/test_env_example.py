"""`.env.example` lists every variable of the manifest, and keeps what else is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.conftest import Ckfunc

MANIFEST = """\
version: 1
runtime:
  environment: {KEY: "${KEY}", GREETING: hello, URL: "https://${HOST}/"}
targets:
  local: {emulator: true}
  production: {application: "${APPLICATION}", environment: {KEY: "${PRODUCTION_KEY}"}}
"""
NAMES = ["APPLICATION", "HOST", "KEY", "PRODUCTION_KEY"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "functions.yaml").write_text(MANIFEST)
    return tmp_path


@pytest.mark.parametrize("command", [("types", "--no-install"), ("new", "user.sent.message")], ids=" ".join)
def test_a_missing_file_is_made_with_every_variable_of_every_target(
    ckfunc: Ckfunc, project: Path, command: tuple[str, ...]
) -> None:
    ran = ckfunc("-C", project, *command, "--target", "local")
    assert ran.code == 0
    assert "created     .env.example" in ran.err
    text = (project / ".env.example").read_text()
    assert text.startswith("# ") and text.endswith("".join(f"{name}=\n" for name in NAMES))


def test_names_are_added_and_comments_newlines_and_unused_names_stay(ckfunc: Ckfunc, project: Path) -> None:
    before = b"# ours\r\nOLD=1\r\n# HOST=\r\nexport KEY=  # the key"
    (project / ".env.example").write_bytes(before)
    stale = ckfunc("-C", project, "types", "--check", "--json")
    assert stale.code == 1
    reasons = {one["path"]: one["reason"] for one in json.loads(stale.out)["stale"]}
    assert reasons[".env.example"] == "does not list all variables of functions.yaml"
    assert ckfunc("-C", project, "types", "--no-install").code == 0
    assert (project / ".env.example").read_bytes() == before + b"\r\nAPPLICATION=\r\nPRODUCTION_KEY=\r\n"
    assert ckfunc("-C", project, "types", "--check").code == 0
    assert ".env.example" not in ckfunc("-C", project, "types", "--no-install").err


def test_a_project_without_variables_needs_no_file(ckfunc: Ckfunc, project: Path) -> None:
    (project / "functions.yaml").write_text("version: 1\nruntime: {environment: {A: b, C: $$d}}\n")
    assert ckfunc("-C", project, "types", "--no-install").code == 0
    assert not (project / ".env.example").exists()
    assert ckfunc("-C", project, "types", "--check").code == 0


def test_a_file_that_is_no_text_is_left_alone(ckfunc: Ckfunc, project: Path) -> None:
    (project / ".env.example").write_bytes(b"\xff\xfe")
    assert ckfunc("-C", project, "types", "--no-install").code == 0
    assert (project / ".env.example").read_bytes() == b"\xff\xfe"
