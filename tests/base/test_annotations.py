"""Annotations for GitHub, GitLab and SARIF."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from support.reports import code_quality_errors, sarif_errors

from ckfunc.base.annotations import (
    Annotation,
    AnnotationLevel,
    github,
    gitlab,
    in_repository,
    of_mistakes,
    sarif,
)
from ckfunc.base.errors import Problem

ERROR = Annotation("handlers/a.ts", 3, 5, "TS2322", "100% wrong,\nreally: yes")
FILE = Annotation("functions.yaml", 0, 0, "warning", "mind the gap", AnnotationLevel.WARNING)
NOTICE = Annotation("a b,c:d.ts", 1, 1, "plan", "v1 → v2", AnnotationLevel.NOTICE)
ALL = (ERROR, FILE, NOTICE)


def test_workflow_commands_are_one_line_each_with_escaped_values() -> None:
    assert github(ALL).splitlines() == [
        "::error file=handlers/a.ts,title=ckfunc TS2322,line=3,col=5::100%25 wrong,%0Areally: yes",
        "::warning file=functions.yaml,title=ckfunc warning::mind the gap",
        "::notice file=a b%2Cc%3Ad.ts,title=ckfunc plan,line=1,col=1::v1 → v2",
    ]
    assert github(()) == ""


def test_a_code_quality_report_has_a_fingerprint_for_each_message() -> None:
    moved = Annotation(ERROR.path, 30, 5, ERROR.rule, ERROR.message)
    report = json.loads(gitlab((*ALL, moved)))
    assert [entry["severity"] for entry in report] == ["major", "minor", "info", "major"]
    assert report[0]["location"] == {"path": "handlers/a.ts", "lines": {"begin": 3}}
    assert report[1]["location"]["lines"] == {"begin": 1}
    assert len({entry["fingerprint"] for entry in report}) == 4
    # A message keeps its fingerprint when lines above it change, so that GitLab does not report it as new.
    assert json.loads(gitlab((moved,)))[0]["fingerprint"] == report[0]["fingerprint"]
    assert json.loads(gitlab(())) == []


def test_a_sarif_log_refers_to_its_rules_and_counts_columns_in_utf16() -> None:
    [run] = json.loads(sarif(ALL))["runs"]
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["TS2322", "warning", "plan"]
    assert [(result["ruleId"], result["ruleIndex"], result["level"]) for result in run["results"]] == [
        ("TS2322", 0, "error"),
        ("warning", 1, "warning"),
        ("plan", 2, "note"),
    ]
    first, whole, _ = (result["locations"][0]["physicalLocation"] for result in run["results"])
    assert first == {"artifactLocation": {"uri": "handlers/a.ts"}, "region": {"startLine": 3, "startColumn": 5}}
    assert "region" not in whole
    assert run["columnKind"] == "utf16CodeUnits"


@pytest.mark.parametrize("annotations", [(), ALL, (replace(FILE, path="über/a b#c?.ts", message="\x7f\u2028😀"),)])
def test_reports_comply_with_their_schemas(annotations: tuple[Annotation, ...]) -> None:
    assert sarif_errors(sarif(annotations)) == []
    assert code_quality_errors(gitlab((*annotations, *annotations))) == []


def test_the_schemas_refuse_invalid_reports() -> None:
    wrong = sarif(ALL).replace('"level": "error"', '"level": "bad"').replace('"startLine": 3', '"startLine": 0')
    assert len(sarif_errors(wrong)) == 2
    wrong = (
        gitlab(ALL).replace('"major"', '"bad"').replace('"begin": 3', '"begin": 0').replace('"check_name"', '"name"')
    )
    assert len(code_quality_errors(wrong)) == 5
    assert code_quality_errors(json.dumps(json.loads(gitlab(ALL)) * 2)) == ["the fingerprints are not unique"]


def test_errors_become_annotations_with_their_hints() -> None:
    assert of_mistakes([Problem("a.ts", 1, 2, "wrong", "do this"), Problem("b.ts", 0, 0, "bad")], "manifest") == (
        Annotation("a.ts", 1, 2, "manifest", "wrong (do this)"),
        Annotation("b.ts", 0, 0, "manifest", "bad"),
    )


@pytest.mark.parametrize("name", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR", ".git", None])
def test_paths_are_relative_to_the_repository(tmp_path, name) -> None:
    project = tmp_path / "repository/chat"
    project.mkdir(parents=True)
    environ = {} if name in (".git", None) else {name: str(project.parent)}
    if name == ".git":
        (project.parent / ".git").mkdir()
    [note] = in_repository([ERROR], project, environ)
    assert note.path == ("handlers/a.ts" if name is None else "chat/handlers/a.ts")
    [elsewhere] = in_repository([ERROR], project, {"GITHUB_WORKSPACE": str(tmp_path / "other")})
    assert elsewhere.path in ("handlers/a.ts", "chat/handlers/a.ts")
