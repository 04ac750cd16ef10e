"""Recorded conversations as test cases: steps, expectations and redactions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from testing.files import SENT, START, read

from ckfunc.base.secrets import Secret
from ckfunc.model.application import Invocation, InvocationDetail, Status
from ckfunc.model.chat import MessageType
from ckfunc.sandbox.acts import (
    Act,
    ChainedRun,
    RecordedConversation,
    RecordedStep,
    SaidMessage,
    SentNotification,
    UploadedFile,
    Verb,
)
from ckfunc.sandbox.scripts import Ran
from ckfunc.testing.conversations import PublicText, conversation_case
from ckfunc.testing.recording import CannotRecord, Recorded, new_file

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NO_DATA: dict[str, Any] = {"users": [], "channels": []}


def ran(trigger_type: str, result: dict[str, Any]) -> ChainedRun:
    status = Status.FAILED if "error" in result else Status.SUCCEEDED
    return ChainedRun(trigger_type, Ran(Invocation(1, 1, status, {}, result, NOON), InvocationDetail(1)))


def case(*steps: RecordedStep, data: dict[str, Any] | None = None, scripts: str = "", **environment: str) -> Recorded:
    people = (("jane@corp.com", "Jane Doe"), ("staff", "staff"))
    conversation = RecordedConversation(data or NO_DATA, steps, people, (), running=False)
    known = [(name, Secret(value)) for name, value in environment.items()]
    public = PublicText({"PUBLIC"}, scripts)
    return conversation_case(conversation, name="a talk", start=NOON, environment=known, public=public)


def test_steps_inherit_the_channel_and_expect_the_observed_consequences(tmp_path: Any) -> None:
    answer = SaidMessage(2, "desk", None, MessageType.SYSTEM_TEXT, "welcome")
    changed = SaidMessage(1, "desk", "zoe", MessageType.TEXT, "***", changed=True)
    made = case(
        RecordedStep(NOON, Act(Verb.CONNECTS, "zoe", data={}), runs=[ran(START, {"payload": None})]),
        RecordedStep(NOON, Act(Verb.OPENS, "zoe", "desk")),
        RecordedStep(
            NOON,
            Act(Verb.SAYS, "zoe", "desk", text="hello", data={"a": 1}),
            runs=[
                ran(SENT, {"payload": {"n": 1}}),
                ran(SENT, {"error": {"message": "boom"}}),
                ran(SENT, {"error": {}}),
            ],
            messages=[changed, answer],
            notifications=[SentNotification("ben", "zoe sent a message", "hello")],
        ),
        RecordedStep(NOON, Act(Verb.REACTS, "zoe", "other", "hello", "👍")),
        RecordedStep(NOON, Act(Verb.STARTS_TYPING, "zoe", "other")),
        RecordedStep(
            NOON,
            Act(Verb.UPLOADS, "zoe", "other", text="a.png", file=UploadedFile("image/png", bytes(9))),
            runs=[ran(SENT, {"payload": 1})],
            messages=[SaidMessage(3, "other", None, MessageType.SYSTEM_FILE, None, "b.png")],
        ),
        RecordedStep(NOON, Act(Verb.CONNECTS, "eve"), refusal="denied"),
        RecordedStep(NOON, Act(Verb.WAITS, text="5m", wait_s=300.0)),
        RecordedStep(NOON, Act(Verb.DISCONNECTS, "zoe")),
        scripts="zoe ben eve",
    )
    assert made.case["now"] == "2026-03-01T12:00:00.000Z"
    assert made.case["conversation"] == [
        {"user": "zoe", "connects": {}, "expect": {"messages": [], "functions": [{"type": START, "result": None}]}},
        {"user": "zoe", "opens": "desk"},
        {
            "user": "zoe",
            "says": "hello",
            "properties": {"a": 1},
            "expect": {
                "messages": [{"user": "zoe", "body": "***", "changed": True}, {"system": True, "body": "welcome"}],
                "functions": [
                    {"type": SENT, "result": {"n": 1}},
                    {"type": SENT, "error": "boom"},
                    {"type": SENT, "status": "FAILED"},
                ],
                "notifications": [{"user": "ben", "title": "zoe sent a message", "body": "hello"}],
            },
        },
        {"user": "zoe", "reacts": "👍", "channel": "other", "message": "hello"},
        {"user": "zoe", "starts_typing": "other"},
        {
            "user": "zoe",
            "uploads": "a.png",
            "content_type": "image/png",
            "size": 9,
            "expect": {
                "messages": [{"system": True, "file": "b.png"}],
                "functions": [{"type": SENT, "result": 1}],
            },
        },
        {"user": "eve", "connects": {}, "expect": {"error": "denied"}},
        {"waits": "5m"},
        {"user": "zoe", "disconnects": True},
    ]
    (found,) = read(tmp_path, new_file(made.case, "schema.json"))
    assert [step.act.verb for step in found.steps] == [
        *(Verb.CONNECTS, Verb.OPENS, Verb.SAYS, Verb.REACTS, Verb.STARTS_TYPING, Verb.UPLOADS),
        *(Verb.CONNECTS, Verb.WAITS, Verb.DISCONNECTS),
    ]


def test_names_and_addresses_are_replaced_unless_the_scripts_contain_them() -> None:
    made = case(
        RecordedStep(NOON, Act(Verb.CONNECTS, "jane@corp.com", data={"displayName": "Jane Doe", "code": "s3cr3t"})),
        RecordedStep(NOON, Act(Verb.CONNECTS, "staff")),
        RecordedStep(NOON, Act(Verb.SAYS, "staff", "desk", text="Jane Doe (jane@corp.com), ask bob@other.org")),
        data={"users": [{"name": "jane@corp.com", "properties": {"staff": False, "token": "abcdef"}}], "channels": []},
        scripts="not the staff code",
    )
    text = str(made.case)
    for secret in ("jane", "Jane", "corp", "bob", "other.org", "s3cr3t", "abcdef"):
        assert secret not in text
    assert made.case["data"]["users"][0]["properties"]["staff"] is False
    first, second, third = made.case["conversation"]
    assert (first["user"], second["user"]) == ("person-1@example.com", "staff")
    assert third["says"].startswith(f"{first['connects']['displayName']} (person-1@example.com), ask address-")
    assert {redaction.reason for redaction in made.redactions} >= {
        "a user's name",
        "a display name",
        "an e-mail address",
    }


def test_secret_variables_are_always_replaced_and_public_variables_only_if_sent() -> None:
    step = RecordedStep(
        NOON, Act(Verb.CONNECTS, "zoe", data={"code": "4711"}), runs=[ran(START, {"payload": "hush-hush"})]
    )
    made = case(step, SECRET="hush-hush", PUBLIC="4711", OPEN="desk")
    assert made.case["environment"] == {"PUBLIC": "0002", "SECRET": "redacted-1"}
    assert "hush" not in str(made.case) and "4711" not in str(made.case)
    unsent = case(RecordedStep(NOON, Act(Verb.CONNECTS, "zoe"), refusal="4711"), PUBLIC="4711")
    assert "environment" not in unsent.case


def test_an_empty_conversation_cannot_be_recorded() -> None:
    with pytest.raises(CannotRecord, match="nothing has happened"):
        case()
