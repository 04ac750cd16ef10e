"""A plan shows literals of functions.yaml, and masks every other environment value."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.conftest import Ckfunc

MANIFEST = """\
version: 1
default_target: local
runtime:
  environment:
    GREETING: {greeting}
    KEY: ${{KEY}}
    PREFIXED: prefix-${{KEY}}
targets:
  local: {{emulator: true}}
"""
KEY = "the-key-4711"


@pytest.fixture
def project(ckfunc: Ckfunc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that has deployed `GREETING: Hello`."""
    monkeypatch.setenv("KEY", KEY)
    write(tmp_path, "Hello")
    deployed = ckfunc("-C", tmp_path, "deploy", "-v")
    assert deployed.code == 0
    assert KEY not in deployed.out + deployed.err
    return tmp_path


def write(root: Path, greeting: str) -> None:
    (root / "functions.yaml").write_text(MANIFEST.format(greeting=greeting))


def set_in_dashboard(ckfunc: Ckfunc, root: Path, **values: str) -> None:
    path = "/v1/runtimes/nodejs/environment-variables"
    assert ckfunc("-C", root, "api", "PUT", path, "--data", json.dumps(values)).code == 0


def plans(ckfunc: Ckfunc, root: Path) -> list[str]:
    """Return the plan as text, data and Markdown, and that of a dry run."""
    lines = (("diff",), ("diff", "--json"), ("diff", "--markdown"), ("deploy", "--dry-run", "--allow-removals"))
    return [ckfunc("-C", root, *line).out for line in lines]


def test_a_changed_literal_is_shown_with_both_values(ckfunc: Ckfunc, project: Path) -> None:
    write(project, "Bonjour")
    for plan in plans(ckfunc, project):
        assert "Hello" in plan and "Bonjour" in plan
        assert "••••" not in plan
    assert "GREETING  Hello → Bonjour" in plans(ckfunc, project)[0]


def test_new_and_removed_literals_are_shown(ckfunc: Ckfunc, project: Path) -> None:
    text = MANIFEST.format(greeting="Hello").replace("GREETING: Hello", "FAREWELL: Goodbye")
    (project / "functions.yaml").write_text(text)
    plan = plans(ckfunc, project)[0]
    assert "FAREWELL  Goodbye" in plan
    assert "GREETING  will be removed, currently Hello" in plan


def test_values_that_contain_a_variable_are_masked(
    ckfunc: Ckfunc, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "another-key-0815")
    for plan in plans(ckfunc, project):
        assert KEY not in plan and "another-key-0815" not in plan and "prefix-" not in plan


def test_values_that_only_the_application_has_are_masked(ckfunc: Ckfunc, project: Path) -> None:
    set_in_dashboard(ckfunc, project, GREETING="from-the-dashboard", KEY=KEY, PREFIXED=f"prefix-{KEY}", OTHER="theirs")
    for plan in plans(ckfunc, project):
        assert "Hello" in plan
        assert "from-the-dashboard" not in plan and "theirs" not in plan


def test_a_value_from_a_variable_is_masked_before_and_after_a_literal(ckfunc: Ckfunc, project: Path) -> None:
    text = MANIFEST.format(greeting="Hello")
    swapped = text.replace("KEY: ${KEY}", "KEY: public").replace("GREETING: Hello", "GREETING: ${KEY}")
    (project / "functions.yaml").write_text(swapped)
    for plan in plans(ckfunc, project):
        assert KEY not in plan
        assert "public" in plan and "Hello" in plan


def test_a_deployed_literal_is_masked_in_another_checkout(ckfunc: Ckfunc, project: Path) -> None:
    (project / ".ckfunc/literals/local.json").unlink()
    write(project, "Bonjour")
    plan = plans(ckfunc, project)[0]
    assert "→ Bonjour" in plan and "Hello" not in plan


def test_a_deploy_without_changes_records_the_literals(ckfunc: Ckfunc, project: Path) -> None:
    (project / ".ckfunc/literals/local.json").unlink()
    assert ckfunc("-C", project, "deploy").code == 0
    write(project, "Bonjour")
    assert "GREETING  Hello → Bonjour" in plans(ckfunc, project)[0]


def test_an_undo_restores_and_shows_a_literal_without_a_values_file(ckfunc: Ckfunc, project: Path) -> None:
    write(project, "Bonjour")
    assert ckfunc("-C", project, "deploy").code == 0
    shown = ckfunc("-C", project, "undo", "--dry-run")
    assert "GREETING  Bonjour → Hello" in shown.out
    assert ckfunc("-C", project, "undo", "--yes").code == 0
    write(project, "Hello")
    assert ckfunc("-C", project, "diff", "--exit-code").code == 0


def test_values_from_variables_are_never_recorded(ckfunc: Ckfunc, project: Path) -> None:
    holders = [
        path.name for path in (project / ".ckfunc").rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()
    ]
    assert [name for name in holders if not name.startswith("emulator.db")] == []
    assert json.loads((project / ".ckfunc/literals/local.json").read_text())["values"] == {"GREETING": ["Hello"]}
