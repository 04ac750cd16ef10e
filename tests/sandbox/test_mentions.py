"""Data in a sandbox: mentioned by events, and set by a case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckfunc.model.chat import ChannelType
from ckfunc.model.triggers import TRIGGERS
from ckfunc.sandbox.mentions import joined, mentioned, seed_of
from ckfunc.scaffold.templates import sample_event
from ckfunc.wire.jobs import read_seed

JANE = {"id": 7, "name": "jane", "displayName": "Jane", "presence": {"status": "AVAILABLE"}, "isGuest": False}


def test_the_user_channel_and_message_of_an_event_are_mentioned() -> None:
    event = {
        "user": JANE,
        "channel": {"id": 9, "type": "PUBLIC", "name": "desk", "creator": JANE, "_links": {"self": {"href": "x"}}},
        "message": {"id": 3, "type": "TEXT", "channelId": 9, "nestedLevel": 0, "user": JANE, "body": "hi"},
    }
    user = {"id": 7, "name": "jane", "displayName": "Jane", "isGuest": False}
    message = {"id": 3, "body": "hi", "user": "jane"}
    channel = {"id": 9, "type": "PUBLIC", "name": "desk", "creator": "jane", "members": ["jane"], "messages": [message]}
    assert mentioned(event) == {"users": [user], "channels": [channel]}


@pytest.mark.parametrize(
    ("event", "seed"),
    [
        ({}, {"users": [], "channels": []}),
        ({"username": "jane", "authParams": {"user": {"id": 1, "name": "x"}}}, {"users": [], "channels": []}),
        ({"user": {"id": 5}}, {"users": [{"id": 5, "name": "user-5"}], "channels": []}),
        (
            {"channel": {"id": 2}, "message": {"body": "hi"}},
            {
                "users": [],
                "channels": [
                    {"id": 2, "type": "PUBLIC", "name": "channel-2", "members": [], "messages": [{"body": "hi"}]}
                ],
            },
        ),
        (
            {
                "user": {"name": "a"},
                "invitingUser": {"name": "b"},
                "channel": {"id": 1, "type": "PRIVATE", "name": "c"},
            },
            {
                "users": [{"name": "a"}, {"name": "b"}],
                "channels": [{"id": 1, "type": "PRIVATE", "name": "c", "members": []}],
            },
        ),
        (
            {"channel": {"id": 1, "type": "DIRECT", "members": [{"id": 1, "name": "a", "presence": {}}]}},
            {
                "users": [{"id": 1, "name": "a"}],
                "channels": [{"id": 1, "type": "DIRECT", "members": ["a"]}],
            },
        ),
        ({"user": "jane", "channel": 7, "message": None}, {"users": [], "channels": []}),
    ],
)
def test_events_with_missing_or_incomplete_fields_are_accepted(event: dict[str, Any], seed: dict[str, Any]) -> None:
    assert mentioned(event) == seed
    read_seed(seed)


@pytest.mark.parametrize("trigger_type", [trigger.type for trigger in TRIGGERS])
def test_the_data_that_a_sample_event_mentions_is_a_valid_seed(trigger_type: str) -> None:
    seed = read_seed(joined(mentioned(sample_event(trigger_type))))
    event = json.dumps(sample_event(trigger_type))
    assert ('"channelId":' in event or '"topic":' in event) <= bool(seed.channels)


def test_data_of_the_case_overrides_data_of_the_file_and_of_the_event() -> None:
    case = {"users": [{"name": "jane", "displayName": "J"}], "channels": [{"name": "desk", "members": []}]}
    file = {"users": [{"name": "jane", "displayName": "other"}, {"name": "ben", "id": 7}]}
    event = mentioned({"user": JANE, "channel": {"id": 9, "name": "desk", "type": "PUBLIC"}})
    assert joined(case, file, event) == {
        "users": [{"name": "jane", "displayName": "J"}, {"name": "ben", "id": 7}],
        "channels": [{"name": "desk", "members": [], "id": 9, "type": "PUBLIC"}],
    }
    assert joined(case, event)["users"] == [{"name": "jane", "displayName": "J", "id": 7}]


def user(user_id: int, name: str, **more: Any) -> dict[str, Any]:
    presence = {"status": "AVAILABLE", "online": True}
    base = {"id": user_id, "type": "PERSON", "name": name, "displayName": name.title(), "presence": presence}
    return {**base, "isGuest": False, "properties": {}, **more}


def channel(channel_id: int, **more: Any) -> dict[str, Any]:
    base = {"id": channel_id, "type": "PUBLIC", "name": f"c{channel_id}", "displayName": f"C {channel_id}"}
    return {**base, "createdTime": "2024-05-01T10:00:00Z", "properties": {}, **more}


def message(message_id: int, channel_id: int, by: dict[str, Any]) -> dict[str, Any]:
    base = {"id": message_id, "type": "TEXT", "channelId": channel_id, "body": f"m{message_id}", "user": by}
    return {**base, "nestedLevel": 0, "properties": {}, "createdTime": "2024-05-01T10:00:00Z"}


def test_resources_in_events_are_seeded_with_their_recorded_ids() -> None:
    jane, john = user(702, "jane"), user(703, "john")
    events = [
        {"user": jane, "channel": channel(55), "message": message(9001, 55, jane)},
        {"user": john, "channel": channel(77, type="DIRECT", name=None, members=[jane, john])},
        {"user": {**jane, "displayName": "Jane the 2nd"}, "message": message(9002, 66, john)},
    ]
    seed = seed_of(events)
    users = sorted((user.id, user.name, user.display_name) for user in seed.users)
    assert users == [(702, "jane", "Jane the 2nd"), (703, "john", "John")]
    by_id = {channel.id: channel for channel in seed.channels}
    assert set(by_id) == {55, 66, 77}
    assert [message.id for message in by_id[55].messages] == [9001]
    assert [member.username for member in by_id[77].channel.members] == ["jane", "john"]
    assert by_id[77].channel.type is ChannelType.DIRECT
    assert by_id[66].channel.name == "channel-66"
    assert [message.id for message in by_id[66].messages] == [9002]


def test_resources_in_manual_events_are_seeded() -> None:
    events = [
        {"user": user(702, "jane"), "channel": channel(55, name="desk")},
        {"user": {"id": 702}, "channel": {"id": 55}},
        {"user": {"id": 8, "name": "eve"}, "channel": {"id": 9, "type": "PRIVATE"}, "message": {"body": "hi"}},
        {"user": {"name": "nobody"}, "channel": {"id": "x"}, "message": "hi"},
    ]
    seed = seed_of(events)
    assert {user.id: user.name for user in seed.users} == {702: "jane", 8: "eve", None: "nobody"}
    assert {channel.id: channel.channel.name for channel in seed.channels} == {55: "desk", 9: "channel-9"}
    members = {channel.id: [who.username for who in channel.channel.members] for channel in seed.channels}
    assert members == {55: ["jane"], 9: ["eve"]}


def test_reused_names_and_malformed_events_do_not_break_the_seed() -> None:
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    events = [
        {"user": user(1, "jane")},
        {"user": user(2, "jane"), "channel": channel(5, creator=user(1, "jane")), "event": deep},
        {"user": {"id": "x"}, "channel": None, "username": "y", "authParams": {"user": user(9, "eve")}},
        {"user": user(0, "zero"), "channel": channel(6, type="DIRECT", name=None)},
    ]
    seed = seed_of(events)
    assert len({user.name for user in seed.users}) == len(seed.users)
    assert {user.name for user in seed.users} == {"jane"}
    assert [channel.id for channel in seed.channels] == [5]
