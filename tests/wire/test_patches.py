"""JSON merge patches."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from ckfunc.model.chat import Channel, ChannelType, Message, MessageType, User
from ckfunc.wire.channels import patched_channel
from ckfunc.wire.messages import patched_message
from ckfunc.wire.reading import Malformed, merge
from ckfunc.wire.users import patched_user

NOW = datetime(2022, 1, 31, tzinfo=UTC)
USER = User(1, "ann", "Ann", properties={"a": 1})


# Source: RFC 7396, appendix A.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patches_follow_the_rfc(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result


@pytest.mark.parametrize("patch", [None, {}, {"unknown": 1}])
def test_an_empty_patch_changes_nothing(patch: Any) -> None:
    channel = Channel(1, ChannelType.PUBLIC, NOW, "p", "P")
    message = Message(1, MessageType.SYSTEM_TEXT, 1, NOW, body="x")
    assert patched_user(USER, patch) == USER
    assert patched_channel(channel, patch) == channel
    assert patched_message(message, patch, NOW) == message


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ([], "user is an array"),
        ({"display_name": None}, "field 'displayName' is null, but it cannot be removed"),
        ({"guest": None}, "field 'guest' is null"),
        ({"presence": {"status": None}}, "field 'status' is null"),
        ({"presence": "AWAY"}, "presence is a string, not an object"),
        ({"properties": 1}, "field 'properties' is an integer, not an object"),
        ({"isGuest": "no"}, "field 'isGuest' is a string"),
    ],
)
def test_a_patch_that_cannot_be_applied_is_refused(patch: Any, words: str) -> None:
    with pytest.raises(Malformed) as refused:
        patched_user(USER, patch)
    assert words in str(refused.value)


def test_an_empty_presence_changes_nothing() -> None:
    assert patched_user(USER, {"presence": {}}) == USER
