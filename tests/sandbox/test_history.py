"""The history of an emulator, read as acts from its database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.acting import Acting
from support.emulators import cold_emulator

from ckfunc.base.clock import SystemClock
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import functions, invocations, messages
from ckfunc.model.application import ApiCall, NewFunction
from ckfunc.model.chat import NewMessage
from ckfunc.model.execution import Outcome
from ckfunc.sandbox.acts import Act, UploadedFile, Verb
from ckfunc.sandbox.history import MOST_ROWS, TooMuchData, conversation_since, data_of
from ckfunc.wire.jobs import read_seed

SENT, START = "user.sent.message", "user.attempted.start_session"
SEED = read_seed(
    {
        "users": [{"name": "jane", "displayName": "Jane", "properties": {"a": 1}}, {"name": "ben", "id": 7}],
        "channels": [{"name": "desk", "members": ["jane", "ben"], "messages": [{"user": "ben", "body": "old"}]}],
    }
)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with cold_emulator(tmp_path, seed=SEED) as running:
        yield running


def later() -> datetime:
    """Return a time later than all previous writes and earlier than all following ones."""
    time.sleep(0.002)
    now = datetime.now(UTC)
    time.sleep(0.002)
    return now


def test_the_data_of_an_emulator_is_read_as_a_seed(emulator: Emulator, tmp_path: Path) -> None:
    assert data_of(tmp_path) == {
        "users": [
            {"name": "jane", "id": 1, "display_name": "Jane", "properties": {"a": 1}},
            {"name": "ben", "id": 7, "display_name": "ben"},
        ],
        "channels": [
            {
                "type": "PUBLIC",
                "id": 1,
                "name": "desk",
                "display_name": "desk",
                "members": ["jane", "ben"],
                "messages": [{"id": 1, "user": "ben", "body": "old"}],
            }
        ],
    }


def test_too_much_data_is_refused(emulator: Emulator, tmp_path: Path) -> None:
    async def add(services: EmulatorServices) -> None:
        with services.database.transaction():
            for number in range(MOST_ROWS):
                services.database.execute(
                    "INSERT INTO users (type, name, display_name, is_guest, presence_status, properties, created_time)"
                    " VALUES ('PERSON', ?, 'x', 0, 'AVAILABLE', '{}', '2026-01-01T00:00:00.000Z')",
                    (f"user-{number}",),
                )

    emulator.within(add)
    with pytest.raises(TooMuchData, match="more than 500"):
        data_of(tmp_path)


def test_acts_since_a_given_time_are_read_in_order(emulator: Emulator, tmp_path: Path) -> None:
    users = Acting(emulator)
    for act in (Act(Verb.CONNECTS, "ben"), Act(Verb.OPENS, "ben", "desk"), Act(Verb.SAYS, "ben", "desk", text="early")):
        users.act(act)
    data, since = data_of(tmp_path), later()
    acts = [
        Act(Verb.CONNECTS, "jane"),
        Act(Verb.OPENS, "jane", "desk"),
        Act(Verb.SAYS, "jane", "desk", text="hello", data={"b": 2}),
        Act(Verb.REPLIES, "ben", "desk", "old", "a reply"),
        Act(Verb.REACTS, "jane", "desk", "hello", "👍"),
        Act(Verb.STARTS_TYPING, "jane", "desk"),
        Act(Verb.STOPS_TYPING, "jane", "desk"),
        Act(Verb.STARTS_TYPING, "jane", "desk"),
        Act(Verb.UPLOADS, "jane", "desk", text="a.png", file=UploadedFile("image/png", bytes(9)), data={"c": 3}),
        Act(Verb.REACTS, "jane", "desk", "a.png", "👍"),
        Act(Verb.SENDS, None, "desk", text="from the system"),
        Act(Verb.READS, "ben", "desk"),
        Act(Verb.READS, "jane", "desk", "a reply"),
        Act(Verb.CLOSES, "jane", "desk"),
        Act(Verb.DISCONNECTS, "jane"),
    ]
    for act in acts:
        assert users.act(act).refusal is None
        time.sleep(0.002)
    conversation = conversation_since(tmp_path, data, since)
    assert [step.act for step in conversation.steps] == [
        Act(Verb.CONNECTS, "ben"),
        Act(Verb.OPENS, "ben", "desk"),
        *acts,
    ]
    assert conversation.people == (("jane", "Jane"), ("ben", "ben"))
    assert not conversation.running
    system = conversation.steps[12]
    assert [(notification.user, notification.title) for notification in system.notifications] == []
    assert conversation_since(tmp_path, data, later()).steps[0].act == Act(Verb.CONNECTS, "ben")


def test_acts_of_the_millisecond_in_which_a_recording_begins_are_read_in_order(
    emulator: Emulator, tmp_path: Path
) -> None:
    data, since = data_of(tmp_path), SystemClock().now()

    async def stop_clock(services: EmulatorServices) -> None:
        function = functions.create(services.database, NewFunction(START, START))
        functions.add_version(services.database, function.id, "function handleEvent() {}")
        services.database.now = lambda: since

    emulator.within(stop_clock)
    users = Acting(emulator)
    acts = (Act(Verb.CONNECTS, "jane"), Act(Verb.OPENS, "jane", "desk"), Act(Verb.SAYS, "jane", "desk", text="hello"))
    for act in acts:
        users.act(act)
    connected, *others = conversation_since(tmp_path, data, since).steps
    assert (connected.act, [run.type for run in connected.runs]) == (acts[0], [START])
    assert [step.act.verb for step in others] == [Verb.OPENS, Verb.SAYS]


def test_joins_connections_of_new_users_and_pauses_are_read_as_acts(emulator: Emulator, tmp_path: Path) -> None:
    data, since = data_of(tmp_path), later()
    users = Acting(emulator)
    users.act(Act(Verb.CONNECTS, "zoe"))
    users.act(Act(Verb.JOINS, "zoe", "desk"))

    async def send(services: EmulatorServices) -> None:
        ten_minutes_later = datetime.now(UTC) + timedelta(minutes=10)
        services.database.now = lambda: ten_minutes_later

    emulator.within(send)
    users.act(Act(Verb.SAYS, "zoe", "desk", text="still here"))
    conversation = conversation_since(tmp_path, data, since)
    assert [step.act for step in conversation.steps] == [
        Act(Verb.CONNECTS, "zoe"),
        Act(Verb.JOINS, "zoe", "desk"),
        Act(Verb.WAITS, text="10m", wait_s=600.0),
        Act(Verb.SAYS, "zoe", "desk", text="still here"),
    ]
    assert [notification.user for notification in conversation.steps[-1].notifications] == ["jane", "ben"]


@pytest.mark.parametrize("kind", ["user.triggered.event", "user.received.channel_invite"])
def test_an_event_without_a_user_is_not_a_step(emulator: Emulator, tmp_path: Path, kind: str) -> None:
    data, since = data_of(tmp_path), later()
    users = Acting(emulator)
    users.act(Act(Verb.CONNECTS, "jane"))
    users.act(Act(Verb.SAYS, "jane", "desk", text="hello"))

    async def trigger(services: EmulatorServices) -> None:
        database = services.database
        function = functions.create(database, NewFunction(kind, kind))
        functions.add_version(database, function.id, "")
        for user in (None, 7, [], {"name": [1]}, {"name": None}, {}):
            event = {"channel": {"id": 1}, "user": user, "invitingUser": user, "event": {"type": 7, "properties": []}}
            run = invocations.begin(database, function.id, 1, event)
            invocations.end(database, run.id, Outcome("7", None), ())

    emulator.within(trigger)
    assert [step.act.verb for step in conversation_since(tmp_path, data, since).steps] == [Verb.CONNECTS, Verb.SAYS]


def test_messages_of_a_function_are_consequences_of_the_act_that_triggered_it(
    emulator: Emulator, tmp_path: Path
) -> None:
    data, since = data_of(tmp_path), later()
    users = Acting(emulator)
    users.act(Act(Verb.CONNECTS, "jane"))
    users.act(Act(Verb.SAYS, "jane", "desk", text="hello"))

    async def answer(services: EmulatorServices) -> None:
        database = services.database
        function = functions.create(database, NewFunction(SENT, SENT))
        functions.add_version(database, function.id, "")
        call = ApiCall("POST", "/channels/1/messages", {"type": "TEXT", "body": "welcome"}, 200)
        by_hand = {"message": {"id": 999, "body": "never stored"}}
        incomplete = [({"message": message}, ()) for message in ({}, {"body": "no id"}, {"id": [2], "body": [7]}, 7)]
        stored: list[tuple[dict[str, Any], tuple[ApiCall, ...]]] = [
            ({"message": {"id": 2, "body": "hello"}}, (call,)),
            (by_hand, ()),
            *incomplete,
        ]
        for event, calls in stored:
            run = invocations.begin(database, function.id, 1, event)
            invocations.end(database, run.id, Outcome("7", None), calls)
        for body in ("welcome", "welcome"):
            messages.create(database, 1, NewMessage(body=body), None)

    emulator.within(answer)
    _, said, sent = conversation_since(tmp_path, data, since).steps
    assert (said.act.text, [run.ran.invocation.result for run in said.runs]) == ("hello", [{"payload": 7}])
    assert [(message.user, message.body, message.changed) for message in said.messages] == [(None, "welcome", False)]
    # One call accounts for one message; the other message was sent by someone else.
    assert (sent.act.verb, sent.act.text, sent.runs) == (Verb.SENDS, "welcome", [])
