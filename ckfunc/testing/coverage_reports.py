"""Reports of line coverage: a table, JSON, and lcov files.

Source of the lcov format: https://man.archlinux.org/man/geninfo.1.en#TRACEFILE_FORMAT
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError
from ckfunc.base.text import Line, cells, cut, printable, table
from ckfunc.testing.coverage import Coverage, FileCoverage, merged, percentage

if TYPE_CHECKING:
    from ckfunc.model.outputs import CoverageJson, FileCoverageJson

_WIDTH = 80
_FILE = 40
"""The width of the longest path in a table."""
_HEADER = ("file", "lines", "covered", "uncovered lines")
_LINE = re.compile(r"DA:(?P<line>[1-9][0-9]{0,8}),(?P<count>[0-9]{1,18})(?:,.*)?")
_DERIVED = ("TN:", "LF:", "LH:")
"""Records that follow from the others, and names of tests."""


class InvalidCoverage(CkfuncError):
    """A file is not an lcov file that ckfunc can merge."""


def coverage_lines(coverage: Coverage) -> Iterator[Line]:
    """Yield a table with a row for each file and a total, 80 columns wide."""
    if not coverage.files:
        yield [("no code was measured", "muted")]
        return
    rows = [
        _row(file.path, file.covered, len(file.lines), ", ".join(_shown(*part) for part in file.uncovered_ranges()))
        for file in coverage.files
    ]
    total = _row("total", coverage.covered, coverage.lines, "")
    for line in table(_HEADER, [*rows, total] if len(rows) > 1 else rows):
        *cells_before, (last, style) = line
        width = _WIDTH - sum(cells(text) for text, _ in cells_before)
        shown = cut(last, width)
        yield (
            [*cells_before, (shown, style)]
            if shown
            else [*cells_before[:-1], (cells_before[-1][0].rstrip(), cells_before[-1][1])]
        )


def _row(name: str, covered: int, lines: int, uncovered: str) -> Line:
    percent = percentage(covered, lines)
    style = "success" if covered == lines else "plain" if covered else "failure"
    shown = printable(name)
    while cells(shown) > _FILE:
        shown = f"…{shown.lstrip('…')[1:]}"
    return [(shown, "plain"), (f"{covered}/{lines}", "muted"), (f"{percent:.1f}%", style), (uncovered, "plain")]


def _shown(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


def coverage_json(coverage: Coverage) -> CoverageJson:
    """Return the coverage as JSON."""
    files: list[FileCoverageJson] = [
        {
            "file": file.path,
            "lines": len(file.lines),
            "covered": file.covered,
            "percent": percentage(file.covered, len(file.lines)),
            "uncovered": [list(part) for part in file.uncovered_ranges()],
        }
        for file in coverage.files
    ]
    return {"lines": coverage.lines, "covered": coverage.covered, "percent": coverage.percent, "files": files}


def lcov_text(coverage: Coverage) -> str:
    """Return the text of an lcov file."""
    return "".join(f"{record}\n" for file in coverage.files for record in _records(file))


def _records(file: FileCoverage) -> Iterator[str]:
    yield from ("TN:", f"SF:{file.path}")
    yield from (f"DA:{line},{count}" for line, count in sorted(file.lines.items()))
    yield from (f"LF:{len(file.lines)}", f"LH:{file.covered}", "end_of_record")


def read_lcov(text: str, name: str) -> Coverage:
    """Return the coverage in an lcov file; `name` is its name in messages. Raises InvalidCoverage."""
    files: list[FileCoverage] = []
    path, lines = "", dict[int, int]()
    for number, record in enumerate(text.splitlines(), 1):
        if record.startswith("SF:") and not path:
            path, lines = record.removeprefix("SF:"), {}
        elif path and (found := _LINE.fullmatch(record)):
            lines[int(found["line"])] = lines.get(int(found["line"]), 0) + int(found["count"])
        elif path and record == "end_of_record":
            files.append(FileCoverage(path, lines))
            path = ""
        elif record.strip() and not record.startswith(_DERIVED):
            problem = f"{name}:{number}: {cut(printable(record), 40)!r} is not a record of line coverage"
            raise InvalidCoverage(problem, hint="merge files that `ckfunc test --coverage` has written")
    if path:
        raise InvalidCoverage(f"{name} ends within the records of {printable(path)}", hint="create it again")
    return merged([Coverage(tuple(files))])
