"""Threads and replies."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.calls import answered, ended, explanation, function, items, send

from ckfunc.emulator.store import channels
from ckfunc.emulator.store.database import Database


def bodies(client: httpx.Client, path: str, **params: Any) -> list[str]:
    return [item["body"] for item in items(client, path, **params)]


def base(client: httpx.Client) -> str:
    return f"{str(client.base_url).rstrip('/')}/v1/applications/1"


def test_the_thread_of_a_message_has_its_id(client: httpx.Client, room: dict[str, int]) -> None:
    message = send(client)
    assert answered(client.get(f"/v1/threads/{message['id']}")) == {
        "id": message["id"],
        "type": "MESSAGE",
        "properties": {},
        "createdTime": message["createdTime"],
        "_links": {
            "self": {"href": f"{base(client)}/threads/{message['id']}"},
            "channel": {"href": f"{base(client)}/channels/1"},
            "application": {"href": base(client)},
        },
    }


def test_replies_are_nested_one_level_deeper_than_their_parent(client: httpx.Client, room: dict[str, int]) -> None:
    first = send(client, "first")
    reply = send(client, "reply", to=f"threads/{first['id']}", user={"username": "bob"}, properties={"a_b": 1})
    deeper = send(client, "deeper", to=f"threads/{reply['id']}")
    assert [message["nestedLevel"] for message in (first, reply, deeper)] == [0, 1, 2]
    assert (reply["type"], reply["channelId"], reply["properties"]) == ("TEXT", 1, {"a_b": 1})
    assert client.get(f"/v1/messages/{reply['id']}").json() == {**reply, "repliesCount": 1}
    assert "repliesCount" not in deeper


def test_a_message_has_the_number_of_its_replies(client: httpx.Client, room: dict[str, int]) -> None:
    first = send(client)
    for text in "abc":
        send(client, text, to=f"threads/{first['id']}")
    assert client.get(f"/v1/messages/{first['id']}").json()["repliesCount"] == 3


def test_a_thread_lists_its_own_replies_newest_first(client: httpx.Client, room: dict[str, int]) -> None:
    first, other = send(client, "first"), send(client, "other")
    send(client, "elsewhere", to=f"threads/{other['id']}")
    for text in ("a", "b", "c"):
        send(client, text, to=f"threads/{first['id']}", user={"username": "ann" if text == "a" else "bob"})
    path = f"threads/{first['id']}/messages"
    assert bodies(client, path) == ["c", "b", "a"]
    # Only the lists of all messages and of a channel's messages have filters.
    assert bodies(client, path, username="ann", query="B") == ["c", "b", "a"]
    page = answered(client.get(f"/v1/{path}", params={"size": 2}))
    assert page["_links"]["next"]["href"].startswith(f"{base(client)}/{path}?")
    send(client, "later", to=f"threads/{first['id']}")
    assert [
        message["body"] for message in answered(client.get(page["_links"]["next"]["href"]))["_embedded"]["messages"]
    ] == ["a"]


def test_the_messages_of_a_channel_include_replies(client: httpx.Client, room: dict[str, int]) -> None:
    first = send(client, "first")
    send(client, "reply", to=f"threads/{first['id']}")
    assert bodies(client, "channels/1/messages") == ["reply", "first"]


def test_a_reply_can_be_a_file_and_in_snake_case(client: httpx.Client, room: dict[str, int]) -> None:
    send(client)
    file = {"url": "https://example.com/a", "name": "a", "content_type": "text/plain", "size": 1}
    made = client.post("/threads/1/messages", json={"type": "FILE", "file": file, "user": {"id": room["bob"]}})
    assert (answered(made)["nested_level"], made.json()["file"]["content_type"]) == (1, "text/plain")
    assert answered(client.get("/threads/1"))["created_time"] == client.get("/v1/messages/1").json()["createdTime"]


def test_deleting_a_message_returns_its_thread(client: httpx.Client, room: dict[str, int]) -> None:
    first, other = send(client, "first"), send(client, "other")
    reply = send(client, "reply", to=f"threads/{first['id']}")
    assert answered(client.delete(f"/v1/messages/{reply['id']}")) == client.get(f"/v1/threads/{first['id']}").json()
    main = answered(client.delete(f"/v1/messages/{other['id']}"))
    assert (main["type"], main["createdTime"]) == ("MAIN", client.get("/v1/channels/1").json()["createdTime"])
    assert client.get(f"/v1/threads/{main['id']}").json() == main
    assert answered(client.delete(f"/v1/messages/{first['id']}")) == main
    assert explanation(client.get(f"/v1/threads/{first['id']}"), 404) == f"there is no thread {first['id']}"


def test_the_main_thread_of_a_channel_has_the_messages_that_are_not_replies(
    client: httpx.Client, room: dict[str, int]
) -> None:
    main = answered(client.delete(f"/v1/messages/{send(client)['id']}"))
    first = send(client, "first")
    send(client, "reply", to=f"threads/{first['id']}")
    second = send(client, "second", to=f"threads/{main['id']}")
    assert second["nestedLevel"] == 0
    assert bodies(client, f"threads/{main['id']}/messages") == ["second", "first"]


def test_ids_of_messages_and_threads_are_distinct(client: httpx.Client, room: dict[str, int]) -> None:
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "q"})
    seen = []
    for channel in (1, 2, 1):
        message = send(client, to=f"channels/{channel}")
        seen += [message["id"], answered(client.delete(f"/v1/messages/{message['id']}"))["id"]]
    first, main, second, other, third, again = seen
    assert len({first, main, second, other, third}) == 5
    assert again == main


def test_a_standalone_thread_has_its_own_messages(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    made = channels.create_thread(database, 1, "Plans", {"a": 1})
    shown = answered(client.get(f"/v1/threads/{made.id}"))
    assert (shown["type"], shown["name"], shown["properties"]) == ("STANDALONE", "Plans", {"a": 1})
    message = send(client, "plan", to=f"threads/{made.id}", user={"username": "ann"})
    send(client, "reply", to=f"threads/{message['id']}")
    assert message["nestedLevel"] == 0
    assert bodies(client, f"threads/{made.id}/messages") == ["plan"]
    assert answered(client.delete(f"/v1/messages/{message['id']}")) == shown
    assert bodies(client, "channels/1/messages") == []


def test_replies_are_deleted_with_their_parent(client: httpx.Client, room: dict[str, int]) -> None:
    first = send(client, "first")
    reply = send(client, "reply", to=f"threads/{first['id']}")
    send(client, "deeper", to=f"threads/{reply['id']}")
    answered(client.delete(f"/v1/messages/{first['id']}"))
    assert bodies(client, "messages") == []


def test_replies_are_nested_at_most_a_hundred_levels_deep(client: httpx.Client, room: dict[str, int]) -> None:
    last = send(client)["id"]
    for _ in range(100):
        last = send(client, to=f"threads/{last}")["id"]
    answer = client.post(f"/v1/threads/{last}/messages", json={"type": "TEXT", "body": "x"})
    assert "is 100 replies deep" in explanation(answer)
    answered(client.delete("/v1/channels/1"))
    assert bodies(client, "messages") == []


def test_requests_to_an_unknown_thread_are_a_404(client: httpx.Client, room: dict[str, int]) -> None:
    for method, path in (
        ("GET", ""),
        ("GET", "/messages"),
        ("POST", "/messages"),
        ("POST", "/keystrokes"),
    ):
        answer = client.request(method, f"/v1/threads/7{path}", json={"type": "TEXT", "body": "x"})
        assert explanation(answer, 404) == "there is no thread 7"


@pytest.mark.parametrize("path", ["channels/1", "threads/1"])
def test_keystrokes_are_returned_with_their_user(client: httpx.Client, room: dict[str, int], path: str) -> None:
    send(client)
    answer = client.post(f"/v1/{path}/keystrokes", json={"keys": "Hel", "user": {"id": room["ann"]}})
    assert answered(answer) == {
        "keys": "Hel",
        "username": "ann",
        "_links": {
            "user": {"href": f"{base(client)}/users/{room['ann']}"},
            "channel": {"href": f"{base(client)}/channels/1"},
            "application": {"href": base(client)},
        },
    }
    assert answered(client.post(f"/v1/{path}/keystrokes", json={"keys": "", "user": {"username": "ann"}}))["keys"] == ""


@pytest.mark.parametrize(
    ("body", "words", "status"),
    [
        ({"user": {"username": "ann"}}, "field 'keys' is missing", 400),
        ({"keys": "x"}, "field 'user' is missing", 400),
        ({"keys": "x", "user": {}}, "neither 'id' nor 'username'", 400),
        ({"keys": "x", "user": {"username": "nobody"}}, "who does not exist", 404),
        ({"keys": "x" * 65537, "user": {"username": "ann"}}, "at most 65536 are allowed", 400),
        ({"keys": 1, "user": {"username": "ann"}}, "field 'keys' is an integer", 400),
    ],
)
def test_keystrokes_without_keys_or_an_existing_user_are_refused(
    client: httpx.Client, room: dict[str, int], body: Any, words: str, status: int
) -> None:
    assert words in explanation(client.post("/v1/channels/1/keystrokes", json=body), status)
    assert client.post("/v1/channels/9/keystrokes", json=body).status_code == 404


def test_a_custom_event_is_returned_and_triggers_its_function(client: httpx.Client, room: dict[str, int]) -> None:
    function_id = function(client, "system.triggered.event")
    body = {"type": "My Custom Event", "properties": {"payload": "Boom!", "favorite_number": {"innerName": 42}}}
    # The body has no user: an event of the Platform API comes from the system.
    made = answered(client.post("/v1/channels/1/events", json={**body, "user": client.get("/v1/users/1").json()}))
    assert made == {**body, "_links": {"application": {"href": base(client)}}}
    (run,) = ended(client, function_id, 1)
    assert run["args"] == {"channel": client.get("/v1/channels/1").json(), "event": made}
    assert run["result"] == {"payload": ["channel", "event"]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"properties": {}}, "field 'type' is missing"),
        ({"type": " ", "properties": {}}, "field 'type' is empty"),
        ({"type": "x"}, "field 'properties' is missing"),
        ({"type": "x", "properties": []}, "field 'properties' is an array, not an object"),
        ([], "event is an array, not an object"),
    ],
)
def test_an_invalid_custom_event_is_a_400(client: httpx.Client, room: dict[str, int], body: Any, words: str) -> None:
    assert words in explanation(client.post("/v1/channels/1/events", json=body))
    good = {"type": "x", "properties": {}}
    assert explanation(client.post("/v1/channels/9/events", json=good), 404) == "there is no channel 9"
