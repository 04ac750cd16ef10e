"""`.env.example`: missing variables are added and other content is preserved."""

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
def test_a_missing_file_is_created_with_the_variables_of_all_targets(
    ckfunc: Ckfunc, project: Path, command: tuple[str, ...]
) -> None:
    ran = ckfunc("-C", project, *command, "--target", "local")
    assert ran.code == 0
    assert "created     .env.example" in ran.err
    text = (project / ".env.example").read_text()
    assert text.startswith("# ") and text.endswith("".join(f"{name}=\n" for name in NAMES))


def test_missing_names_are_appended_and_existing_content_is_preserved(ckfunc: Ckfunc, project: Path) -> None:
    before = b"# ours\r\nOLD=1\r\n# HOST=\r\nexport KEY=  # the key"
    (project / ".env.example").write_bytes(before)
    stale = ckfunc("-C", project, "types", "--check", "--json")
    assert stale.code == 1
    reasons = {file["path"]: file["reason"] for file in json.loads(stale.out)["stale"]}
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


def test_a_file_that_is_not_text_is_not_changed(ckfunc: Ckfunc, project: Path) -> None:
    (project / ".env.example").write_bytes(b"\xff\xfe")
    assert ckfunc("-C", project, "types", "--no-install").code == 0
    assert (project / ".env.example").read_bytes() == b"\xff\xfe"
