"""Notifications of users, and the functions that they trigger."""

from __future__ import annotations

import time
from typing import Any

import httpx


def send(client: httpx.Client, body: str, **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": body, **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def notifications(client: httpx.Client, user_id: int, **params: Any) -> list[dict[str, Any]]:
    page = client.get(f"/v1/users/{user_id}/notifications", params=params)
    found: list[dict[str, Any]] = page.json()["_embedded"]["notifications"]
    return found


def test_the_other_members_are_notified_of_a_message_of_a_user(client: httpx.Client, room: dict[str, int]) -> None:
    message = send(client, "hi", user={"username": "ann"})
    assert [len(notifications(client, room[name])) for name in room] == [0, 1, 1, 0]
    shown = notifications(client, room["bob"])[0]
    base = f"{str(client.base_url).rstrip('/')}/v1/applications/1"
    assert shown.pop("createdTime") >= message["createdTime"]
    assert shown.pop("channel") == client.get("/v1/channels/1").json()
    assert shown == {
        "id": 1,
        "title": "Ann sent a message",
        "body": "hi",
        "data": {
            "type": "USER:SENT:MESSAGE",
            "channelId": 1,
            "message": message,
            "_relays": {"message": "/application/v1/messages/1.relay"},
        },
        "muted": False,
        "_links": {"recipient": {"href": f"{base}/users/{room['bob']}"}, "application": {"href": base}},
    }


def test_all_members_are_notified_of_a_system_message(client: httpx.Client, room: dict[str, int]) -> None:
    send(client, "Hello, World!")
    assert [len(notifications(client, room[name])) for name in room] == [1, 1, 1, 0]
    shown = notifications(client, room["ann"])[0]
    assert (shown["title"], shown["body"]) == ("System message sent", "Hello, World!")
    assert shown["data"]["type"] == "SYSTEM:SENT:MESSAGE"


def test_a_file_is_announced_as_an_attachment(client: httpx.Client, room: dict[str, int]) -> None:
    file = {"url": "https://x.example/a", "name": "a", "contentType": "text/plain", "size": 1}
    client.post("/v1/channels/1/messages", json={"type": "FILE", "file": file})
    shown = notifications(client, room["ann"])[0]
    assert (shown["body"], shown["data"]["message"]["file"]["url"]) == ("File attachment", file["url"])


def test_notifications_are_paged_by_cursor_newest_first(client: httpx.Client, room: dict[str, int]) -> None:
    for text in "abcde":
        send(client, text)
    page = client.get(f"/v1/users/{room['bob']}/notifications", params={"size": 2}).json()
    seen = []
    while True:
        seen += [notification["body"] for notification in page["_embedded"]["notifications"]]
        if "next" not in page["_links"]:
            break
        assert f"/users/{room['bob']}/notifications?" in page["_links"]["next"]["href"]
        send(client, "later")
        page = client.get(page["_links"]["next"]["href"]).json()
    assert seen == ["e", "d", "c", "b", "a"]


def test_the_notifications_of_an_unknown_user_are_a_404(client: httpx.Client) -> None:
    assert client.get("/v1/users/1/notifications").status_code == 404


def test_notifications_are_returned_in_snake_case(client: httpx.Client, room: dict[str, int]) -> None:
    send(client, "hi", user={"username": "ann"})
    headers = {"accept": "application/vnd.chatkitty+json"}
    shown = client.get(f"/users/{room['bob']}/notifications", headers=headers).json()["_embedded"]["notifications"][0]
    assert shown["data"]["channel_id"] == 1
    assert shown["channel"]["last_received_message"]["user"]["display_name"] == "Ann"
    assert shown["data"]["_relays"] == {"message": "/application/v1/messages/1.relay"}


def function(client: httpx.Client, trigger_type: str, script: str) -> int:
    made = client.post("/v1/runtimes/nodejs/functions", json={"type": trigger_type, "name": trigger_type})
    assert made.status_code == 200, made.text
    function_id: int = made.json()["id"]
    version = client.post(f"/v1/functions/{function_id}/versions", json={"handlerScript": script})
    assert version.status_code == 200, version.text
    return function_id


def ended(client: httpx.Client, function_id: int, count: int) -> list[dict[str, Any]]:
    """Return the runs of a function once there are `count` and all have ended, oldest first."""
    found: list[dict[str, Any]] = []
    for _ in range(1200):
        page = client.get(f"/v1/functions/{function_id}/invocations", params={"sort": "id,asc"}).json()
        found = page["_embedded"]["invocations"]
        if len(found) == count and all(invocation["status"] != "RUNNING" for invocation in found):
            break
        time.sleep(0.05)
    return found


ECHO = "async function handleEvent(event, context) { return Object.keys(event).sort(); }"


def test_a_message_of_a_user_triggers_events_for_the_sender_and_for_notified_users(
    client: httpx.Client, room: dict[str, int]
) -> None:
    sent_id = function(client, "user.sent.message", ECHO)
    received_id = function(client, "user.received.notification", ECHO)
    message = send(client, "hi", user={"username": "ann"})
    channel = client.get("/v1/channels/1").json()

    sent = ended(client, sent_id, 1)
    assert len(sent) == 1
    assert sent[0]["args"] == {
        "user": client.get(f"/v1/users/{room['ann']}").json(),
        "channel": channel,
        "message": message,
    }
    assert sent[0]["result"] == {"payload": ["channel", "message", "user"]}

    received = ended(client, received_id, 2)
    for run, name in zip(received, ("bob", "cy"), strict=True):
        assert run["status"] == "SUCCEEDED"
        assert run["args"] == {
            "user": client.get(f"/v1/users/{room[name]}").json(),
            "notification": notifications(client, room[name])[0],
            "userHasActiveSession": False,
        }


def test_a_system_message_triggers_only_events_for_notified_users(client: httpx.Client, room: dict[str, int]) -> None:
    sent_id = function(client, "user.sent.message", ECHO)
    received_id = function(client, "user.received.notification", ECHO)
    send(client, "hi")
    received = ended(client, received_id, 3)
    assert [run["args"]["user"]["name"] for run in received] == ["ann", "bob", "cy"]
    assert client.get(f"/v1/functions/{sent_id}/invocations").json()["page"]["totalElements"] == 0


def test_a_message_is_answered_before_its_handlers_have_run(client: httpx.Client, room: dict[str, int]) -> None:
    sleeper = "async function handleEvent() { await new Promise((done) => setTimeout(done, 60000)); }"
    function_id = function(client, "user.sent.message", sleeper)
    assert send(client, "hi", user={"username": "ann"})["body"] == "hi"
    page = client.get(f"/v1/functions/{function_id}/invocations").json()
    assert [invocation["status"] for invocation in page["_embedded"]["invocations"]] == ["RUNNING"]
