"""Test results as text and as JSON."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ckfunc.base.annotations import Annotation
from ckfunc.base.clock import elapsed_text
from ckfunc.base.text import Line, beneath_message, diff_style, escaped, is_frame, printable
from ckfunc.model.application import ConsoleLine
from ckfunc.testing.case import CaseOutcome, CaseResult, CaseRun, Miss, Tally
from ckfunc.testing.redacting import ReplacedSecret
from ckfunc.testing.transcript import conversation_lines, run_json, step_json

if TYPE_CHECKING:
    from ckfunc.model.outputs import CaseJson, FailureJson, TestsJson

_MARKS = {
    CaseOutcome.PASSED: ("✓", "success"),
    CaseOutcome.FAILED: ("✗", "failure"),
    CaseOutcome.BROKEN: ("✗", "failure"),
    CaseOutcome.SKIPPED: ("○", "warning"),
    CaseOutcome.LEFT_OUT: ("○", "muted"),
}
_MOST_LINES = 60
"""How many lines of a diff, a stack or console output are shown."""
_LONGEST = 500


def result_line(result: CaseResult) -> Line:
    """Return the line of a case in the list of results."""
    mark, style = _MARKS[result.verdict]
    name = printable(result.case.name)
    if result.verdict is CaseOutcome.SKIPPED:
        reason = f": {printable(result.case.skip)}" if result.case.skip else ""
        return [("  ", "plain"), (mark, style), (f" {name} (skipped{reason})", "muted")]
    if result.verdict is CaseOutcome.LEFT_OUT:
        return [("  ", "plain"), (mark, style), (f" {name} (left out)", "muted")]
    took = f"  {elapsed_text(result.observed.duration_ms)}" if result.observed else ""
    return [("  ", "plain"), (mark, style), (f" {name}", "plain"), (took, "muted")]


def failure_lines(result: CaseResult) -> Iterator[Line]:
    """Yield the report of a failed case: expected and actual values, stack, and output."""
    case = result.case
    yield [("✗ ", "failure"), (f"{case.file}:{case.line}", "place"), (f" › {printable(case.name)}", "title")]
    if case.steps and result.observed is not None:
        yield from conversation_lines(result)
        return
    for miss in result.misses:
        yield [("  ", "plain"), (printable(miss.message.replace("\n", " ")), "failure")]
        yield from _compared(miss)
    if result.observed is not None:
        yield from _stack(result.observed, result.misses)
        yield from _console(result.observed.console)


def addition_lines(redactions: Sequence[ReplacedSecret], result: CaseResult) -> Iterator[Line]:
    """Yield the secrets that were replaced in a recorded case, and its result with the working copy."""
    for redaction in redactions:
        replaced = f"{printable(redaction.place)}: {redaction.reason} (replaced by {redaction.placeholder})"
        yield [("  redacted ", "warning"), (replaced, "plain")]
    if not redactions:
        yield [("  no secrets were found in it", "plain")]
    if not result.bad:
        yield [("  it passes", "success"), (" with the working copy", "plain")]
        return
    yield [("  it fails", "failure"), (" with the working copy:", "plain")]
    for line in failure_lines(result):
        yield [("    ", "plain"), *line]


def summary_line(counted: Tally, seconds: float) -> Line:
    """Return the summary, which is the last line."""
    parts: list[tuple[str, str]] = []
    for count, word, style in (
        (counted.passed, "passed", "success"),
        (counted.failed, "failed", "failure"),
        (counted.skipped, "skipped", "warning"),
        (counted.left_out, "left out by `only`", "warning"),
    ):
        if count:
            parts += [(", " if parts else "", "plain"), (f"{count} {word}", style)]
    return [*(parts or [("no cases", "muted")]), (f" in {elapsed_text(seconds * 1000)}", "muted")]


def json_of(results: Sequence[CaseResult], counted: Tally, seconds: float) -> TestsJson:
    """Return the results as JSON."""
    return {
        "ok": not counted.failed,
        "passed": counted.passed,
        "failed": counted.failed,
        "skipped": counted.skipped,
        "leftOut": counted.left_out,
        "durationMs": round(seconds * 1000, 1),
        "cases": [_case_json(result) for result in results],
    }


def _case_json(result: CaseResult) -> CaseJson:
    case, observed = result.case, result.observed
    document: CaseJson = {
        "file": case.file,
        "line": case.line,
        "name": case.name,
        "type": case.type,
        "verdict": result.verdict.value,
    }
    if case.skip:
        document["reason"] = case.skip
    if result.misses:
        document["failures"] = [_miss_json(miss) for miss in result.misses]
    if observed is not None and case.steps:
        document["durationMs"] = round(observed.duration_ms, 2)
        document["steps"] = [step_json(step) for step in observed.steps]
    elif observed is not None:
        return {**document, **run_json(observed)}
    return document


def _miss_json(miss: Miss) -> FailureJson:
    document: FailureJson = {"what": miss.what, "message": miss.message}
    if miss.expected is not None:
        document["expected"] = miss.expected
    if miss.actual is not None:
        document["actual"] = miss.actual
    return document


def annotations_of(results: Iterable[CaseResult]) -> Iterator[Annotation]:
    """Yield an annotation for each failed case, at the line where the case, or the step of its conversation, begins."""
    for result in results:
        if result.bad:
            reasons = "; ".join(miss.message for miss in result.misses)
            steps = result.observed.steps if result.observed is not None else ()
            line = steps[-1].step.line if steps else result.case.line
            yield Annotation(result.case.file, line, 1, "test", f"{result.case.name}: {reasons}")


def plain_failure(result: CaseResult) -> str:
    """Return the text of `failure_lines`, without styles."""
    return "\n".join("".join(text for text, _ in line) for line in failure_lines(result))


def _compared(miss: Miss) -> Iterator[Line]:
    if miss.expected is None or miss.actual is None:
        return
    expected, actual = ([_cut(line) for line in escaped(text).splitlines()] for text in (miss.expected, miss.actual))
    lines = list(difflib.unified_diff(expected, actual, lineterm="", n=3))[3:]
    yield [("    ", "plain"), ("- expected", "remove"), ("  ", "plain"), ("+ actual", "create")]
    for line in lines[:_MOST_LINES]:
        hunk = line.startswith("@@")
        yield [("    ", "plain"), ("…", "muted") if hunk else (f"{line[:1]} {line[1:]}", diff_style(line))]
    if len(lines) > _MOST_LINES:
        yield [("    ", "plain"), (f"and {len(lines) - _MOST_LINES} more lines", "muted")]


def _stack(observed: CaseRun, misses: Iterable[Miss]) -> Iterator[Line]:
    """Yield the stack of an error, unless it was expected."""
    if observed.error is None or not any(miss.what in ("status", "error") for miss in misses):
        return
    lines = beneath_message(printable(observed.stack), printable(f"{observed.error_name}: {observed.error}"))
    for text in lines[:_MOST_LINES]:
        yield [("    ", "plain"), (text.removeprefix("    "), "muted" if is_frame(text) else "failure")]
    if len(lines) > _MOST_LINES:
        yield [("    ", "plain"), (f"and {len(lines) - _MOST_LINES} more lines", "muted")]


def _console(console: Sequence[ConsoleLine]) -> Iterator[Line]:
    if not console:
        return
    yield [("  ", "plain"), ("console:", "muted")]
    lines = [(output.level, text) for output in console for text in printable(output.text).splitlines() or [""]]
    for level, text in lines[:_MOST_LINES]:
        style = {"error": "failure", "warn": "warning"}.get(level, "plain")
        yield [("    ", "plain"), (f"{level:<5} ", "muted"), (_cut(text), style)]
    if len(lines) > _MOST_LINES:
        yield [("    ", "plain"), (f"and {len(lines) - _MOST_LINES} more lines", "muted")]


def _cut(line: str) -> str:
    shown = _LONGEST - 30
    return line if len(line) <= _LONGEST else f"{line[:shown]} … {len(line) - shown} more characters"
