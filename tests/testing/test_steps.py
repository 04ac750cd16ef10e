"""Reading the steps of conversations, and reporting their errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from testing.files import SENT, START, read

from ckfunc.manifest.kinds import schema_of
from ckfunc.model.application import Status
from ckfunc.sandbox.acts import Act, UploadedFile, Verb
from ckfunc.testing.case import (
    CONVERSATION,
    Expectation,
    ExpectedMessage,
    ExpectedNotification,
    ExpectedRun,
    ExpectedText,
    ExpectedValue,
    StepExpectation,
)
from ckfunc.testing.definition import CASES
from ckfunc.testing.reading import InvalidCases

WHOLE = """\
type: user.sent.message
data: {users: [{name: jane}], channels: [{name: desk, id: 9, members: [jane]}]}
cases:
  - name: everything
    now: "2020-02-02T02:02:02Z"
    conversation:
      - {user: jane, connects: {code: "1"}, expect: {presence: {jane: online, ben: offline}}}
      - {user: eve, connects: {}, expect: {error: denied, error_matches: "^denied"}}
      - {user: jane, opens: desk}
      - user: jane
        says: hello
        properties: {a: 1}
        expect:
          messages:
            - {system: true, body_includes: hello, channel: desk, properties: {b: 2}}
            - {user: jane, body: changed, changed: true}
            - {body_matches: "^h", deleted: true}
          other_messages: false
          functions:
            - {type: user.sent.message, result_includes: {answered: true}, calls: []}
            - {type: user.attempted.start_session, error: boom}
          other_functions: false
          notifications: [{user: ben, title: t, body_includes: b, channel: 9}]
          other_notifications: false
      - {user: jane, uploads: a.png, size: 3, properties: {d: 4}, expect: {messages: [{file: b.pdf}]}}
      - {user: jane, uploads: notes, content_type: text/plain, content: hi}
      - {user: jane, starts_typing: desk, expect: {typing: [jane]}}
      - {user: jane, stops_typing: desk, expect: {typing: []}}
      - {user: jane, replies: yes please, message: hello}
      - {user: jane, edits: new}
      - {user: jane, deletes: true, message: new}
      - {user: jane, reacts: thumbsup}
      - {user: jane, reads: 9}
      - {user: jane, triggers: typed, properties: {c: 3}}
      - {triggers: closed}
      - {sends: bye}
      - {user: jane, invites: ben}
      - {waits: 1h30m, expect: {functions: []}}
      - {user: jane, closes: desk}
      - {user: jane, leaves: desk}
      - {user: jane, joins: desk}
      - {user: jane, disconnects: true}
"""


def test_a_conversation_is_a_list_of_acts_and_their_expected_consequences(tmp_path: Path) -> None:
    (case,) = read(tmp_path, WHOLE)
    assert (case.type, case.name, case.now.year, case.event) == (CONVERSATION, "everything", 2020, {})
    assert [channel.id for channel in case.seed.channels] == [9]
    assert [step.line for step in case.steps][:5] == [7, 8, 9, 10, 25]
    acts = [step.act for step in case.steps]
    assert acts == [
        Act(Verb.CONNECTS, "jane", data={"code": "1"}),
        Act(Verb.CONNECTS, "eve"),
        Act(Verb.OPENS, "jane", "desk"),
        Act(Verb.SAYS, "jane", "desk", text="hello", data={"a": 1}),
        Act(Verb.UPLOADS, "jane", "desk", text="a.png", data={"d": 4}, file=UploadedFile("image/png", b"\0\0\0")),
        Act(Verb.UPLOADS, "jane", "desk", text="notes", file=UploadedFile("text/plain", b"hi")),
        Act(Verb.STARTS_TYPING, "jane", "desk"),
        Act(Verb.STOPS_TYPING, "jane", "desk"),
        Act(Verb.REPLIES, "jane", "desk", "hello", "yes please"),
        Act(Verb.EDITS, "jane", "desk", text="new"),
        Act(Verb.DELETES, "jane", "desk", "new"),
        Act(Verb.REACTS, "jane", "desk", text="thumbsup"),
        Act(Verb.READS, "jane", "9"),
        Act(Verb.TRIGGERS, "jane", "9", text="typed", data={"c": 3}),
        Act(Verb.TRIGGERS, None, "9", text="closed"),
        Act(Verb.SENDS, None, "9", text="bye"),
        Act(Verb.INVITES, "jane", "9", text="ben"),
        Act(Verb.WAITS, text="1h30m", wait_s=5400.0),
        Act(Verb.CLOSES, "jane", "desk"),
        Act(Verb.LEAVES, "jane", "desk"),
        Act(Verb.JOINS, "jane", "desk"),
        Act(Verb.DISCONNECTS, "jane"),
    ]


def test_expected_consequences_are_read_like_those_of_an_event(tmp_path: Path) -> None:
    (case,) = read(tmp_path, WHOLE)
    first, second, third, says = (step.expect for step in case.steps[:4])
    assert first == StepExpectation(online={"jane": True, "ben": False})
    assert second == StepExpectation(refusal=ExpectedText(None, "denied", "^denied"))
    assert third == StepExpectation()
    assert says == StepExpectation(
        messages=(
            ExpectedMessage(
                system=True,
                channel="desk",
                body=ExpectedText(part="hello"),
                properties=ExpectedValue({"b": 2}, subset=True),
            ),
            ExpectedMessage("jane", body=ExpectedText("changed"), changed=True),
            ExpectedMessage(body=ExpectedText(pattern="^h"), deleted=True),
        ),
        other_messages=False,
        functions=(
            ExpectedRun(SENT, Expectation(result=ExpectedValue({"answered": True}, subset=True), calls=())),
            ExpectedRun(START, Expectation(Status.FAILED, error="boom")),
        ),
        other_functions=False,
        notifications=(ExpectedNotification("ben", "9", ExpectedText("t"), ExpectedText(part="b")),),
        other_notifications=False,
    )
    assert case.steps[4].expect == StepExpectation(messages=(ExpectedMessage(file="b.pdf"),))
    assert [case.steps[index].expect.typing for index in (5, 6, 7)] == [None, ("jane",), ()]
    assert case.steps[17].expect == StepExpectation(functions=())


def test_the_editor_schema_accepts_conversations_and_refuses_unknown_keys() -> None:
    schema = schema_of(CASES, "tests")
    jsonschema.validate(yaml.safe_load(WHOLE), schema, cls=jsonschema.Draft7Validator)
    for step in ({"user": "a", "sais": "x"}, {"sends": "x", "expect": {"message": []}}, {"sends": 1}):
        wrong = {"cases": [{"name": "a", "conversation": [step]}]}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema, cls=jsonschema.Draft7Validator)


HEAD = "cases:\n  - name: a\n    conversation:\n      - {user: jane, connects: {}}\n"

MISTAKES = [
    ("cases: [{name: a, conversation: []}]\n", "1:19: conversation is empty"),
    ("cases: [{name: a, conversation: {}}]\n", "1:33: conversation must be a list, not a mapping"),
    (HEAD + "    event: {}\n", "5:5: a case with a conversation has no `event`"),
    (HEAD + "    type: user.sent.message\n", "5:5: a case with a conversation has no `type`"),
    (HEAD + "    expect: {}\n", "5:5: a case with a conversation has no `expect` (write `expect` in its steps)"),
    (HEAD + "      - {user: jane, sais: hi}\n", "5:22: unknown key 'sais' in a step (did you mean says?)"),
    (HEAD + "      - {user: jane}\n", "5:9: the step does nothing"),
    (HEAD + "      - {user: jane, opens: a, says: b}\n", "5:9: a step does several things: opens, says"),
    (HEAD + "      - {user: jnae, opens: a}\n", "5:10: user 'jnae' has not connected (did you mean jane?)"),
    (HEAD + "      - {user: Zoe, opens: a}\n", "(before this step, add `- {user: Zoe, connects: {}}`)"),
    (
        HEAD + "      - {user: eve, connects: {}, expect: {error: x}}\n      - {user: eve, opens: a}\n",
        "6:10: user 'eve' has not connected",
    ),
    (
        HEAD + "      - {user: jane, disconnects: true}\n      - {user: jane, opens: a}\n",
        "6:10: user 'jane' has not connected",
    ),
    (HEAD + "      - {says: hi, channel: a}\n", "5:10: a step that says needs a user"),
    (
        HEAD + "      - {user: jane, sends: hi, channel: a}\n",
        "5:10: a step that sends has no user (`says` is",
    ),
    (HEAD + "      - {user: jane, waits: 1h}\n", "5:10: a step that waits has no user"),
    (HEAD + "      - {user: jane, says: hi}\n", "5:22: the step has no channel (add `channel: NAME`)"),
    (HEAD + "      - {user: jane, opens: a, channel: b}\n", "5:32: `opens` already names the channel"),
    (HEAD + "      - {user: jane, connects: {}, channel: b}\n", "5:36: a step that connects has no channel"),
    (HEAD + "      - {user: jane, says: hi, channel: a, message: b}\n", "5:44: a step that says has no `message`"),
    (HEAD + "      - {user: jane, opens: a, properties: {}}\n", "5:32: a step that opens has no `properties`"),
    (
        HEAD + "      - {user: jane, says: hi, channel: a, size: 3}\n",
        "5:44: a step that says has no `size` (only for: upl",
    ),
    (HEAD + "      - {user: jane, uploads: a, channel: a, size: 0}\n", "size must be a whole number (from 1 to"),
    (HEAD + "      - {user: jane, uploads: a, channel: a, content: ''}\n", "5:46: content is empty"),
    (
        HEAD + "      - {user: jane, uploads: a, channel: a, size: 1, content: b}\n",
        "5:46: `content` and `size` can't be used together",
    ),
    (HEAD + "      - {starts_typing: a}\n", "5:10: a step that starts_typing needs a user"),
    (HEAD + "      - {user: jane, disconnects: false}\n", "5:22: disconnects can only be true"),
    (HEAD + "      - {waits: soon}\n", "5:17: waits is not a duration of at most ten years (such as 10m, 2h or 1h30m)"),
    (HEAD + "      - {waits: 99999w}\n", "5:17: waits is not a duration"),
    (
        HEAD + "      - {waits: 1h, expect: {functions: [{type: user.sent.mesage}]}}\n",
        "5:49: functions.yaml has no function of type 'user.sent.mesage' (did you mean user.sent.message?)",
    ),
    (HEAD + "      - {waits: 1h, expect: {functions: [{}]}}\n", "a function has no `type`"),
    (HEAD + "      - {waits: 1h, expect: {other_messages: false}}\n", "`other_messages` needs `messages`"),
    (HEAD + "      - {waits: 1h, expect: {error_matches: '('}}\n", "error_matches is not a regular expression"),
    (
        HEAD + "      - {waits: 1h, expect: {messages: [{body_matches: '('}]}}\n",
        "body_matches is not a regular expression",
    ),
    (
        HEAD + "      - {waits: 1h, expect: {messages: [{body: a, body_includes: b}]}}\n",
        "`body` and `body_includes` can't be used together",
    ),
    (HEAD + "      - {waits: 1h, expect: {messages: [{user: a, system: true}]}}\n", "has no user"),
    (HEAD + "      - {waits: 1h, expect: {presence: {jane: here}}}\n", "jane must be one of online, offline"),
    (HEAD + "      - [1]\n      - null\n", "5:9: a step must be a mapping, not a list"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_an_error_in_a_conversation_is_reported_at_its_position(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidCases) as caught:
        read(tmp_path, text)
    assert any(message in str(problem) for problem in caught.value.problems), caught.value.problems


def test_all_errors_of_a_conversation_are_reported_together(tmp_path: Path) -> None:
    steps: list[Any] = ["{user: jnae, opens: a}", "{user: jane, sais: hi}", "{waits: soon}"]
    with pytest.raises(InvalidCases) as caught:
        read(tmp_path, HEAD + "".join(f"      - {step}\n" for step in steps))
    assert [problem.line for problem in caught.value.problems] == [5, 6, 7]
