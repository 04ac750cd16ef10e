"""Output of a check."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.terminals import plain_text

from ckfunc.base.errors import Problem
from ckfunc.check.findings import Finding, as_findings, compact_lines, frame, full_lines
from ckfunc.check.subject import candidate_paths
from ckfunc.check.typescript import parse_report

NESTED = "Argument of type 'A' is wrong.\n  Type 'A' is not 'B'.\n    Property 'c' is missing."


def full(root: Path, *findings: Finding, width: int = 80) -> list[str]:
    return plain_text(full_lines(findings, root, width)).splitlines()


def test_without_a_terminal_a_finding_is_one_line() -> None:
    lines = plain_text(compact_lines([Finding("a.ts", 1, 2, "TS1", NESTED), Finding("b.ts", 0, 0, "syntax", "No")]))
    assert lines == "a.ts:1:2: Argument of type 'A' is wrong. Property 'c' is missing. (TS1)\nb.ts: No (syntax)\n"


def test_a_terminal_shows_the_source_line_and_underlines_the_fault(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text("one\n\tconst wrong = 1;\r\n")
    assert full(tmp_path, Finding("a.ts", 2, 8, "TS1", NESTED, 5)) == [
        "a.ts:2:8  TS1  Argument of type 'A' is wrong.",
        "    Type 'A' is not 'B'.",
        "      Property 'c' is missing.",
        "  2 |     const wrong = 1;",
        "    |           ^^^^^",
        "",
    ]


def test_carets_align_with_wide_characters_and_surrogate_pairs(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text('"😀日本e\u0301" + wörng\n', encoding="utf-8")
    *_, line, carets, _ = full(tmp_path, Finding("a.ts", 1, 12, "TS1", "No", 5))
    assert line == '  1 | "😀日本e\u0301" + wörng'
    assert carets == f"    | {' ' * 12}^^^^^"


@pytest.mark.parametrize("width", [24, 40, 80])
def test_a_long_line_is_cut_around_the_fault(tmp_path: Path, width: int) -> None:
    (tmp_path / "a.ts").write_text(f"{'x' * 300} wrong {'y' * 300}\n")
    *_, line, carets, _ = full(tmp_path, Finding("a.ts", 1, 302, "TS1", "No", 5), width=width)
    assert len(line) <= max(width, 26)
    assert line[carets.index("^") :].startswith("wrong")
    assert carets.count("^") == 5


def test_control_characters_and_secrets_are_not_shown(tmp_path: Path) -> None:
    (tmp_path / "functions.yaml").write_text("secret: hunter2\n")
    (tmp_path / "a.ts").write_text("short\n")
    shown = full(
        tmp_path,
        Finding("a.ts", 9, 1, "TS1", "Beyond the end"),
        Finding("a.ts", 1, 90, "TS1", "Beyond the line", 3),
        Finding("missing.ts", 1, 1, "TS1", "Gone"),
        Finding("functions.yaml", 1, 1, "manifest", "No \x1b[31mcolour\x07"),
    )
    assert [line for line in shown if "|" in line] == ["  1 | short", "    |      ^"]
    assert shown[-2] == "functions.yaml:1:1  manifest  No colour"


def test_findings_can_be_written_as_json() -> None:
    assert [finding.to_json() for finding in as_findings([Problem("a", 1, 2, "Wrong", "mend it")], "manifest")] == [
        {"path": "a", "line": 1, "column": 2, "code": "manifest", "message": "Wrong (mend it)"}
    ]


def test_an_unresolved_import_has_candidate_paths() -> None:
    found = candidate_paths(
        [
            Finding("handlers/a.ts", 1, 1, "TS2307", "Cannot find module '../lib/format.js' or its"),
            Finding("handlers/a.ts", 1, 1, "TS2307", "Cannot find module 'pizza' or its"),
        ]
    )
    assert {"lib/format.js", "lib/format.ts", "lib/format.js/index.ts"} <= set(found)
    assert not any("pizza" in line for line in found)


def test_a_report_without_findings_is_parsed() -> None:
    report = parse_report("/usr/lib/lib.d.ts\nC:/here/a.ts\n\nsomething else\n")
    assert report.findings == ()
    assert [path.as_posix() for path in report.files] == ["/usr/lib/lib.d.ts", "C:/here/a.ts"]


def test_a_frame_marks_the_word_that_begins_at_a_position(tmp_path: Path) -> None:
    (tmp_path / "a.ts").write_text('import { a } from "left-pad";\nconst number: = 5;\n')
    (tmp_path / "functions.yaml").write_text("secret: value\n")

    def shown(*place: object) -> list[str]:
        return ["".join(segment.text for segment in line) for line in frame(tmp_path, place, 80)]

    assert shown("a.ts", 1, 19) == ['  1 | import { a } from "left-pad";', "    |                   ^^^^^^^^^^"]
    assert shown("a.ts", 2, 15) == ["  2 | const number: = 5;", "    |               ^"]
    assert shown("a.ts", 2, 7)[1] == "    |       ^^^^^^"
    assert shown("a.ts", 9, 1) == shown("none.ts", 1, 1) == shown("functions.yaml", 1, 1) == []
