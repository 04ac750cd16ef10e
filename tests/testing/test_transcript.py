"""Transcripts of failed conversations, within the width of a terminal."""

from __future__ import annotations

import pytest
from support.terminals import plain_text
from testing.files import SENT, case, failed, step_run, succeeded

from ckfunc.base.text import cells
from ckfunc.model.application import ApiCall, Status
from ckfunc.model.chat import MessageType
from ckfunc.sandbox.acts import Act, SaidMessage, SentNotification, Verb
from ckfunc.testing.case import CaseResult, CaseRun, ExpectedMessage, ExpectedText, Miss, StepExpectation, tally
from ckfunc.testing.judging import judge
from ckfunc.testing.rendering import annotations_of, described, failure_lines, json_of, side_by_side, wrapped
from ckfunc.testing.reports import junit

BODY = "You can ask for /help, and for /hours, on weekdays 時間"
ANSWER = SaidMessage(2, "desk", None, MessageType.SYSTEM_TEXT, BODY)
WANTED = StepExpectation(messages=(ExpectedMessage(system=True, body=ExpectedText("You can ask for /help")),))


def result(answer: SaidMessage = ANSWER) -> CaseResult:
    hello = step_run(act=Act(Verb.CONNECTS, "jane", data={"code": "secret"}), line=4)
    call = ApiCall("POST", "/channels/1/messages", {}, 201)
    asked = step_run(
        WANTED,
        act=Act(Verb.SAYS, "jane", "desk", text="/help\x1b[31m"),
        line=5,
        runs=(
            (SENT, succeeded(console=("answered jane",), calls=(call,))),
            (SENT, failed("boom", name="TypeError", stack="TypeError: boom\n    at f (handlers/x.ts:3:5)")),
        ),
        messages=(answer,),
        notifications=(SentNotification("ben", "jane sent a message", "/help"),),
    )
    talk = case(name="asks for help", type="conversation", steps=(hello.step, asked.step))
    return judge(talk, CaseRun(Status.SUCCEEDED, steps=(hello, asked), duration_ms=3.0))


def test_a_failed_step_is_shown_at_the_end_of_the_transcript() -> None:
    assert (
        plain_text(failure_lines(result()))
        == """\
✗ tests/a.yaml:3 › asks for help
  09:30:00  jane connects
  09:30:00  jane in desk: /help
            ran       user.sent.message
                      POST /channels/1/messages -> 201
                      log: answered jane
            failed    user.sent.message: TypeError: boom
                      at f (handlers/x.ts:3:5)
            message   system in desk: You can ask for /help, and for /hours, on
                      weekdays 時間
            notified  ben: jane sent a message: /help
  ✗ step 2, line 5: user.sent.message failed: TypeError: boom
  ✗ step 2, line 5: the expected message is missing
    expected                               actual
    system: You can ask for /help        | system: You can ask for /help, and
                                         | for /hours, on weekdays 時間
"""
    )


@pytest.mark.parametrize("body", ["x" * 5000, "多" * 300, "a b " * 200, "line\n" * 200, "\u202e\x00\u200b", ""])
def test_a_transcript_is_at_most_80_columns_wide(body: str) -> None:
    message = SaidMessage(2, "desk" * 40, "jane" * 40, MessageType.TEXT, body)
    lines = plain_text(failure_lines(result(message))).splitlines()
    assert max(cells(line) for line in lines) <= 80
    assert len(lines) < 600
    assert not any(character in "".join(lines) for character in "\x00\x1b\u202e")


def test_only_the_last_steps_of_a_long_conversation_are_shown() -> None:
    steps = tuple(step_run(act=Act(Verb.WAITS, text=f"{number}m"), line=number) for number in range(50))
    bad = step_run(act=Act(Verb.WAITS, text="1h"), line=99, refusal="no")
    shown = plain_text(failure_lines(judge(case(steps=(bad.step,)), CaseRun(Status.SUCCEEDED, steps=(*steps, bad)))))
    assert "… 31 earlier steps" in shown and "30m pass" not in shown and "31m pass" in shown
    assert "  ✗ step 51, line 99: the step was refused: no" in shown


def test_differences_are_marked_as_in_a_side_by_side_diff() -> None:
    shown = plain_text(side_by_side(Miss("a", "b", "one\ntwo\nthree\nfive", "one\n2\nfour\nfive\nsix")))
    assert [line[4:].split() for line in shown.splitlines()] == [
        ["expected", "actual"],
        ["one", "one"],
        ["two", "|", "2"],
        ["three", "|", "four"],
        ["five", "five"],
        [">", "six"],
    ]
    assert " <" in plain_text(side_by_side(Miss("a", "b", "one\ntwo", "one")))


def test_differences_in_hidden_characters_are_visible() -> None:
    lines = plain_text(side_by_side(Miss("a", "b", "hi", "hi\u200b"))).splitlines()
    assert lines[1].split() == ["hi", "|", "hi\\u200b"]


def test_lines_break_at_spaces_and_inside_long_words() -> None:
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("abcdefghij kl", 4) == ["abcd", "efgh", "ij", "kl"]
    assert wrapped("  {a: 1}", 20) == ["  {a: 1}"]
    assert wrapped("時時時", 4) == ["時時", "時"]
    assert wrapped("", 4) == [""]


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (Act(Verb.CONNECTS, "jane", data={"code": "secret"}), "jane connects"),
        (Act(Verb.OPENS, "jane", "desk"), "jane opens desk"),
        (Act(Verb.SENDS, None, "desk", text="{hi}"), "system in desk: {hi}"),
        (Act(Verb.REPLIES, "jane", "desk", "hello", "yes"), 'jane in desk replies to "hello": yes'),
        (Act(Verb.REACTS, "jane", "desk", text="thumbsup"), "jane in desk reacts to a message with thumbsup"),
        (Act(Verb.READS, "jane", "desk"), "jane reads desk"),
        (Act(Verb.READS, "jane", "desk", "hello"), 'jane in desk reads "hello"'),
        (Act(Verb.INVITES, "jane", "desk", text="ben"), "jane invites ben to desk"),
        (Act(Verb.TRIGGERS, None, "desk", text="closed"), "system in desk triggers closed"),
        (Act(Verb.UPLOADS, "jane", "desk", text="a.png"), "jane in desk: [file a.png]"),
        (Act(Verb.STARTS_TYPING, "jane", "desk"), "jane starts typing in desk"),
        (Act(Verb.STOPS_TYPING, "jane", "desk"), "jane stops typing in desk"),
        (Act(Verb.WAITS, text="2h"), "2h pass"),
    ],
)
def test_an_act_is_a_sentence_without_secrets(act: Act, text: str) -> None:
    assert described(act) == text


def test_reports_contain_the_steps() -> None:
    found = result()
    (document,) = json_of([found], tally([found]), 0.5)["cases"]
    assert (document["type"], document["durationMs"], "result" in document) == ("conversation", 3.0, False)
    first, second = document["steps"]
    assert (first["act"], first["line"], second["time"]) == ("jane connects", 4, "2026-01-15T09:30:00.000Z")
    assert second["messages"][0] == {
        "channel": "desk",
        "user": None,
        "type": "SYSTEM_TEXT",
        "body": BODY,
        "properties": {},
    }
    assert [run["status"] for run in second["functions"]] == ["SUCCEEDED", "FAILED"]
    assert "step 2, line 5" in junit([found], 1.0)
    (annotation,) = annotations_of([found])
    assert (annotation.path, annotation.line) == ("tests/a.yaml", 5)
