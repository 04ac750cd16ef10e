"""Data in a sandbox: mentioned by the event, and set by the case."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ckfunc.model.triggers import TRIGGERS
from ckfunc.sandbox.mentions import joined, mentioned
from ckfunc.scaffold.templates import sample_event
from ckfunc.wire.seeds import read_seed

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


@pytest.mark.parametrize("trigger_type", [one.type for one in TRIGGERS])
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
