"""JUnit reports and lcov files of shards, merged into one of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.files import read_file
from ckfunc.base.messages import shown_path
from ckfunc.base.text import Line
from ckfunc.testing.coverage import Coverage, merged, read_lcov
from ckfunc.testing.junit import JUnitReport, merged_report, read_junit, report_text

if TYPE_CHECKING:
    from ckfunc.model.outputs import MergedTestsJson


@dataclass(frozen=True, slots=True)
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
            yield self.report.summary_line()

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
