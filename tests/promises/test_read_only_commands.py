"""Read-only commands and rollbacks without variable values or with mistakes in the manifest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.conftest import Ckfunc
from support.commands import Command
from support.sampling import sampled

TYPE = "user.attempted.start_session"
MANIFEST = """\
version: 1
default_target: local
runtime:
  environment:
    API_KEY: ${API_KEY}
    PREFIXED: key-${API_KEY}
    GREETING: hello
functions:
  user.attempted.start_session: {handler: handlers/start.ts}
targets:
  local: {emulator: true}
  production: {application: 42, protected: true}
"""


@pytest.fixture
def project(ckfunc: Ckfunc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project after two deploys, whose variable has no local value."""
    (tmp_path / "handlers").mkdir()
    (tmp_path / "functions.yaml").write_text(MANIFEST)
    with monkeypatch.context() as patched:
        patched.setenv("API_KEY", "value-of-the-key")
        for word in ("one", "two"):
            (tmp_path / "handlers/start.ts").write_text(f"async function handleEvent() {{ return '{word}'; }}\n")
            assert ckfunc("-C", tmp_path, "deploy", "-q").code == 0
    monkeypatch.delenv("API_KEY", raising=False)
    return tmp_path


def edit(project: Path, before: str, after: str) -> None:
    manifest = project / "functions.yaml"
    assert before in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(before, after))


LOOKING: dict[str, tuple[tuple[str, ...], str]] = {
    "trigger": ((TYPE, "--data", '{"username": "jane"}'), "two"),
    "logs": ((), ""),
    "versions": ((TYPE,), "v2"),
    "show": ((f"{TYPE}@1",), "'one'"),
    "diff": ((f"{TYPE}@1", TYPE), "'two'"),
    "api": (("GET", "/v1/runtimes/nodejs"), "API_KEY"),
    "whoami": ((), "application"),
    "undo": (("--dry-run",), "'one'"),
}


@pytest.mark.parametrize("command", sampled(LOOKING))
def test_read_only_commands_need_no_values(ckfunc: Ckfunc, project: Path, command: str) -> None:
    arguments, said = LOOKING[command]
    ran = ckfunc("-C", project, command, *arguments)
    assert ran.code == 0, ran
    assert said in ran.out
    assert "has no value" not in ran.err


def test_the_working_copy_is_compared_without_values(ckfunc: Ckfunc, project: Path) -> None:
    ran = ckfunc("-C", project, "versions", TYPE)
    assert "deployed, local" in ran.out
    assert "not compared" not in ran.err


@pytest.mark.parametrize("arguments", [("undo", "--yes"), ("rollback", TYPE, "--yes")], ids=" ".join)
def test_undo_and_rollback_need_no_values(ckfunc: Ckfunc, project: Path, arguments: tuple[str, ...]) -> None:
    assert ckfunc("-C", project, *arguments).code == 0
    assert "'one'" in ckfunc("-C", project, "show", TYPE).out


@pytest.mark.slow
def test_logs_can_be_followed_without_values(ckfunc: Ckfunc, project: Path) -> None:
    with Command("-C", project, "emulator", "--port", "0") as emulator:
        emulator.until("ready")
        with Command("-C", project, "logs", "-f") as logs:
            logs.until("following")
            assert ckfunc("-C", project, "trigger", TYPE, "--data", '{"username": "jane"}').code == 0
            logs.until("two")
            assert logs.interrupt() == 130
        emulator.interrupt()


@pytest.mark.parametrize(
    ("command", "code"),
    sampled(
    [(("deploy",), 1), (("deploy", "--dry-run"), 1), (("diff", "--exit-code"), 1), (("diff", "--out", "p.json"), 1),
     (("invoke", TYPE), 1), (("watch",), 1), (("dev", "--port", "0"), 1)], every=3),
    ids=str,
)  # fmt: skip
def test_commands_that_use_values_require_them(
    ckfunc: Ckfunc, project: Path, command: tuple[str, ...], code: int
) -> None:
    ran = ckfunc("-C", project, *command)
    assert ran.code == code
    assert "functions.yaml:5:14: ${API_KEY} has no value" in ran.err


def test_diff_omits_variables_without_values_with_a_note(ckfunc: Ckfunc, project: Path) -> None:
    edit(project, "GREETING: hello", "GREETING: goodbye")
    ran = ckfunc("-C", project, "diff")
    assert ran.code == 0
    assert "variable API_KEY has no value, so it is not compared" in ran.out
    assert "variable PREFIXED has no value, so it is not compared" in ran.out
    assert "Plan: 1 to update" in ran.out
    plan = json.loads(ckfunc("-C", project, "diff", "--json").out)
    assert [change["name"] for change in plan["changes"]] == ["GREETING"]


def test_a_pull_needs_no_values(ckfunc: Ckfunc, project: Path) -> None:
    script = "async function handleEvent() { return 'theirs'; }\\n"
    found = json.loads(ckfunc("-C", project, "api", "GET", "/v1/runtimes/nodejs/functions").out)
    number = found["_embedded"]["functions"][0]["id"]
    body = json.dumps({"handlerScript": script})
    assert ckfunc("-C", project, "api", "POST", f"/v1/functions/{number}/versions", "--data", body).code == 0
    ran = ckfunc("-C", project, "pull", "--yes")
    assert ran.code == 0, ran
    assert "theirs" in (project / "handlers/start.ts").read_text()
    assert "another value" not in ran.err


MISTAKES = (
    ("handler: handlers/start.ts", "handler: handlers/missing.ts"),
    ("GREETING: hello", "GREETING: 0042"),
    ("version: 1", "version: 1\nnonsense: {}"),
    ("protected: true", "protected: maybe"),  # of the other target
)


@pytest.mark.parametrize(("before", "after"), sampled(MISTAKES), ids=lambda text: text.split("\n")[-1])
def test_mistakes_outside_the_target_do_not_stop_read_only_commands_or_undo(
    ckfunc: Ckfunc, project: Path, before: str, after: str
) -> None:
    edit(project, before, after)
    ran = ckfunc("-C", project, "show", TYPE)
    assert ran.code == 0 and "'two'" in ran.out
    if "missing" not in after:  # found only by commands that read scripts
        assert "warning: ignored: functions.yaml:" in ran.err
    assert ckfunc("-C", project, "undo", "--yes").code == 0
    assert "'one'" in ckfunc("-C", project, "show", TYPE).out


@pytest.mark.parametrize(
    ("before", "after"),
    sampled(
        [
            ("local: {emulator: true}", "local: {emulator: true, protekted: true}"),
            ("local: {emulator: true}", "local: {emulator: true, protected: maybe}"),
            ("default_target: local", "default_target: lokal"),
            ("targets:", "targetz:"),
        ]
    ),
)
def test_mistakes_in_the_target_stop_every_command(ckfunc: Ckfunc, project: Path, before: str, after: str) -> None:
    edit(project, before, after)
    for arguments in (("show", TYPE), ("undo", "--yes"), ("rollback", TYPE, "--yes"), ("logs",)):
        ran = ckfunc("-C", project, *arguments)
        assert ran.code == 1
        assert "error: functions.yaml has a mistake" in ran.err


def test_a_mistake_in_the_default_target_is_ignored_if_another_target_is_named(ckfunc: Ckfunc, project: Path) -> None:
    edit(project, "default_target: local", "default_target: lokal")
    ran = ckfunc("-C", project, "show", TYPE, "--target", "local")
    assert ran.code == 0
    assert "ignored: functions.yaml:2:17: default_target 'lokal' is not a target" in ran.err


def test_doctor_warns_about_a_variable_without_a_value(ckfunc: Ckfunc, project: Path) -> None:
    found = json.loads(ckfunc("-C", project, "doctor", "--json").out)
    assert [check["verdict"] for check in found if check["check"] == "manifest"] == ["warn"]
