"""Reports of tests for CI systems: written, read, and merged.

Source of the JUnit format: https://github.com/testmoapp/junitxml, which lists the features that CI systems support.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from ckfunc.base.errors import CkfuncError, UsageProblem, shown_path
from ckfunc.base.files import read_file
from ckfunc.base.frozen import frozen
from ckfunc.base.text import Line, plain, printable
from ckfunc.testing.case import CaseKey, CaseOutcome, CaseResult, Shard, ShardedCases, Tally, read_shard
from ckfunc.testing.coverage import Coverage, merged, read_lcov
from ckfunc.testing.rendering import failure_lines, summary_line

if TYPE_CHECKING:
    from ckfunc.model.outputs import MergedTestsJson

# Source: https://www.w3.org/TR/xml/#charsets.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SHARD = re.compile(r"ckfunc shard (\S+) of (\d+) cases")


def junit(results: Sequence[CaseResult], seconds: float, part: ShardedCases | None = None) -> str:
    """Return the results as XML: a suite for each file, a test case for each case. `part` is set for a shard."""
    name = "ckfunc" if part is None else f"ckfunc shard {part.shard} of {part.cases} cases"
    return _document(name, [_case(result) for result in results], seconds)


def _document(name: str, cases: Sequence[JUnitCase], seconds: float) -> str:
    """Return the text of a report."""
    top = ET.Element("testsuites", {"name": name, **_counts(cases, seconds)})
    for suite_name, group in groupby(cases, key=lambda case: case.suite):
        in_suite = list(group)
        took = sum(case.seconds for case in in_suite)
        suite = ET.SubElement(top, "testsuite", {"name": suite_name, **_counts(in_suite, took)})
        suite.extend(case.element for case in in_suite)
    ET.indent(top)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(top, encoding="unicode")}\n'


def _case(result: CaseResult) -> JUnitCase:
    case, observed = result.case, result.observed
    took = observed.duration_ms / 1000 if observed else 0.0
    attributes = {"name": _clean(case.name), "classname": _clean(f"{case.file} › {case.type}"), "time": f"{took:.3f}"}
    element = ET.Element("testcase", {**attributes, "file": case.file, "line": str(case.line)})
    if result.bad:
        kind = "error" if result.verdict is CaseOutcome.BROKEN else "failure"
        first = result.misses[0] if result.misses else None
        details = {"message": _clean(first.message), "type": first.what} if first else {}
        ET.SubElement(element, kind, details).text = _clean("\n".join(map(plain, failure_lines(result))))
    elif result.verdict is not CaseOutcome.PASSED:
        reason = case.skip if result.verdict is CaseOutcome.SKIPPED else "left out by `only`"
        ET.SubElement(element, "skipped", {"message": _clean(reason)} if reason else {})
    if observed is not None and observed.console:
        lines = "\n".join(f"{line.level} {line.text}" for line in observed.console)
        ET.SubElement(element, "system-out").text = _clean(lines)
    return JUnitCase(case.file, element, took)


def _counts(cases: Sequence[JUnitCase], seconds: float) -> dict[str, str]:
    """Return the attributes with numbers."""
    counted, broken = _tally(cases), sum(case.has("error") for case in cases)
    return {
        "tests": str(len(cases)),
        "failures": str(counted.failed - broken),
        "errors": str(broken),
        "skipped": str(counted.skipped),
        "time": f"{seconds:.3f}",
    }


def _clean(text: str) -> str:
    return _NOT_XML.sub("\ufffd", printable(text))


class InvalidReport(CkfuncError):
    """A file is not a JUnit report of ckfunc."""


class IncompleteReports(CkfuncError):
    """Reports are not those of all shards of one test run."""


@frozen
class JUnitCase:
    """A case in a report: the suite that it is in, its XML element, and the duration of its functions."""

    suite: str
    element: ET.Element
    seconds: float

    @property
    def key(self) -> CaseKey:
        """What identifies the case."""
        return self.suite, self.element.get("name", "")

    @property
    def line(self) -> int:
        """The line of the case in its file."""
        text = self.element.get("line", "")
        return int(text) if text.isdecimal() else 0

    def has(self, kind: str) -> bool:
        """Return whether the case has this result: failure, error or skipped."""
        return self.element.find(kind) is not None


@frozen
class JUnitReport:
    """A report. `name` is the file's name in messages, `part` is set for a shard."""

    name: str
    cases: tuple[JUnitCase, ...]
    seconds: float
    part: ShardedCases | None = None

    def durations_s(self) -> dict[CaseKey, float]:
        """Return the durations of the cases that ran."""
        return {case.key: case.seconds for case in self.cases if not case.has("skipped")}

    @property
    def tally(self) -> Tally:
        """The number of cases by result."""
        return _tally(self.cases)


def read_junit(text: str, name: str) -> JUnitReport:
    """Return a report. `name` is the file's name in messages. Raises InvalidReport."""
    try:
        top = ET.fromstring(text)  # noqa: S314 - expat limits the expansion of entities
    except ET.ParseError as error:
        raise _invalid(name, f"it is not XML: {error}") from None
    if top.tag != "testsuites":
        raise _invalid(name, f"it begins with <{printable(top.tag)[:40]}>")
    cases = tuple(
        JUnitCase(suite.get("name", ""), case, _seconds(case)) for suite in top for case in suite.iter("testcase")
    )
    match = _SHARD.fullmatch(top.get("name", ""))
    shard = read_shard(match[1]) if match else None
    return JUnitReport(name, cases, _seconds(top), ShardedCases(shard, int(match[2])) if match and shard else None)


def _invalid(name: str, reason: str) -> InvalidReport:
    return InvalidReport(
        f"{name} is not a JUnit report: {reason}", hint="use files that `ckfunc test --junit` has written"
    )


def _seconds(element: ET.Element) -> float:
    try:
        return max(0.0, float(element.get("time", "")))
    except ValueError:
        return 0.0


def merged_report(reports: Sequence[JUnitReport]) -> JUnitReport:
    """Return one report with all cases. Raises IncompleteReports."""
    cases = sorted((case for report in reports for case in report.cases), key=lambda case: (case.suite, case.line))
    if problem := next(_problems(reports), None):
        raise IncompleteReports(problem, hint="merge the reports of all shards of one test run")
    return JUnitReport("the merged report", tuple(cases), sum(report.seconds for report in reports))


def _problems(reports: Sequence[JUnitReport]) -> Iterator[str]:
    """Yield why the reports are not those of all shards, or of different cases."""
    parts = [report.part for report in reports if report.part is not None]
    numbers = [part.shard.number for part in parts]
    totals = {(part.shard.total, part.cases) for part in parts}
    if len(totals) > 1 or 0 < len(parts) < len(reports):
        yield "the reports come from different test runs"
    if len(set(numbers)) < len(numbers):
        yield "a shard has several reports"
    places: dict[CaseKey, str] = {}
    for report in reports:
        for case in report.cases:
            if (other := places.setdefault(case.key, report.name)) is not report.name:
                name, file = printable(case.key[1]), printable(case.suite)
                yield f"the case {name!r} of {file} is in {other} and in {report.name}"
    for total, count in totals:
        missing = [str(Shard(number, total)) for number in range(1, total + 1) if number not in numbers]
        if missing:
            yield f"no report of {'shard' if len(missing) == 1 else 'the shards'} {', '.join(missing)}"
        if len(places) != count:
            yield f"the reports contain {len(places)} of {count} cases"


def report_text(report: JUnitReport) -> str:
    """Return the XML of a report."""
    return _document("ckfunc", report.cases, report.seconds)


def _tally(cases: Sequence[JUnitCase]) -> Tally:
    skipped = sum(case.has("skipped") for case in cases)
    failed = sum(case.has("failure") or case.has("error") for case in cases)
    return Tally(passed=len(cases) - skipped - failed, failed=failed, skipped=skipped)


@frozen
class MergedReports:
    """One report, and one coverage; None if the shards have none."""

    report: JUnitReport | None
    coverage: Coverage | None

    @property
    def junit_text(self) -> str | None:
        """The report as JUnit XML."""
        return None if self.report is None else report_text(self.report)

    @property
    def lcov_text(self) -> str | None:
        """The coverage as an lcov file."""
        return None if self.coverage is None else self.coverage.to_lcov()

    def lines(self) -> Iterator[Line]:
        """Yield the table of the coverage, and the counts of the report."""
        if self.coverage is not None:
            yield from self.coverage.table_lines()
        if self.coverage is not None and self.report is not None:
            yield ()
        if self.report is not None:
            yield summary_line(self.report.tally, self.report.seconds)

    def to_json(self) -> MergedTestsJson:
        """Return the counts and the coverage for `--json`."""
        document: MergedTestsJson = {}
        if self.report is not None:
            counted = self.report.tally
            document |= {"passed": counted.passed, "failed": counted.failed, "skipped": counted.skipped}
        if self.coverage is not None:
            document["coverage"] = self.coverage.to_json()
        return document


def merged_files(directory: Path, files: Sequence[Path], *, writes_junit: bool, uses_coverage: bool) -> MergedReports:
    """Merge the reports in files, relative to `directory`.

    Raises UsageProblem if a kind of file has no option that uses it, or the other way round; CkfuncError,
    InvalidReport, InvalidCoverage and IncompleteReports.
    """
    texts = [(_text(directory, file), shown_path(directory / file)) for file in files]
    reports = [read_junit(text, name) for text, name in texts if _is_xml(text)]
    parts = [read_lcov(text, name) for text, name in texts if not _is_xml(text)]
    _require(bool(reports), writes_junit, "--junit FILE", "JUnit reports")
    _require(bool(parts), uses_coverage, "--lcov FILE", "lcov files")
    return MergedReports(merged_report(reports) if reports else None, merged(parts) if parts else None)


def read_report(directory: Path, file: Path) -> JUnitReport:
    """Return the JUnit report in a file. Raises InvalidReport and CkfuncError."""
    return read_junit(_text(directory, file), shown_path(directory / file))


def _text(directory: Path, file: Path) -> str:
    try:
        return read_file(directory / file).decode()
    except FileNotFoundError:
        raise CkfuncError(f"{file} does not exist", hint="check the path") from None
    except UnicodeDecodeError:
        raise CkfuncError(f"{file} is not UTF-8 text", hint="pass JUnit reports and lcov files") from None


def _is_xml(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def _require(has_input: bool, has_output: bool, option: str, kind: str) -> None:
    if has_input and not has_output:
        raise UsageProblem(f"{option} is missing", hint=f"the files include {kind}")
    if has_output and not has_input:
        raise UsageProblem(f"there are no {kind} to merge", hint=f"pass some, or remove {option}")
