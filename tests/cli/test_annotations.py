"""Reports of check, test and diff for continuous integration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ckfunc = Callable[..., Any]

WRONG = "async function handleEvent(event: UserAttemptedStartSessionEvent) {\n  return event.user;\n}\n"


@pytest.fixture
def broken(project: Path) -> Path:
    (project / "handlers/start.ts").write_text(WRONG)
    return project


def test_a_check_prints_a_report_instead_of_text(ckfunc: Ckfunc, broken: Path) -> None:
    ran = ckfunc("-C", broken, "check", "--format", "github")
    assert ran.code == 1
    assert ran.out == (
        "::error file=handlers/start.ts,title=ckfunc TS2339,line=2,col=16::"
        "Property 'user' does not exist on type 'UserAttemptedStartSessionEvent'.\n"
    )
    assert ran.err.startswith("1 error in 1 file; checked 1 script")
    sarif = json.loads(ckfunc("-C", broken, "check", "--format", "sarif").out)
    assert sarif["runs"][0]["results"][0]["ruleId"] == "TS2339"
    assert json.loads(ckfunc("-C", broken, "check", "--format", "gitlab").out)[0]["check_name"] == "TS2339"


def test_github_actions_gets_annotations_automatically(
    ckfunc: Ckfunc, broken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(broken.parent))
    ran = ckfunc("-C", broken, "check")
    assert ran.out.startswith("handlers/start.ts:2:16: Property")
    assert f"::error file={broken.name}/handlers/start.ts,title=ckfunc TS2339,line=2,col=16::" in ran.err
    assert json.loads(ckfunc("-C", broken, "check", "--json").out)[0]["line"] == 2
    (broken / "functions.yaml").write_text("functionz: {}\n")
    failed = ckfunc("-C", broken, "diff", "--target", "local", "--markdown")
    assert failed.out == ""
    assert f"::error file={broken.name}/functions.yaml,title=ckfunc manifest,line=1,col=1::" in failed.err


def test_warnings_are_annotated_at_their_lines(ckfunc: Ckfunc, project: Path) -> None:
    with (project / "functions.yaml").open("a") as manifest:
        manifest.write("runtime: {environment: {KEY: '${KEY}'}}\nsettings: {guest_users: true}\n")
    ran = ckfunc("-C", project, "check", "--format", "github")
    assert ran.code == 0
    places = [line.partition("::")[2].partition("::")[0] for line in ran.out.splitlines()]
    assert places == [
        "warning file=functions.yaml,title=ckfunc warning,line=9,col=31",
        "warning file=functions.yaml,title=ckfunc warning,line=10,col=25",
    ]
    assert "${KEY} has no value" in ran.out and "on remote, guest users are allowed" in ran.out


def test_failed_cases_are_annotated_at_their_first_line(ckfunc: Ckfunc, project: Path) -> None:
    (project / "tests").mkdir()
    (project / "tests/start.yaml").write_text(
        "type: user.attempted.start_session\ncases:\n"
        "  - name: a wrong result\n    event: {username: jane}\n    expect: {result: nothing like it}\n"
        "  - name: a fine one\n    event: {username: jane}\n    expect: {}\n"
    )
    ran = ckfunc("-C", project, "test", "--format", "gitlab")
    assert ran.code == 1
    [failure] = json.loads(ran.out)
    assert failure["location"] == {"path": "tests/start.yaml", "lines": {"begin": 3}}
    assert failure["description"].startswith("a wrong result: ")
    assert "1 passed, 1 failed" in ran.err


def test_planned_changes_are_annotated_at_their_files(ckfunc: Ckfunc, project: Path) -> None:
    ran = ckfunc("-C", project, "diff", "--target", "local", "--format", "github")
    assert ran.code == 0
    assert (
        "::notice file=handlers/start.ts,title=ckfunc plan::local: create user.attempted.start_session: new, v1\n"
        in ran.out
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("check", "--json", "--format", "sarif"), "--json and --format can't be used together"),
        (("--json", "check", "--format", "sarif"), "--json and --format can't be used together"),
        (("check", "--watch", "--format", "sarif"), "--format is for a single check"),
        (("diff", "--markdown", "--format", "github"), "--format can't be used with TYPE@N or --markdown"),
        (("test", "--format", "xml"), "--format must be github, gitlab or sarif, not 'xml'"),
    ],
)
def test_conflicting_options_are_refused(ckfunc: Ckfunc, project: Path, args: tuple[str, ...], message: str) -> None:
    ran = ckfunc("-C", project, *args)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
