"""Line coverage of the project's own files: measured, merged, and reported."""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, groupby
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, cells, cut, printable, table
from ckfunc.bundle.source_map import SourceMap, utf16_length
from ckfunc.model.execution import Compiled, ExecutedRanges
from ckfunc.model.project import Project, Script
from ckfunc.runtime.compiler import CachingCompiler

if TYPE_CHECKING:
    from ckfunc.model.outputs import CoverageJson, FileCoverageJson

_WIDTH = 80
_FILE = 40
"""The width of the longest path in a table."""
_HEADER = ("file", "lines", "covered", "uncovered lines")
_LINE = re.compile(r"DA:(?P<line>[1-9][0-9]{0,8}),(?P<count>[0-9]{1,18})(?:,.*)?")
_DERIVED = ("TN:", "LF:", "LH:")
"""Records that follow from the others, and names of tests."""


class CannotMeasure(CkfuncError):
    """The coverage of a script cannot be measured."""


class CoverageTooLow(CkfuncError):
    """Fewer lines were executed than required."""


class InvalidCoverage(CkfuncError):
    """A file is not an lcov file that ckfunc can merge."""


@frozen
class FileCoverage:
    """The lines of a file that can be executed, with how often each was. `path` is relative to the project."""

    path: str
    lines: Mapping[int, int]

    @property
    def covered(self) -> int:
        """The number of lines that were executed."""
        return sum(1 for count in self.lines.values() if count)

    def uncovered_ranges(self) -> tuple[tuple[int, int], ...]:
        """Return first and last line of each part that was not executed. Lines without code do not end a part."""
        groups = groupby(sorted(self.lines.items()), key=lambda line: not line[1])
        parts = [[line for line, _ in group] for uncovered, group in groups if uncovered]
        return tuple((part[0], part[-1]) for part in parts)


@frozen
class Coverage:
    """The coverage of files, sorted by path."""

    files: tuple[FileCoverage, ...]

    @property
    def lines(self) -> int:
        """The number of lines that can be executed."""
        return sum(len(file.lines) for file in self.files)

    @property
    def covered(self) -> int:
        """The number of lines that were executed."""
        return sum(file.covered for file in self.files)

    @property
    def percent(self) -> float:
        """The percentage of lines that were executed; 100 if there are none."""
        return percentage(self.covered, self.lines)

    def require(self, threshold: float) -> None:
        """Raise CoverageTooLow if the percentage of executed lines is below `threshold`."""
        if self.covered * 100 < threshold * self.lines:
            problem = f"line coverage is {self.percent}%, below the threshold of {threshold:g}%"
            raise CoverageTooLow(problem, hint="add cases that run the uncovered lines")

    def table_lines(self) -> Iterator[Line]:
        """Yield a table with a row for each file and a total, 80 columns wide."""
        if not self.files:
            yield [("no code was measured", "muted")]
            return
        rows = [
            _row(file.path, file.covered, len(file.lines), ", ".join(_shown(*part) for part in file.uncovered_ranges()))
            for file in self.files
        ]
        total = _row("total", self.covered, self.lines, "")
        for line in table(_HEADER, [*rows, total] if len(rows) > 1 else rows):
            *cells_before, (last, style) = line
            if shown := cut(last, _WIDTH - sum(cells(text) for text, _ in cells_before)):
                yield [*cells_before, (shown, style)]
            else:
                *others, (text, style) = cells_before
                yield [*others, (text.rstrip(), style)]

    def to_json(self) -> CoverageJson:
        """Return the coverage for `--json`."""
        files: list[FileCoverageJson] = [
            {
                "file": file.path,
                "lines": len(file.lines),
                "covered": file.covered,
                "percent": percentage(file.covered, len(file.lines)),
                "uncovered": [list(part) for part in file.uncovered_ranges()],
            }
            for file in self.files
        ]
        return {"lines": self.lines, "covered": self.covered, "percent": self.percent, "files": files}

    def to_lcov(self) -> str:
        """Return the text of an lcov file."""
        return "".join(f"{record}\n" for file in self.files for record in _records(file))


def percentage(covered: int, lines: int) -> float:
    """Return the percentage, rounded down to one decimal, so that only full coverage is 100."""
    return covered * 1000 // lines / 10 if lines else 100.0


def merged(several: Sequence[Coverage]) -> Coverage:
    """Return the sums of several measurements, line by line."""
    totals: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for file in (file for coverage in several for file in coverage.files):
        totals[file.path].update(file.lines)
    return Coverage(tuple(FileCoverage(path, dict(sorted(totals[path].items()))) for path in sorted(totals)))


class CoverageMeter:
    """Adds up what the scripts of a project execute. `add` may be called from any thread."""

    def __init__(self, project: Project, compiler: CachingCompiler) -> None:
        """Scripts with syntax errors are not measured. Raises CannotMeasure and NodeMissing."""
        scripts = [function.handler for function in project.functions or ()]
        if project.runtime.initialization_script is not None:
            scripts.append(project.runtime.initialization_script)
        self._scripts = {script.path: _MeasuredScript(script, compiler) for script in scripts}
        self._lock = threading.Lock()

    def add(self, executed: ExecutedRanges) -> None:
        """Add what a script has executed."""
        if script := self._scripts.get(executed.name):
            with self._lock:
                script.add(executed.ranges)

    def coverage(self) -> Coverage:
        """Return the coverage so far, of all files of all scripts, including scripts that did not run."""
        with self._lock:
            return merged([script.coverage() for script in self._scripts.values()])


class _MeasuredScript:
    """A script, and how often each of its statements was executed."""

    def __init__(self, script: Script, compiler: CachingCompiler) -> None:
        self._script = script
        (compiled,) = compiler.compile([(script.path, script.text)])
        self._compiled = compiled if isinstance(compiled, Compiled) else None
        lists = () if self._compiled is None else compiler.statements(self._compiled)
        if lists is None:
            problem = f"the coverage of {script.path} cannot be measured: ckfunc's parser does not support its syntax"
            raise CannotMeasure(problem, hint="test without coverage")
        self._lists = lists
        self._counts: Counter[int] = Counter({start: 0 for each in lists for start in each.starts})

    def add(self, ranges: Sequence[tuple[int, int, int]]) -> None:
        """Add what was executed since the last call."""
        counts = _counts_at(sorted(self._counts), ranges)
        # V8's count is too high behind an early end of a function, if a conditional expression comes in between. But a
        # statement runs at most as often as the one before it, and not at all inside of one that did not run.
        for each in self._lists:
            limit = None if each.around < 0 or counts.get(each.around, 1) else 0
            for start in each.starts:
                limit = counts[start] = counts[start] if limit is None else min(limit, counts[start])
        self._counts.update(counts)

    def coverage(self) -> Coverage:
        """Return the coverage so far, by the lines of source files on which statements begin."""
        lines: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for start, path, line in self._places():
            lines[path][line] = max(self._counts[start], lines[path].get(line, 0))
        return Coverage(tuple(FileCoverage(path, counts) for path, counts in lines.items()))

    def _places(self) -> Iterator[tuple[int, str, int]]:
        """Yield each statement's offset, source file and line in it. Helpers of the bundler have no source."""
        if self._compiled is None:
            return
        lines = [0, *accumulate(utf16_length(line) + 1 for line in self._compiled.javascript.split("\n"))]
        compiled = SourceMap(self._compiled.source_map)
        bundle = None if self._script.source_map is None else SourceMap(self._script.source_map)
        for start in self._counts:
            number = bisect_right(lines, start)
            place = compiled.original(number, start - lines[number - 1] + 1)
            if place and bundle is not None:
                place = bundle.original(place[1], place[2])
            if place and not place[0].endswith(".json"):  # its values are a statement of the bundle
                yield start, self._script.path if bundle is None else place[0], place[1]


def _counts_at(offsets: Iterable[int], ranges: Sequence[tuple[int, int, int]]) -> dict[int, int]:
    """Return how often the code at each offset was executed: the count of the innermost range around it."""
    changes: Counter[int] = Counter()
    around: list[tuple[int, int]] = []  # end and count of the ranges around the next one
    for start, end, count in sorted(ranges, key=lambda each: (each[0], -each[1])):
        while around and around[-1][0] <= start:
            around.pop()
        more = count - (around[-1][1] if around else 0)
        changes[start] += more
        changes[end] -= more
        around.append((end, count))
    ends = sorted(changes)
    counts = [0, *accumulate(changes[end] for end in ends)]
    return {offset: counts[bisect_right(ends, offset)] for offset in offsets}


def _row(name: str, covered: int, lines: int, uncovered: str) -> Line:
    percent = percentage(covered, lines)
    style = "success" if covered == lines else "plain" if covered else "failure"
    shown = printable(name)
    while cells(shown) > _FILE:
        shown = f"…{shown.lstrip('…')[1:]}"
    return [(shown, "plain"), (f"{covered}/{lines}", "muted"), (f"{percent:.1f}%", style), (uncovered, "plain")]


def _shown(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


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
        elif path and (match := _LINE.fullmatch(record)):
            lines[int(match["line"])] = lines.get(int(match["line"]), 0) + int(match["count"])
        elif path and record == "end_of_record":
            files.append(FileCoverage(path, lines))
            path = ""
        elif record.strip() and not record.startswith(_DERIVED):
            problem = f"{name}:{number}: {cut(printable(record), 40)!r} is not a record of line coverage"
            raise InvalidCoverage(problem, hint="merge files that `ckfunc test --coverage` has written")
    if path:
        raise InvalidCoverage(f"{name} ends within the records of {printable(path)}", hint="create it again")
    return merged([Coverage(tuple(files))])
