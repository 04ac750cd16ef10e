"""Comparison of the consequences of a step with the expected ones."""

from __future__ import annotations

from typing import Any

import pytest
from testing.files import SENT, START, case, failed, step_run, succeeded

from ckfunc.model.application import Status
from ckfunc.model.chat import MessageType
from ckfunc.sandbox.acts import SaidMessage, SentNotification
from ckfunc.testing.case import (
    CaseOutcome,
    CaseRun,
    Expectation,
    ExpectedMessage,
    ExpectedNotification,
    ExpectedRun,
    ExpectedText,
    ExpectedValue,
    Miss,
    StepExpectation,
    StepRun,
)
from ckfunc.testing.judging import judge, step_misses

HELLO = SaidMessage(1, "desk", "jane", MessageType.TEXT, "hello", properties={"a": 1, "b": 2})
ANSWER = SaidMessage(2, "desk", None, MessageType.SYSTEM_TEXT, "can I help?")
GONE = SaidMessage(3, "other", "ben", MessageType.FILE, None, "cat.png", deleted=True)


def misses(caused: StepRun, **expect: Any) -> tuple[Miss, ...]:
    return tuple(step_misses(step_run(StepExpectation(**expect), caused)))


def said(*messages: SaidMessage) -> StepRun:
    return step_run(messages=messages)


def ran(*runs: tuple[str, CaseRun]) -> StepRun:
    return step_run(runs=runs)


@pytest.mark.parametrize(
    ("wanted", "met"),
    [
        ({"user": "jane"}, True),
        ({"user": "ben"}, False),
        ({"system": False}, True),
        ({"system": True}, False),
        ({"channel": "desk"}, True),
        ({"channel": "other"}, False),
        ({"body": ExpectedText("hello")}, True),
        ({"body": ExpectedText("hell")}, False),
        ({"body": ExpectedText(part="ell")}, True),
        ({"body": ExpectedText(part="elk")}, False),
        ({"body": ExpectedText(pattern="^h.l+o$")}, True),
        ({"body": ExpectedText(pattern="^l")}, False),
        ({"properties": ExpectedValue({"a": 1}, subset=True)}, True),
        ({"properties": ExpectedValue({"a": 2}, subset=True)}, False),
        ({"file": "a.png"}, False),
        ({"changed": False}, True),
        ({"changed": True}, False),
        ({"deleted": True}, False),
    ],
)
def test_each_field_of_an_expected_message_is_compared(wanted: dict[str, Any], met: bool) -> None:
    assert (misses(said(HELLO), messages=(ExpectedMessage(**wanted),)) == ()) is met


def test_expected_messages_must_occur_in_order_among_others() -> None:
    first, second = ExpectedMessage("jane"), ExpectedMessage(system=True)
    assert misses(said(HELLO, GONE, ANSWER), messages=(first, second)) == ()
    (miss,) = misses(said(HELLO, ANSWER), messages=(second, first))
    assert (miss.what, miss.message) == ("messages", "the expected message is missing")
    assert (miss.expected, miss.actual) == (
        "system: can I help?\njane: any text",
        "jane: hello\nsystem: can I help?",
    )
    (miss,) = misses(said(HELLO, ANSWER), messages=(first,), other_messages=False)
    assert miss.message == "1 more message than expected"
    assert misses(said(HELLO), messages=(first,), other_messages=False) == ()
    (miss,) = misses(said(GONE), messages=())
    assert (miss.message, miss.actual) == ("expected no messages, but there was 1", "ben: [file cat.png] (deleted)")
    (miss,) = misses(said(), messages=(first, second))
    assert (miss.message, miss.actual) == ("2 messages are missing", "no messages")
    assert misses(said(HELLO)) == ()


def test_expected_messages_are_shown_with_the_fields_that_are_compared() -> None:
    wanted = ExpectedMessage(
        channel="desk", body=ExpectedText(part="bye"), properties=ExpectedValue({"a": 1}), changed=True
    )
    (miss,) = misses(said(HELLO), messages=(wanted,))
    assert miss.expected == 'anyone in desk: … bye … {"a": 1} (changed)'
    assert miss.actual == 'jane in desk: hello {"a": 1, "b": 2}'


def test_expected_functions_must_run_in_order_among_others() -> None:
    sent = ExpectedRun(SENT, Expectation(result=ExpectedValue(1)))
    start = ExpectedRun(START, Expectation())
    both = ran((START, succeeded()), (SENT, succeeded(2)), (SENT, succeeded(1)))
    assert misses(both, functions=(start, sent)) == ()
    (miss,) = misses(both, functions=(sent, start))
    assert miss.message == f"{START} did not run in this order, only earlier"
    (miss,) = misses(ran((SENT, succeeded(2))), functions=(sent,))
    assert (miss.what, miss.message, miss.expected, miss.actual) == ("result", f"{SENT}: the result differs", "1", "2")
    (miss,) = misses(ran(), functions=(start,))
    assert (miss.message, miss.actual) == (f"{START} did not run", "no functions")
    (miss,) = misses(both, functions=(start, sent), other_functions=False)
    assert (miss.message, miss.actual) == ("1 more run than expected", f"{START}\n{SENT}\n{SENT}")
    (miss,) = misses(both, functions=())
    assert miss.message == "expected no functions to run, but 3 did"


def test_a_failed_function_fails_the_step_unless_the_failure_is_expected() -> None:
    broken = ran((SENT, failed("boom", name="TypeError")))
    (miss,) = misses(broken)
    assert (miss.what, miss.message) == ("status", f"{SENT} failed: TypeError: boom")
    assert misses(broken, functions=(ExpectedRun(SENT, Expectation(Status.FAILED, error="boom")),)) == ()
    assert [miss.what for miss in misses(broken, functions=())] == ["status", "functions"]


def test_an_expected_refusal_is_part_of_the_reason_or_a_regular_expression() -> None:
    denied = step_run(refusal="wrong code 7", runs=((START, failed("wrong code 7")),))
    assert misses(denied, refusal=ExpectedText(None, "wrong", r"\d$")) == ()
    (miss,) = misses(denied)
    assert miss.message == "the step was refused: wrong code 7"
    (miss,) = misses(denied, refusal=ExpectedText(None, "right"))
    assert (miss.what, miss.expected, miss.actual) == ("error", "right", "wrong code 7")
    (miss,) = misses(step_run(), refusal=ExpectedText(None, "wrong"))
    assert (miss.message, miss.expected) == ("expected the step to be refused, but it succeeded", "wrong")


def test_expected_files_and_typing_users_are_compared_by_name() -> None:
    file = SaidMessage(4, "desk", None, MessageType.SYSTEM_FILE, None, "a.png")
    assert misses(said(file), messages=(ExpectedMessage(system=True, file="a.png"),)) == ()
    (miss,) = misses(said(file), messages=(ExpectedMessage(system=True, file="b.png"),))
    assert (miss.expected, miss.actual) == ("system: [file b.png]", "system: [file a.png]")
    caused = step_run(typing=("jane",))
    assert misses(caused) == misses(caused, typing=("jane",)) == ()
    for wanted, shown in (((), "nobody"), (("jane", "ben"), "ben\njane")):
        (miss,) = misses(caused, typing=wanted)
        assert (miss.message, miss.expected, miss.actual) == (
            *("the users who are typing are not the expected ones", shown, "jane"),
        )


def test_expected_notifications_and_presence_are_compared_by_user() -> None:
    caused = step_run(
        notifications=(SentNotification("ben", "jane sent a message", "hello", "desk"),),
        online={"jane": True, "ben": False},
    )
    wanted = ExpectedNotification("ben", "desk", ExpectedText("jane sent a message"), ExpectedText(part="ell"))
    assert misses(caused, notifications=(wanted,), other_notifications=False, online={"jane": True}) == ()
    (miss,) = misses(caused, notifications=(ExpectedNotification("jane"),))
    assert (miss.expected, miss.actual) == ("jane: any text: any text", "ben: jane sent a message: hello")
    (miss,) = misses(caused, notifications=())
    assert miss.message == "expected no notifications, but there was 1"
    offline, unknown = misses(caused, online={"ben": True, "jnae": True})
    assert (offline.message, offline.actual) == ("ben is offline, not online", "ben: offline")
    assert unknown.message == "there is no user 'jnae' (did you mean jane?)"


def test_a_conversation_fails_with_its_last_step() -> None:
    good, bad = step_run(), step_run(refusal="no")
    talk = case(steps=(good.step, bad.step))
    assert judge(talk, CaseRun(Status.SUCCEEDED, steps=(good, good))).verdict is CaseOutcome.PASSED
    result = judge(talk, CaseRun(Status.SUCCEEDED, steps=(good, bad)))
    assert (result.verdict, [miss.message for miss in result.misses]) == (
        CaseOutcome.FAILED,
        ["the step was refused: no"],
    )
