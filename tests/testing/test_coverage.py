"""Line coverage: sums, ranges, percentages and reports."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ckfunc.base.text import cells
from ckfunc.model.execution import StatementList
from ckfunc.runtime.compiler import CompilerProcess
from ckfunc.testing.coverage import (
    Coverage,
    FileCoverage,
    InvalidCoverage,
    merged,
    percentage,
    read_lcov,
)


def shown(coverage: Coverage) -> list[str]:
    return ["".join(text for text, _ in line) for line in coverage.table_lines()]


def coverage(**files: Sequence[int]) -> Coverage:
    return Coverage(tuple(FileCoverage(path, dict(enumerate(counts, 1))) for path, counts in files.items()))


def test_measurements_are_added_and_survive_an_lcov_round_trip() -> None:
    total = merged([coverage(b=[1, 0, 2]), coverage(a=[0], b=[1, 0])])
    assert total == Coverage((FileCoverage("a", {1: 0}), FileCoverage("b", {1: 2, 2: 0, 3: 2})))
    assert read_lcov(total.to_lcov(), "lcov.info") == total
    assert total.to_lcov().startswith("TN:\nSF:a\nDA:1,0\nLF:1\nLH:0\nend_of_record\nTN:\nSF:b\n")
    assert read_lcov("", "lcov.info") == Coverage(())


def test_uncovered_ranges_span_lines_without_code() -> None:
    file = FileCoverage("a.ts", {2: 0, 3: 0, 7: 0, 9: 1, 12: 0, 14: 3, 20: 0, 21: 0})
    assert file.uncovered_ranges() == ((2, 7), (12, 12), (20, 21))


def test_only_full_coverage_is_100_percent() -> None:
    assert percentage(9999, 10_000) == 99.9
    assert percentage(0, 0) == 100.0
    assert shown(coverage(**{"a.ts": [1] * 9999 + [0]}))[1] == "a.ts  9999/10000  99.9%    10000"


def test_the_table_has_at_most_80_columns() -> None:
    lines = shown(coverage(**{"handlers/" + "文" * 60 + ".ts": [1, 0] * 60, "a\x1b[31m.ts": [1]}))
    assert all(cells(line) <= 80 for line in lines)
    assert lines[1].endswith("…")
    assert "\x1b" not in "".join(lines)
    assert shown(Coverage(())) == ["no code was measured"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("SF:a.ts\nBRDA:1,0,0,1\nend_of_record\n", "lcov.info:2: 'BRDA:1,0,0,1' is not a record of line coverage"),
        ("DA:1,1\n", "lcov.info:1: 'DA:1,1' is not a record of line coverage"),
        ("SF:a.ts\nDA:1,x\n", "lcov.info:2: 'DA:1,x' is not a record of line coverage"),
        ("SF:a.ts\nDA:1,1\n", "lcov.info ends within the records of a.ts"),
        ("<testsuites/>", "lcov.info:1: '<testsuites/>' is not a record of line coverage"),
    ],
)
def test_files_that_are_not_lcov_are_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidCoverage) as raised:
        read_lcov(text, "lcov.info")
    assert raised.value.message == problem


def test_statements_are_found_in_nested_lists() -> None:
    code = "let a = 1;\nfunction f(x) { if (x) return () => x; else { g(); h(); } }\nclass C { m() { f(); } }\n"
    with CompilerProcess() as compiler:
        (compiled,) = compiler.compile([("a.js", code)])
        found = compiler.statements(compiled)  # type: ignore[arg-type]
    starts = {text: compiled.javascript.index(text) for text in ("let", "if", "return", "x;", "g()", "h()", "f();")}  # type: ignore[union-attr]
    assert found == (
        StatementList(-1, (starts["let"],)),
        StatementList(-1, (starts["if"],)),
        StatementList(starts["if"], (starts["return"],)),
        StatementList(-1, (starts["x;"],)),
        StatementList(starts["if"], (starts["g()"], starts["h()"])),
        StatementList(-1, (starts["f();"],)),
    )
