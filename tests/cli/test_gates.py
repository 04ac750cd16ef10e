"""Gates of a deploy, and their results as text, JSON and Markdown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli.conftest import Ckfunc

TYPE = "user.attempted.start_session"
GOOD = """\
async function handleEvent(event: UserAttemptedStartSessionEvent, context: Context) {
  return 'Hello ' + event.username;
}
"""
ILL_TYPED = GOOD.replace("event.username", "event.surname")
CHANGED = GOOD.replace("Hello", "Goodbye")
CASES = """\
type: user.attempted.start_session
cases:
  - name: greets
    event: {username: jane, authParams: {}}
    expect: {result: Hello jane}
"""


@pytest.fixture
def project(project: Path) -> Path:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    handler(project, GOOD)
    return project


def handler(project: Path, text: str) -> None:
    (project / "handlers/start.ts").write_text(text)


def gates(project: Path, line: str) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(f"{manifest.read_text()}{line}\n")


def deployed(ckfunc: Ckfunc, project: Path) -> str:
    return ckfunc("-C", project, "show", TYPE).out


def test_a_type_error_stops_a_gated_deploy_before_it_writes(ckfunc: Ckfunc, project: Path) -> None:
    assert ckfunc("-C", project, "deploy", "--gate", "check").code == 0
    handler(project, ILL_TYPED)
    closed = ckfunc("-C", project, "deploy", "--gate", "check")
    assert closed.code == 1
    assert "✗ check" in closed.out and "handlers/start.ts:2:" in closed.out
    assert (
        "the gate check did not pass; nothing was written" in closed.err and "`ckfunc check` shows more" in closed.err
    )
    assert deployed(ckfunc, project) == GOOD
    told = json.loads(ckfunc("-C", project, "deploy", "--gate", "check", "--json").out)
    assert told["ok"] is False and told["gates"][0]["gate"] == "check" and told["gates"][0]["ok"] is False
    assert ckfunc("-C", project, "deploy", "--dry-run", "--gate", "check").code == 1
    assert ckfunc("-C", project, "deploy").code == 0 and deployed(ckfunc, project) == ILL_TYPED


def test_the_manifest_defines_the_gates_unless_options_override_them(ckfunc: Ckfunc, project: Path) -> None:
    gates(project, "gates: [check]")
    handler(project, ILL_TYPED)
    assert ckfunc("-C", project, "deploy").code == 1
    assert ckfunc("-C", project, "diff").code == 0  # runs no gates by default
    assert ckfunc("-C", project, "diff", "--gate", "manifest").code == 1
    assert ckfunc("-C", project, "deploy", "--gate", "none").code == 0
    handler(project, GOOD)
    told = json.loads(ckfunc("-C", project, "deploy", "--json").out)
    assert told["ok"] and [gate["gate"] for gate in told["gates"]] == ["check"] and told["gates"][0]["ok"]
    again = json.loads(ckfunc("-C", project, "deploy", "--json").out)
    assert again["gates"] == []  # gates don't run if there is nothing to deploy


def test_a_target_can_have_its_own_gates(ckfunc: Ckfunc, project: Path) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("{emulator: true}", "{emulator: true, gates: []}"))
    gates(project, "gates: [check]")
    handler(project, ILL_TYPED)
    assert ckfunc("-C", project, "deploy").code == 0


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("gates: [chekc]", "is not a gate"),
        ("gates: [replay:0]", "is not a gate"),
        ("gates: check", "gates"),
    ],
)
def test_an_unknown_gate_in_the_manifest_is_an_error_with_a_location(
    ckfunc: Ckfunc, project: Path, line: str, complaint: str
) -> None:
    gates(project, line)
    refused = ckfunc("-C", project, "deploy")
    assert refused.code == 1 and complaint in refused.err and "functions.yaml:9:" in refused.err


def test_an_unknown_gate_on_the_command_line_is_a_usage_error(ckfunc: Ckfunc, project: Path) -> None:
    wrong = ckfunc("-C", project, "deploy", "--gate", "check,tset")
    assert wrong.code == 2 and "'tset' is not a gate" in wrong.err


def test_test_and_replay_gates_run_even_if_one_fails(ckfunc: Ckfunc, project: Path) -> None:
    (project / "tests").mkdir()
    (project / "tests/start.yaml").write_text(CASES)
    assert ckfunc("-C", project, "deploy").code == 0
    for name in ("jane", "john"):
        event = json.dumps({"username": name, "authParams": {}})
        assert ckfunc("-C", project, "trigger", TYPE, "--data", event).code == 0
    handler(project, CHANGED)
    closed = ckfunc("-C", project, "deploy", "--gate", "check,test,replay:10")
    assert closed.code == 1 and deployed(ckfunc, project) == GOOD
    assert "✓ check" in closed.out and "✗ test" in closed.out and "✗ replay:10" in closed.out
    assert "tests/start.yaml:3: greets" in closed.out and "2 different" in closed.out
    assert "the gates test, replay:10 did not pass" in closed.err
    handler(project, f"// the same\n{GOOD}")
    opened = ckfunc("-C", project, "deploy", "--gate", "check,test,replay:10")
    assert opened.code == 0 and "✓ replay:10" in opened.out


def test_the_markdown_plan_includes_the_gate_results(ckfunc: Ckfunc, project: Path) -> None:
    handler(project, ILL_TYPED)
    shown = ckfunc("-C", project, "diff", "--markdown", "--gate", "check")
    assert shown.code == 1
    assert "#### Gates: **a gate failed**" in shown.out and "| ✗ | check |" in shown.out
    handler(project, GOOD)
    assert "#### Gates: all gates passed" in ckfunc("-C", project, "diff", "--markdown", "--gate", "check").out
    assert "Gates" not in ckfunc("-C", project, "diff", "--markdown").out


def test_a_gate_that_cannot_run_does_not_pass(ckfunc: Ckfunc, project: Path) -> None:
    closed = ckfunc("-C", project, "deploy", "--gate", "test")
    assert closed.code == 1 and "✗ test" in closed.out and "hint: " in closed.out
