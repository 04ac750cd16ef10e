"""JUnit reports of shards, merged into one."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from support.reports import junit_errors
from testing.files import case, failed, succeeded

from ckfunc.testing.case import CaseOutcome, CaseResult, Expectation, Shard, ShardedCases, Tally
from ckfunc.testing.judging import judge
from ckfunc.testing.reports import IncompleteReports, InvalidReport, junit, merged_report, read_junit, report_text

RESULTS = [
    judge(case(name="passes", line=2), succeeded(console=("hello",))),
    judge(case(name="fails <here>", line=3, expect=Expectation(error="other")), failed("boom")),
    CaseResult(case(name="skipped", line=5, skip="later"), CaseOutcome.SKIPPED),
    CaseResult(case(name="broken", line=1, file="tests/b.yaml"), CaseOutcome.BROKEN),
]


def report(number: int, total: int, *results: CaseResult, cases: int = 4) -> str:
    return junit(list(results), 1.5, ShardedCases(Shard(number, total), cases))


def merged(*texts: str) -> str:
    return report_text(merged_report([read_junit(text, f"{number}.xml") for number, text in enumerate(texts, 1)]))


def without_times(text: str) -> str:
    return ET.canonicalize(re.sub(' time="[0-9.]+"', "", text))


def test_reports_of_shards_become_the_report_of_the_whole_run() -> None:
    shards = [report(1, 3, RESULTS[3], RESULTS[1]), report(2, 3, RESULTS[2], RESULTS[0]), report(3, 3)]
    whole = merged(*shards)
    assert without_times(whole) == without_times(junit(RESULTS, 4.5))
    assert ET.fromstring(whole).get("time") == "4.500"
    assert junit_errors(whole) == []
    assert junit_errors(shards[0]) == []
    assert read_junit(whole, "all.xml").tally == Tally(passed=1, failed=2, skipped=1)
    assert merged(junit(RESULTS[:2], 1.0), junit(RESULTS[2:], 3.5)) == whole


def test_only_cases_that_ran_have_durations() -> None:
    assert read_junit(junit(RESULTS, 1.0), "all.xml").durations_s() == {
        ("tests/a.yaml", "passes"): 0.002,
        ("tests/a.yaml", "fails <here>"): 0.002,
        ("tests/b.yaml", "broken"): 0.0,
    }


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ([report(1, 3), report(3, 3)], "no report of shard 2/3"),
        ([report(2, 3)], "no report of the shards 1/3, 3/3"),
        ([report(1, 2), report(1, 2)], "a shard has several reports"),
        ([report(1, 2), report(2, 3)], "the reports come from different test runs"),
        ([report(1, 1, *RESULTS), junit([], 1.0)], "the reports come from different test runs"),
        ([report(1, 2, *RESULTS[:1]), report(2, 2, *RESULTS[1:3])], "the reports contain 3 of 4 cases"),
        (
            [report(1, 2, *RESULTS[:2]), report(2, 2, *RESULTS[1:])],
            "the case 'fails <here>' of tests/a.yaml is in 1.xml and in 2.xml",
        ),
    ],
)
def test_incomplete_or_mixed_reports_are_refused(texts: list[str], problem: str) -> None:
    with pytest.raises(IncompleteReports) as raised:
        merged(*texts)
    assert raised.value.message == problem


@pytest.mark.parametrize("text", ["", "<a", "<html/>", "<testsuites><testsuite></testsuites>"])
def test_files_that_are_not_junit_reports_are_refused(text: str) -> None:
    with pytest.raises(InvalidReport, match=re.escape("a.xml is not a JUnit report: ")):
        read_junit(text, "a.xml")
