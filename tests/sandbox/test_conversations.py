"""Conversations of users in a sandbox, in which all functions run."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from ckfunc.base.errors import CkfuncError
from ckfunc.cli.app import App
from ckfunc.model.application import Status
from ckfunc.model.execution import Determinism
from ckfunc.model.job import Seed
from ckfunc.model.project import Script
from ckfunc.sandbox.acts import Act, Consequences, UploadedFile, Verb
from ckfunc.sandbox.sandbox import Sandbox
from ckfunc.sandbox.scripts import Conditions, Scripts, Toolchain
from ckfunc.wire.jobs import read_seed

START = "user.attempted.start_session"
SENT = "user.sent.message"
NOTIFIED = "user.received.notification"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

ANSWER = """
let runs = 0;
async function handleEvent(event: any, context: any) {
  runs += 1;
  const { channel, message } = event;
  if (message.file) return message.file;
  if (message.body === 'boom') throw new Error('boom');
  if (message.body === 'moderate me') {
    await context.ChatKitty.Messages.updateMessage(message.id, { body: '***' });
    return { runs };
  }
  if (message.body.startsWith('forward')) {
    await context.ChatKitty.Channels.sendChannelMessage(channel.id, {
      type: 'TEXT', body: message.body.slice(8), user: { username: 'bot' },
    });
  }
  return { runs, now: Date.now(), sent: message.createdTime, random: Math.random() };
}
"""
NOTE = "async function handleEvent(event: any) { return `${event.user.name} ${event.userHasActiveSession}`; }"
ADMIT = """
async function handleEvent(event: any) {
  if (event.authParams.code === '1') throw new Error('wrong code');
  return Date.now();
}
"""


@pytest.fixture
def tools() -> Iterator[Toolchain]:
    with App({}) as app:
        yield app.toolchain()


@pytest.fixture
def box(tools: Toolchain) -> Iterator[Sandbox]:
    handlers = {
        SENT: Script("handlers/sent.ts", ANSWER),
        NOTIFIED: Script("handlers/notified.ts", NOTE),
        START: Script("handlers/start.ts", ADMIT),
    }
    conditions = Conditions(determinism=Determinism(1_700_000_000_000, 1), network=False, renewable=True)
    with Sandbox(tools, Scripts(handlers), conditions, seed=DESK) as sandbox:
        yield sandbox


DESK: Seed = read_seed(
    {
        "users": [{"name": name} for name in ("jane", "ben", "bot")],
        "channels": [{"name": "desk", "members": ["jane", "ben", "bot"], "messages": [{"user": "ben", "body": "old"}]}],
    }
)


def connect(name: str, **params: Any) -> Act:
    return Act(Verb.CONNECTS, name, data=params)


def say(text: str, name: str = "jane") -> Act:
    return Act(Verb.SAYS, name, "desk", text=text)


def converse(box: Sandbox, *acts: Act) -> list[Consequences]:
    with box.conversation(NOON) as perform:
        return [perform(act) for act in acts]


def ran(caused: Consequences) -> list[tuple[str, Any]]:
    return [(run.type, run.ran.invocation.result.get("payload")) for run in caused.runs]


def test_functions_run_in_order_for_events_of_clients_and_of_other_functions(box: Sandbox) -> None:
    *_, said = converse(box, connect("jane"), connect("bot"), Act(Verb.OPENS, "jane", "desk"), say("forward hello"))
    types = [run.type for run in said.runs]
    # The message and its notifications, then the function's message from the bot and its notifications.
    assert types == [SENT, NOTIFIED, NOTIFIED, SENT, NOTIFIED]
    assert [result for kind, result in ran(said) if kind == NOTIFIED] == ["ben false", "bot true", "ben false"]
    assert [(message.user, message.body) for message in said.messages] == [("bot", "hello")]
    assert [(notification.user, notification.title) for notification in said.notifications] == [
        ("ben", "jane sent a message"),
        ("bot", "jane sent a message"),
        ("ben", "bot sent a message"),
    ]
    assert said.online == {"jane": True, "ben": False, "bot": True}


def test_times_and_random_numbers_of_a_conversation_are_deterministic(box: Sandbox) -> None:
    acts = (connect("jane"), say("a"), Act(Verb.WAITS, wait_s=3600.0, text="1h"), say("b"))
    first = converse(box, *acts)
    box.reset_hosts()
    box.restore_data()
    again = converse(box, *acts)
    assert [ran(result) for result in first] == [ran(result) for result in again]
    (_, a), *_ = ran(first[1])
    (_, b), *_ = ran(first[3])
    noon_ms = round(NOON.timestamp() * 1000)
    assert ran(first[0]) == [(START, noon_ms)]
    assert (a["now"], a["sent"]) == (noon_ms + 1000, "2026-03-01T12:00:01.000Z")
    assert (b["now"], b["sent"]) == (noon_ms + 3_602_000, "2026-03-01T13:00:02.000Z")
    assert a["random"] != b["random"]
    assert (a["runs"], b["runs"]) == (1, 2)
    assert [result.time.isoformat() for result in first][-1] == "2026-03-01T13:00:02+00:00"


def test_messages_that_a_function_edits_are_consequences_of_the_act(box: Sandbox) -> None:
    _, said, edited, deleted = converse(
        box,
        connect("jane"),
        say("moderate me"),
        Act(Verb.EDITS, "jane", "desk", text="better"),
        Act(Verb.DELETES, "jane", "desk"),
    )
    (message,) = said.messages
    assert (message.user, message.body, message.changed) == ("jane", "***", True)
    assert edited.messages == deleted.messages == ()


def test_a_refused_act_has_a_reason(box: Sandbox) -> None:
    denied, unknown, absent, missing, nothing, failing = converse(
        box,
        connect("eve", code="1"),
        say("hello", "jnae"),
        Act(Verb.OPENS, "jane", "desk"),
        connect("jane"),
        Act(Verb.OPENS, "jane", "dsk"),
        say("boom"),
    )
    assert denied.refusal == "wrong code"
    assert [run.ran.invocation.status for run in denied.runs] == [Status.FAILED]
    assert unknown.refusal == "'jnae' is not connected"
    assert absent.refusal == "'jane' is not connected"
    assert missing.refusal is None
    assert nothing.refusal == "there is no channel 'dsk' (did you mean desk?)"
    assert failing.refusal is None
    assert failing.runs[0].ran.invocation.result["error"]["message"] == "boom"


def test_acts_apply_to_the_newest_message_or_the_message_with_the_given_text(box: Sandbox) -> None:
    results = converse(
        box,
        connect("jane"),
        say("first"),
        say("second"),
        Act(Verb.REPLIES, "jane", "desk", about="first", text="to the first"),
        Act(Verb.REACTS, "jane", "desk", text="thumbsup", about="sec"),
        Act(Verb.READS, "jane", "desk", about="old"),
        Act(Verb.READS, "jane", "desk"),
        Act(Verb.REPLIES, "jane", "desk", about="third", text="to nothing"),
        Act(Verb.EDITS, "jane", "desk", about="old", text="not mine"),
        Act(Verb.LEAVES, "jane", "desk"),
        say("from outside"),
        Act(Verb.JOINS, "jane", "1"),
        Act(Verb.INVITES, "jane", "desk", text="ben"),
        Act(Verb.CLOSES, "jane", "desk"),
    )
    refusals = [result.refusal for result in results]
    assert refusals[:7] == [None] * 7
    assert refusals[7] == "there is no message with 'third' in channel 'desk'"
    assert refusals[8] is not None and "was not sent by 'jane'" in refusals[8]
    assert refusals[9] is None
    assert refusals[10] is not None and "is not a member" in refusals[10]
    assert refusals[11:] == [None, None, "'jane' has not opened channel 'desk'"]


def test_a_direct_channel_is_referred_to_by_its_members_or_its_id(box: Sandbox) -> None:
    direct = {"type": "DIRECT", "id": 40, "members": ["jane", "ben"]}
    box.set_seed(read_seed({"users": [{"name": "jane"}, {"name": "ben"}], "channels": [direct]}))
    names = ("jane, ben", "40", "ben, jane")
    _, *said = converse(box, connect("jane"), *(Act(Verb.SAYS, "jane", name, text="hi") for name in names))
    assert [result.refusal for result in said] == [None, None, "there is no channel 'ben, jane'"]


def test_the_system_sends_messages_and_events_and_users_disconnect(box: Sandbox) -> None:
    *_, sent, triggered, left, closed = converse(
        box,
        connect("jane"),
        Act(Verb.OPENS, "jane", "desk"),
        Act(Verb.SENDS, None, "desk", text="we close"),
        Act(Verb.TRIGGERS, None, "desk", text="closed"),
        Act(Verb.CLOSES, "jane", "desk"),
        Act(Verb.DISCONNECTS, "jane"),
    )
    assert [(notification.user, notification.title) for notification in sent.notifications] == [
        ("ben", "System message sent"),
        ("bot", "System message sent"),
    ]
    assert (sent.messages, triggered.refusal, left.refusal) == ((), None, None)
    assert closed.online["jane"] is False


def test_files_sent_by_users_get_the_same_urls_in_every_run(box: Sandbox) -> None:
    file = UploadedFile("text/plain", "räksmörgås".encode())
    acts = (
        connect("jane"),
        Act(Verb.UPLOADS, "jane", "desk", text="notes/a.txt", file=file),
        Act(Verb.REACTS, "jane", "desk", "a.txt", "thumbsup"),
        Act(Verb.UPLOADS, "ben", "desk", text="b.txt", file=file),
    )
    _, sent, reacted, refused = converse(box, *acts)
    ((_, given), *_) = ran(sent)
    assert (given["name"], given["contentType"], given["size"]) == ("a.txt", "text/plain", 13)
    assert [notification.body for notification in sent.notifications] == ["File attachment", "File attachment"]
    assert (reacted.refusal, refused.refusal) == (None, "'ben' is not connected")
    box.restore_data()
    _, again, *_ = converse(box, *acts)
    assert [path.rpartition("/")[2] for path in (given["url"], ran(again)[0][1]["url"])] == ["upload-1", "upload-1"]


def test_a_user_is_typing_until_the_user_stops_sends_a_message_or_pauses(box: Sandbox) -> None:
    types, stops = Act(Verb.STARTS_TYPING, "jane", "desk"), Act(Verb.STOPS_TYPING, "jane", "desk")
    found = converse(box, connect("jane"), types, stops, types, say("hi"), types, say("hi", "ben"), types)
    assert [result.typing for result in found] == [(), ("jane",), (), ("jane",), (), ("jane",), ("jane",), ("jane",)]
    assert all(result.runs == () for result in found if result.typing)
    box.restore_data()
    waits = Act(Verb.WAITS, wait_s=3.0)
    *_, typing, second, third = converse(box, connect("jane"), types, waits, waits)
    assert (typing.typing, second.typing, third.typing) == (("jane",), ("jane",), ("jane",))
    box.restore_data()
    *_, paused = converse(box, connect("jane"), types, waits, Act(Verb.WAITS, wait_s=1.0), waits)
    assert paused.typing == ()


def test_a_run_after_a_conversation_triggers_no_other_functions(box: Sandbox) -> None:
    converse(box, connect("jane"), say("a"))
    box.restore_data()
    event = {"message": {"id": 1, "body": "forward hello"}, "channel": {"id": 1}, "user": {"name": "jane"}}
    once = box.run(SENT, event, determinism=Determinism(0, 1))
    assert once.invocation.status is Status.SUCCEEDED, once.invocation.result
    assert once.detail.calls[0].status == 200
    with box.conversation(NOON) as perform:
        assert perform(Act(Verb.WAITS, wait_s=1.0)).runs == ()


def test_the_clock_of_a_conversation_cannot_pass_the_year_9999(box: Sandbox) -> None:
    with (
        box.conversation(datetime(9999, 12, 31, 23, tzinfo=UTC)) as perform,
        pytest.raises(CkfuncError, match="beyond the year 9999"),
    ):
        perform(Act(Verb.WAITS, wait_s=7200.0))
