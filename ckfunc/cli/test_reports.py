"""`ckfunc test merge`, and the options of coverage reports."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ckfunc.base.errors import CkfuncError, UsageProblem
from ckfunc.base.files import read_file, write_atomically
from ckfunc.base.messages import writing
from ckfunc.cli.app import App
from ckfunc.cli.options import FILE, command

if TYPE_CHECKING:
    from ckfunc.model.outputs import MergedTestsJson
    from ckfunc.testing.coverage import Coverage
    from ckfunc.testing.junit import JUnitReport

# The room of tests is imported inside the functions: `ckfunc test --help` does not need it.

F = TypeVar("F", bound=Callable[..., Any])
DEFAULT_LCOV = Path("coverage", "lcov.info")
"""The lcov file, relative to the project."""


def lcov_option(text: str) -> Callable[[F], F]:
    """Add the option of an lcov file."""
    return click.option("--lcov", type=FILE, metavar="FILE", help=text)


def _number(_ctx: click.Context, _param: click.Parameter, percent: float | None) -> float | None:
    if percent is not None and math.isnan(percent):  # FloatRange accepts it, and no coverage is below it
        raise click.BadParameter("nan is not in the range 0<=x<=100.")
    return percent


def threshold_option(function: F) -> F:
    """Add the option of the required coverage."""
    return click.option(
        "--coverage-threshold",
        "threshold",
        type=click.FloatRange(0, 100),
        callback=_number,
        metavar="PERCENT",
        help="Exit with 1 if fewer lines are covered.",
    )(function)


def lcov_path(app: App, path: Path | None) -> Path:
    """Return the lcov file to write. Raises LeadsOutside, and NoProject for the default."""
    return app.named(path or app.root() / DEFAULT_LCOV)


@command(
    """
  ckfunc test merge shards/*.xml --junit junit.xml
  ckfunc test merge shards/*.info --lcov lcov.info --coverage-threshold 80
    """,
    name="merge",
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILE)
@click.option("--junit", type=FILE, metavar="FILE", help="Write the merged JUnit report to this file.")
@lcov_option("Write the merged coverage to this lcov file.")
@threshold_option
def merge(app: App, files: tuple[Path, ...], junit: Path | None, lcov: Path | None, threshold: float | None) -> None:
    """Merge the JUnit reports and lcov files of shards into one of each.

    Counts are added up. Exits 1 if the report of a shard is missing, a case is in several reports, or the coverage is
    too low, but not if a case has failed.
    """
    from ckfunc.testing.coverage import merged, read_lcov
    from ckfunc.testing.junit import merged_report, read_junit, report_text

    texts = [(_text(app, file), app.output.path(app.directory / file)) for file in files]
    reports = [read_junit(text, name) for text, name in texts if _is_xml(text)]
    parts = [read_lcov(text, name) for text, name in texts if not _is_xml(text)]
    _require(bool(reports), junit is not None, "--junit FILE", "JUnit reports")
    _require(bool(parts), lcov is not None or threshold is not None, "--lcov FILE", "lcov files")
    report = merged_report(reports) if reports else None
    coverage = merged(parts) if parts else None
    if report is not None and junit is not None:
        with writing(place := app.named(junit)):
            write_atomically(place, report_text(report))
    if coverage is not None and lcov is not None:
        with writing(place := app.named(lcov)):
            write_atomically(place, coverage.to_lcov())
    _print(app, report, coverage)
    if coverage is not None and threshold is not None:
        coverage.require(threshold)


def _text(app: App, file: Path) -> str:
    try:
        return read_file(app.directory / file).decode()
    except FileNotFoundError:
        raise CkfuncError(f"{file} does not exist", hint="check the path") from None
    except UnicodeDecodeError:
        raise CkfuncError(f"{file} is not UTF-8 text", hint="pass JUnit reports and lcov files") from None


def read_report(app: App, file: Path) -> JUnitReport:
    """Return the JUnit report in a file. Raises InvalidReport."""
    from ckfunc.testing.junit import read_junit

    return read_junit(_text(app, file), app.output.path(app.directory / file))


def _is_xml(text: str) -> bool:
    return text.lstrip("\ufeff \t\r\n").startswith("<")


def _require(has_input: bool, has_output: bool, option: str, kind: str) -> None:
    if has_input and not has_output:
        raise UsageProblem(f"{option} is missing", hint=f"the files include {kind}")
    if has_output and not has_input:
        raise UsageProblem(f"there are no {kind} to merge", hint=f"name some, or remove {option}")


def _print(app: App, report: JUnitReport | None, coverage: Coverage | None) -> None:
    output = app.output
    if output.json:
        document: MergedTestsJson = {}
        if report is not None:
            counted = report.tally
            document |= {"passed": counted.passed, "failed": counted.failed, "skipped": counted.skipped}
        if coverage is not None:
            document["coverage"] = coverage.to_json()
        output.document(document)
        return
    if output.quiet:
        return
    if coverage is not None:
        output.lines(coverage.table_lines())
    if coverage is not None and report is not None:
        output.line()
    if report is not None:
        output.line(*report.summary_line())
