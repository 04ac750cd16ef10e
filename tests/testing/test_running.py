"""Concurrent cases, and the report of their results."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from xml.etree import ElementTree as ET

import pytest
from support.reports import junit_errors
from support.terminals import plain_text
from testing.files import case, failed, succeeded

from ckfunc.base.errors import CkfuncError
from ckfunc.model.application import ConsoleLine, Status
from ckfunc.testing.case import Case, CaseOutcome, CaseResult, CaseRun, Expectation, ExpectedValue, Miss, tally
from ckfunc.testing.judging import judge
from ckfunc.testing.rendering import failure_lines, json_of, result_line, summary_line
from ckfunc.testing.reports import junit
from ckfunc.testing.running import Try, matching, run_all


def cases(count: int) -> list[Case]:
    return [case(name=f"case {index}", expect=Expectation(result=ExpectedValue(index))) for index in range(count)]


def number(case: Case) -> int:
    return int(case.name.split()[-1])


@pytest.mark.parametrize("jobs", [1, 4, 50])
def test_results_are_in_the_order_of_the_cases(jobs: int) -> None:
    open_places: list[int] = []
    late = threading.Event()

    @contextmanager
    def place() -> Iterator[Try]:
        def attempt(case: Case) -> CaseRun:
            if number(case) == 0 and jobs > 1:
                assert late.wait(10)  # the first case ends last
            if number(case) == 19:
                late.set()
            return succeeded(number(case))

        open_places.append(1)
        yield attempt
        open_places.pop()

    results = list(run_all(cases(20), place, jobs=jobs))
    assert [number(result.case) for result in results] == list(range(20))
    assert {result.verdict for result in results} == {CaseOutcome.PASSED}
    assert open_places == []


def test_a_case_that_cannot_run_is_broken_and_the_others_continue() -> None:
    @contextmanager
    def place() -> Iterator[Try]:
        def attempt(case: Case) -> CaseRun:
            if number(case) == 1:
                raise CkfuncError("user 'ann' is nobody", hint="add her")
            return succeeded(number(case))

        yield attempt

    first, second, third = run_all(cases(3), place, jobs=2)
    assert (first.bad, second.bad, third.bad) == (False, True, False)
    assert second.misses[0].message == "it could not run: user 'ann' is nobody (add her)"


@pytest.mark.parametrize("error", [CkfuncError("no Node"), ValueError("a bug"), KeyboardInterrupt()])
def test_an_error_while_preparing_a_worker_ends_the_run(error: BaseException) -> None:
    @contextmanager
    def place() -> Iterator[Try]:
        raise error
        yield  # pragma: no cover

    with pytest.raises(type(error)):
        list(run_all(cases(5), place, jobs=2))


def test_a_caller_that_stops_early_ends_the_run() -> None:
    tried: list[int] = []

    @contextmanager
    def place() -> Iterator[Try]:
        def attempt(case: Case) -> CaseRun:
            tried.append(number(case))
            return succeeded()

        yield attempt

    cut: list[str] = []
    running = run_all(cases(1000), place, jobs=1, cut_short=lambda: cut.append("short"))
    next(running)
    running.close()
    assert cut == ["short"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ckfunc-worker")]


def test_skipped_and_left_out_cases_are_not_run() -> None:
    @contextmanager
    def place() -> Iterator[Try]:
        yield lambda case: succeeded()

    several = [
        case(name="a", only=True),
        case(name="b"),
        case(name="c", skip="later"),
        case(name="d", only=True, skip=""),
    ]
    verdicts = [result.verdict for result in run_all(several, place, jobs=1)]
    assert verdicts == [CaseOutcome.PASSED, CaseOutcome.LEFT_OUT, CaseOutcome.SKIPPED, CaseOutcome.SKIPPED]
    assert list(run_all([], place, jobs=1)) == []


def test_cases_are_selected_by_file_name_or_type() -> None:
    several = [case(name="Greets"), case(name="b", file="tests/greeting.yaml"), case(name="c", type="call.ended")]
    assert [case.name for case in matching(several, "greet")] == ["Greets", "b"]
    assert [case.name for case in matching(several, "CALL.")] == ["c"]
    assert matching(several, None) == tuple(several)
    assert matching(several, "x") == ()


def results() -> Sequence[CaseResult]:
    console = tuple(ConsoleLine("warn", f"line {index}\x1b[31m") for index in range(80))
    return [
        judge(case(name="fine"), succeeded()),
        judge(case(name="wrong", expect=Expectation(result=ExpectedValue({"a": "x" * 900}))), succeeded({"a": 1})),
        judge(
            case(name="thrown"),
            failed("boom\x00", name="TypeError", stack="TypeError: boom\n    at f (handlers/x.ts:3:5)"),
        ),
        CaseResult(case(name="broken"), CaseOutcome.BROKEN, (Miss("case", "it could not run"),)),
        CaseResult(case(name="later", skip="why \x07not"), CaseOutcome.SKIPPED),
        CaseResult(case(name="unwanted"), CaseOutcome.LEFT_OUT),
        judge(case(name="loud", expect=Expectation(console=("x",))), CaseRun(Status.SUCCEEDED, console=console)),
        judge(
            case(name="long", expect=Expectation(result=ExpectedValue(list(range(300))))),
            succeeded(list(range(300, 600))),
        ),
    ]


def test_each_case_has_a_line_with_its_outcome() -> None:
    shown = plain_text(result_line(result) for result in results()).splitlines()
    assert shown[0].startswith("  ✓ fine  ")
    assert shown[3:6] == ["  ✗ broken", "  ○ later (skipped: why not)", "  ○ unwanted (left out)"]
    counted = tally(results())
    assert (
        plain_text([summary_line(counted, 1.234)]) == "1 passed, 5 failed, 1 skipped, 1 left out by `only` in 1.2 s\n"
    )
    assert str(tally([])) == "no cases"


def test_failures_are_truncated_and_sanitized() -> None:
    shown = [plain_text(failure_lines(result)) for result in results() if result.bad]
    wrong, thrown, broken, loud, long = shown
    assert wrong.startswith("✗ tests/a.yaml:3 › wrong\n  the result differs\n    - expected  + actual\n")
    assert max(map(len, wrong.splitlines())) < 520
    assert "expected success, but it failed: TypeError: boom\n    at f (handlers/x.ts:3:5)" in thrown
    assert broken == "✗ tests/a.yaml:3 › broken\n  it could not run\n"
    assert loud.count("line ") == 60 and "and 20 more lines" in loud
    assert long.count("\n") < 70 and "more lines" in long
    assert "\x1b" not in "".join(shown) and "\x00" not in "".join(shown)


def test_a_failure_shows_causes_and_properties_of_the_error_once() -> None:
    stack = "Error: boom\n    at f (a.ts:3:5)\n    { code: 'E_X' }\nCaused by: TypeError: why\n    at g (a.ts:4:5)"
    shown = plain_text(failure_lines(judge(case(name="thrown"), failed("boom", name="Error", stack=stack))))
    assert shown.endswith(
        "failed: boom\n    at f (a.ts:3:5)\n    { code: 'E_X' }\n    Caused by: TypeError: why\n    at g (a.ts:4:5)\n"
    )


def test_json_and_junit_reports_have_the_same_outcomes() -> None:
    data = json_of(results(), tally(results()), 1.5)
    assert (data["ok"], data["failed"], data["leftOut"], data["durationMs"]) == (False, 5, 1, 1500.0)
    assert [case["verdict"] for case in data["cases"]] == [
        *("passed", "failed", "failed", "broken", "skipped", "left out", "failed", "failed")
    ]
    top = ET.fromstring(junit(results(), 1.5))
    assert (top.get("tests"), top.get("failures"), top.get("errors"), top.get("skipped")) == ("8", "4", "1", "2")
    (suite,) = top
    kinds = [testcase[0].tag if len(testcase) else "" for testcase in suite]
    assert kinds == ["", "failure", "failure", "error", "skipped", "skipped", "failure", "failure"]


def test_junit_reports_comply_with_their_schema() -> None:
    report = junit(results(), 1.5)
    assert junit_errors(report) == []
    assert junit_errors(junit([], 0.0)) == []
    (error,) = junit_errors(report.replace("<system-out>", "<output>").replace("</system-out>", "</output>"))
    assert "output" in error
