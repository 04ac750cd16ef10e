"""Messages of users and of the system."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

FILE = {"url": "https://example.com/jane.png", "name": "jane.png", "contentType": "image/png", "size": 32768}


def send(client: httpx.Client, body: str = "hi", **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": body, **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def explanation(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    text: str = answer.json()["explanation"]
    return text


def bodies(page: dict[str, Any]) -> list[str]:
    return [message["body"] for message in page["_embedded"]["messages"]]


def test_a_message_without_a_user_is_a_system_message(client: httpx.Client, room: dict[str, int]) -> None:
    made = send(client, "Hello, World!")
    base = f"{str(client.base_url).rstrip('/')}/v1/applications/1"
    assert made.pop("createdTime").endswith("Z")
    assert made == {
        "id": 1,
        "type": "SYSTEM_TEXT",
        "channelId": 1,
        "body": "Hello, World!",
        "nestedLevel": 0,
        "properties": {},
        "_links": {
            "self": {"href": f"{base}/messages/1"},
            "channel": {"href": f"{base}/channels/1"},
            "application": {"href": base},
        },
    }


@pytest.mark.parametrize("name", ["ann", "dee"])
def test_a_message_on_behalf_of_a_user_shows_the_user(client: httpx.Client, room: dict[str, int], name: str) -> None:
    made = send(client, user={"username": name}, groupTag="g", properties={"a": {"b_c": 1}})
    assert made["type"] == "TEXT"
    assert made["user"]["name"] == name
    assert "_links" not in made["user"]
    assert (made["groupTag"], made["properties"]) == ("g", {"a": {"b_c": 1}})
    assert made["_links"]["user"]["href"].endswith(f"/users/{room[name]}")
    assert client.get(f"/v1/messages/{made['id']}").json() == made
    assert send(client, user={"id": room[name]})["user"] == made["user"]


def test_a_file_is_sent_as_a_url(client: httpx.Client, room: dict[str, int]) -> None:
    system = client.post("/v1/channels/1/messages", json={"type": "FILE", "file": FILE}).json()
    assert (system["type"], system["file"]) == ("SYSTEM_FILE", {"type": "EXTERNAL", **FILE})
    assert "body" not in system
    mine = client.post("/v1/channels/1/messages", json={"type": "FILE", "file": FILE, "user": {"username": "ann"}})
    assert (mine.json()["type"], mine.json()["user"]["name"]) == ("FILE", "ann")
    assert client.get("/v1/messages/1").json() == system


def test_messages_are_accepted_and_returned_in_snake_case(client: httpx.Client, room: dict[str, int]) -> None:
    file = {"url": "https://x.example/a", "name": "a", "content_type": "text/plain", "size": 0}
    body = {"type": "FILE", "file": file, "group_tag": "g", "user": {"username": "ann"}}
    headers = {"accept": "application/vnd.chatkitty+json", "content-type": "application/json"}
    made = client.post("/channels/1/messages", json=body, headers=headers).json()
    assert made["file"] == {**file, "type": "EXTERNAL"}
    assert (made["group_tag"], made["channel_id"], made["nested_level"]) == ("g", 1, 0)
    assert made["user"]["display_name"] == "Ann"


def test_a_channel_shows_the_last_message_it_received(client: httpx.Client, room: dict[str, int]) -> None:
    assert "lastReceivedMessage" not in client.get("/v1/channels/1").json()
    send(client, "first")
    send(client, "second", user={"username": "ann"})
    shown = client.get("/v1/channels/1").json()["lastReceivedMessage"]
    assert (shown["body"], shown["user"]["name"]) == ("second", "ann")
    assert "_links" not in shown


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "field 'type' is missing"),
        ({"type": "SYSTEM_TEXT", "body": "x"}, "field 'type' is 'SYSTEM_TEXT', not one of TEXT, FILE"),
        ({"type": "TEXT"}, "field 'body' is missing"),
        ({"type": "TEXT", "body": ""}, "field 'body' is empty"),
        ({"type": "TEXT", "body": 5}, "field 'body' is an integer, not a string"),
        ({"type": "TEXT", "body": "x" * (1024 * 1024 + 1)}, "at most 1048576 are allowed"),
        ({"type": "FILE"}, "field 'file' is missing"),
        ({"type": "FILE", "file": {**FILE, "size": -1}}, "field 'size' is negative"),
        ({"type": "FILE", "file": {**FILE, "size": 1.5}}, "field 'size' is a number, not an integer"),
        ({"type": "FILE", "file": {**FILE, "size": 2**64}}, "field 'size' is an integer of more than 64 bits"),
        ({"type": "FILE", "file": {"url": "x"}}, "is missing"),
        ({"type": "TEXT", "body": "x", "user": "ann"}, "field 'user' is a string, not an object"),
        ({"type": "TEXT", "body": "x", "user": {}}, "field 'user' has neither 'id' nor 'username'"),
        ({"type": "TEXT", "body": "x", "groupTag": 1}, "field 'groupTag' is an integer, not a string"),
    ],
)
def test_an_invalid_message_is_a_400_that_names_the_field(
    client: httpx.Client, room: dict[str, int], body: Any, words: str
) -> None:
    assert words in explanation(client.post("/v1/channels/1/messages", json=body))
    assert bodies(client.get("/v1/channels/1/messages").json()) == []


def test_a_message_from_an_unknown_user_or_to_an_unknown_channel_is_a_404(
    client: httpx.Client, room: dict[str, int]
) -> None:
    body = {"type": "TEXT", "body": "x"}
    assert explanation(client.post("/v1/channels/9/messages", json=body), 404) == "there is no channel 9"
    answer = client.post("/v1/channels/1/messages", json={**body, "user": {"username": "x"}})
    assert explanation(answer, 404) == "field 'user' refers to user 'x', who does not exist"
    assert explanation(client.get("/v1/messages/1"), 404) == "there is no message 1"
    assert client.get("/v1/channels/9/messages").status_code == 404


def test_a_message_of_a_million_characters_is_stored_unchanged(client: httpx.Client, room: dict[str, int]) -> None:
    text = "ü🌞\0\n" * 250_000
    assert send(client, text, user={"username": "ann"})["body"] == text
    assert client.get("/v1/messages/1").json()["body"] == text
    notification = client.get(f"/v1/users/{room['bob']}/notifications").json()["_embedded"]["notifications"][0]
    assert (notification["body"], notification["data"]["message"]["body"]) == (text[:1024], text)


def test_messages_are_listed_newest_first(client: httpx.Client, room: dict[str, int]) -> None:
    for text in "abc":
        send(client, text)
    page = client.get("/v1/channels/1/messages").json()
    assert bodies(page) == ["c", "b", "a"]
    assert set(page["_links"]) == {"self"}
    assert page["page"] == {"size": 25, "start": "3"}


def test_pages_contain_every_message_once_while_others_are_sent(client: httpx.Client, room: dict[str, int]) -> None:
    for index in range(7):
        send(client, str(index))
    page = client.get("/v1/channels/1/messages", params={"size": 3}).json()
    seen = bodies(page)
    while "next" in page["_links"]:
        send(client, "later")
        page = client.get(page["_links"]["next"]["href"]).json()
        seen += bodies(page)
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


def test_a_page_of_messages_can_be_read_again_and_leads_to_its_neighbours(
    client: httpx.Client, room: dict[str, int]
) -> None:
    for index in range(9):
        send(client, str(index))

    def read(**params: Any) -> dict[str, Any]:
        answer = client.get("/v1/channels/1/messages", params={"size": 3, **params})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    first = read()
    cursor = first["page"]
    assert cursor == {"size": 3, "start": "9", "next": "7"}
    second = read(next=cursor["next"])
    assert bodies(second) == ["5", "4", "3"]
    send(client, "new")
    assert bodies(client.get(first["_links"]["self"]["href"]).json()) == ["8", "7", "6"]
    assert bodies(read(start=cursor["start"])) == ["8", "7", "6"]
    assert bodies(read(start=second["page"]["start"], relation="previous")) == ["8", "7", "6"]
    assert bodies(read(start=cursor["start"], relation="PREVIOUS")) == ["new"]
    assert bodies(read(start=cursor["start"], next=cursor["next"], relation="NEXT")) == ["5", "4", "3"]
    assert bodies(read(next=1)) == []
    assert bodies(read(start="", next="", relation="")) == ["new", "8", "7"]


def test_messages_of_other_channels_are_not_listed(client: httpx.Client, room: dict[str, int]) -> None:
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "q"})
    send(client, "here")
    client.post("/v1/channels/2/messages", json={"type": "TEXT", "body": "there"})
    assert bodies(client.get("/v1/channels/2/messages").json()) == ["there"]
    page = client.get("/v1/messages", params={"size": 1}).json()
    assert bodies(page) == ["there"]
    assert bodies(client.get(page["_links"]["next"]["href"]).json()) == ["here"]


def test_messages_are_filtered_by_sender_and_text(client: httpx.Client, room: dict[str, int]) -> None:
    for text in ("100%", "1000", "a_b"):
        send(client, text, user={"username": "ann"})
    send(client, "AXB")
    client.post("/v1/channels/1/messages", json={"type": "FILE", "file": FILE})

    def found(**params: str) -> list[str]:
        return bodies(client.get("/v1/channels/1/messages", params=params).json())

    assert found(username="ann") == ["a_b", "1000", "100%"]
    assert found(username="nobody") == []
    assert found(query="0%") == ["100%"]
    assert found(query="A_B") == ["a_b"]
    assert found(query="x!") == []
    assert found(query="axb") == ["AXB"]
    page = client.get("/v1/channels/1/messages", params={"username": "ann", "query": "00", "size": 1}).json()
    assert bodies(client.get(page["_links"]["next"]["href"]).json()) == ["100%"]


@pytest.mark.parametrize(
    "params",
    [
        {"start": "x"},
        {"next": "1.5"},
        {"next": "9" * 30},
        {"relation": "SIDEWAYS"},
    ],
)
def test_an_invalid_cursor_is_a_400_that_names_it(
    client: httpx.Client, room: dict[str, int], params: dict[str, str]
) -> None:
    assert repr(next(iter(params))) in explanation(client.get("/v1/channels/1/messages", params=params))


@pytest.mark.parametrize("value", [str(10**17), str(-(10**17)), "0"])
def test_a_cursor_beyond_the_ends_returns_an_empty_or_a_full_page(
    client: httpx.Client, room: dict[str, int], value: str
) -> None:
    send(client, "only")
    for relation in ("SELF", "NEXT", "PREVIOUS"):
        params = {"start": value, "next": value, "relation": relation}
        page = client.get("/v1/channels/1/messages", params=params)
        assert bodies(page.json()) in (["only"], [])


def test_an_edited_message_has_the_time_of_its_edit(client: httpx.Client, room: dict[str, int]) -> None:
    made = send(client, "old", properties={"a": 1})
    assert client.patch("/v1/messages/1", json={"properties": {"b": 2}}).json()["properties"] == {"a": 1, "b": 2}
    edited = client.patch("/v1/messages/1", json={"body": "new"}).json()
    assert edited["body"] == "new"
    assert edited["lastEditedTime"] >= made["createdTime"]
    assert client.get("/v1/messages/1").json() == edited
    assert client.patch("/v1/messages/1").json() == edited
    assert "cannot be removed" in explanation(client.patch("/v1/messages/1", json={"body": None}))


def test_the_body_of_a_file_message_cannot_be_set(client: httpx.Client, room: dict[str, int]) -> None:
    client.post("/v1/channels/1/messages", json={"type": "FILE", "file": FILE})
    assert "the message is a file" in explanation(client.patch("/v1/messages/1", json={"body": "x"}))


def test_all_messages_are_deleted_at_once(client: httpx.Client, room: dict[str, int]) -> None:
    for text in "abc":
        send(client, text, user={"username": "ann"})
    client.post("/v1/threads/1/messages", json={"type": "TEXT", "body": "reply"})
    answer = client.delete("/v1/messages")
    assert answer.status_code == 200
    assert answer.json() == client.get("/v1/application").json()
    assert bodies(client.get("/v1/messages").json()) == []
    assert client.get(f"/v1/users/{room['bob']}/notifications").json()["_embedded"]["notifications"] == []
    assert "lastReceivedMessage" not in client.get("/v1/channels/1").json()
    assert client.delete("/v1/messages").status_code == 200
    assert send(client)["id"] == 5


def test_a_deleted_message_is_a_404_and_is_no_longer_listed(client: httpx.Client, room: dict[str, int]) -> None:
    send(client, "a")
    send(client, "b")
    assert client.delete("/v1/messages/2").json()["type"] == "MAIN"
    assert bodies(client.get("/v1/channels/1/messages").json()) == ["a"]
    assert client.get("/v1/channels/1").json()["lastReceivedMessage"]["body"] == "a"
    assert explanation(client.get("/v1/messages/2"), 404) == "there is no message 2"
    assert explanation(client.delete("/v1/messages/2"), 404) == "there is no message 2"
