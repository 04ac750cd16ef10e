"""Comparison of a run with its expected outcome, and the messages."""

from __future__ import annotations

from typing import Any

import pytest
from testing.files import case, failed, succeeded

from ckfunc.base.documents import matches
from ckfunc.model.application import ApiCall, Status
from ckfunc.testing.case import CaseOutcome, CaseRun, Expectation, ExpectedCall, ExpectedValue, Miss
from ckfunc.testing.judging import judge, same_path


def misses(observed: CaseRun, **expect: Any) -> tuple[Miss, ...]:
    result = judge(case(Expectation(**expect)), observed)
    assert result.verdict is (CaseOutcome.FAILED if result.misses else CaseOutcome.PASSED)
    return result.misses


@pytest.mark.parametrize(
    ("expected", "actual", "exact", "subset"),
    [
        ({"a": 1}, {"a": 1}, True, True),
        ({"a": 1}, {"a": 1, "b": 2}, False, True),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}}, False, True),
        ([{"a": 1}], [{"a": 1, "b": 2}], False, True),
        ([1], [1, 2], False, False),
        ({"a": None}, {}, False, False),
        (1, 1.0, True, True),
        (1, True, False, False),
        (0, False, False, False),
        (None, None, True, True),
        ("1", 1, False, False),
        ({}, [], False, False),
    ],
)
def test_values_are_compared_as_json(expected: Any, actual: Any, exact: bool, subset: bool) -> None:
    assert matches(expected, actual, subset=False) is exact
    assert matches(expected, actual, subset=True) is subset


def test_an_unexpected_status_is_reported_with_the_error() -> None:
    (miss,) = misses(failed("boom", name="TypeError"))
    assert (miss.what, miss.message) == ("status", "expected success, but it failed: TypeError: boom")
    (miss,) = misses(succeeded(), status=Status.FAILED, error="boom")
    assert miss.message == "expected failure, but it succeeded (expected error: boom)"
    assert misses(failed("boom"), status=Status.FAILED) == ()


def test_an_expected_error_is_part_of_the_message_or_a_regular_expression() -> None:
    assert misses(failed("code 42 is wrong"), status=Status.FAILED, error="42", error_matches=r"^code \d+") == ()
    (first, second) = misses(failed("no"), status=Status.FAILED, error="42", error_matches=r"^code \d+")
    assert (first.expected, first.actual) == ("42", "no")
    assert (second.expected, second.actual) == (r"^code \d+", "no")


def test_a_result_is_compared_exactly_or_as_a_subset() -> None:
    assert misses(succeeded({"a": 1}), result=ExpectedValue({"a": 1})) == ()
    assert misses(succeeded({"a": 1, "b": 2}), result=ExpectedValue({"a": 1}, subset=True)) == ()
    (miss,) = misses(succeeded({"b": 2, "a": 1}), result=ExpectedValue({"a": 2}))
    assert (miss.what, miss.message) == ("result", "the result differs")
    assert (miss.expected, miss.actual) == ('{\n  "a": 2\n}', '{\n  "a": 1,\n  "b": 2\n}')
    (miss,) = misses(succeeded({"x": [{"b": 2, "a": 1}]}), result=ExpectedValue({"x": [{"a": 2}]}, subset=True))
    assert (miss.actual or "").split() == ["{", '"x":', "[", "{", '"a":', "1", "}", "]", "}"]
    assert misses(succeeded(), result=ExpectedValue(None)) == ()


def test_expected_lines_must_be_printed_in_order() -> None:
    printed = ("hello jane", "bye jane", "hello again")
    assert misses(succeeded(console=printed), console=("hello", "bye", "hello")) == ()
    (miss,) = misses(succeeded(console=printed), console=("bye", "hello jane"))
    assert miss.message == "it did not print 'hello jane' in this order, only earlier"
    (miss,) = misses(succeeded(), console=("hello",))
    assert miss.message == "it did not print 'hello'"


SEND = ApiCall("POST", "/channels/1/messages", {"type": "TEXT", "body": "hi"}, 201)
READ = ApiCall("GET", "/users?size=5&page=1", None, 200)


def test_expected_calls_must_be_made_in_order_among_others() -> None:
    made = succeeded(calls=(READ, SEND, READ))
    body = ExpectedValue({"body": "hi"}, subset=True)
    assert misses(made, calls=(ExpectedCall("POST", "/channels/*/messages", body, 201),)) == ()
    assert misses(made, calls=(ExpectedCall(path="/users"), ExpectedCall(path="/users?page=1&size=5"))) == ()
    (miss,) = misses(made, calls=(ExpectedCall("POST"), ExpectedCall("POST")))
    assert miss.message == "it did not call POST any path in this order, only earlier"
    (miss,) = misses(made, calls=(ExpectedCall("DELETE", "/users/1"),))
    assert miss.message == "it did not call DELETE /users/1"
    assert (
        miss.actual
        == "GET /users?size=5&page=1 -> 200\nPOST /channels/1/messages -> 201\nGET /users?size=5&page=1 -> 200"
    )
    (miss,) = misses(succeeded(), calls=(ExpectedCall("GET"),))
    assert miss.actual == "no calls"


def test_a_call_with_another_body_or_status_is_shown_with_the_expected_one() -> None:
    wanted = ExpectedCall("POST", "/channels/1/messages", ExpectedValue({"body": "bye"}, subset=True))
    (miss,) = misses(succeeded(calls=(SEND,)), calls=(wanted,))
    assert miss.message == "POST /channels/1/messages was made with a different body"
    assert (miss.expected, miss.actual) == ('{\n  "body": "bye"\n}', '{\n  "body": "hi"\n}')
    (miss,) = misses(succeeded(calls=(SEND,)), calls=(ExpectedCall("POST", None, None, 400),))
    assert miss.message == "POST any path had status 201, not 400"


def test_a_case_can_expect_no_calls_or_no_other_calls() -> None:
    assert misses(succeeded(), calls=()) == ()
    (miss,) = misses(succeeded(calls=(SEND,)), calls=())
    assert miss.message == "expected no calls, but it made 1"
    assert misses(succeeded(calls=(SEND,)), calls=(ExpectedCall("POST"),), other_calls=False) == ()
    (miss,) = misses(succeeded(calls=(SEND, READ)), calls=(ExpectedCall("POST"),), other_calls=False)
    assert (miss.message, miss.actual) == ("it made 1 more call than expected", "GET /users?size=5&page=1 -> 200")
    (miss,) = misses(succeeded(calls=(READ,) * 25), calls=())
    assert (miss.actual or "").endswith("and 5 more")


@pytest.mark.parametrize(
    ("wanted", "path", "same"),
    [
        ("/users", "/users", True),
        ("/users/", "/users", True),
        ("/users/*", "/users/7", True),
        ("/users/*", "/users", False),
        ("/users/*", "/users/7/channels", False),
        ("/users?name=a%20b", "/users?name=a+b", True),
        ("/users?name=a", "/users?name=b", False),
        ("/users/a b", "/users/a%20b", True),
    ],
)
def test_an_expected_path_may_have_wildcards_and_omit_the_query(wanted: str, path: str, same: bool) -> None:
    assert same_path(wanted, path) is same
