"""User sessions and chat sessions."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.emulators import cold_emulator
from support.loopback import http_client

from ckfunc.emulator.emulator import Emulator


def enter(client: httpx.Client, username: str = "ann", channel: int = 1) -> dict[str, Any]:
    answer = client.post("/emulator/sessions", json={"username": username, "channelId": channel})
    assert answer.status_code == 200, answer.text
    opened: dict[str, Any] = answer.json()
    return opened


def listen(client: httpx.Client, trigger_type: str) -> int:
    """Deploy a function that returns its event; return its id."""
    made = client.post("/v1/runtimes/nodejs/functions", json={"type": trigger_type, "name": "F"}).json()
    client.post(
        f"/v1/functions/{made['id']}/versions", json={"handlerScript": "function handleEvent(event) { return event }"}
    )
    client.put(f"/emulator/functions/{made['id']}/enabled", json={"enabled": True})
    return int(made["id"])


def events(client: httpx.Client, function_id: int, count: int) -> list[dict[str, Any]]:
    """Wait for `count` runs to end, and return their events in order."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        page = client.get(f"/v1/functions/{function_id}/invocations").json()
        found = page["_embedded"]["invocations"]
        if len(found) >= count and all(invocation["status"] != "RUNNING" for invocation in found):
            break
        time.sleep(0.02)
    assert [invocation["status"] for invocation in found] == ["SUCCEEDED"] * count
    return [invocation["args"] for invocation in sorted(found, key=lambda invocation: invocation["id"])]


def test_a_chat_session_is_opened_shown_and_closed(client: httpx.Client, room: dict[str, int]) -> None:
    opened = enter(client)
    at = f"{str(client.base_url).rstrip('/')}/v1/applications/1"
    user = {name: value for name, value in client.get("/v1/users/1").json().items() if name != "_links"}
    assert user["presence"] == {"status": "UNAVAILABLE", "online": True}
    assert opened == {
        "id": 1,
        "session": {
            "id": 1,
            "user": user,
            "state": "ACTIVE",
            "userAgent": "ckfunc",
            "createdTime": opened["session"]["createdTime"],
        },
        "state": "ACTIVE",
        "createdTime": opened["createdTime"],
        "_links": {
            "session": {"href": f"{at}/user-sessions/1"},
            "channel": {"href": f"{at}/channels/1"},
            "application": {"href": at},
        },
    }
    assert client.get("/v1/chat-sessions").json()["_embedded"]["sessions"] == [opened]
    (session,) = client.get("/v1/user-sessions").json()["_embedded"]["sessions"]
    assert session == {
        **opened["session"],
        "_links": {"user": {"href": f"{at}/users/1"}, "application": {"href": at}},
    }
    closed = client.delete("/emulator/sessions/1").json()
    assert (closed["state"], closed["session"]["state"]) == ("ENDED", "ENDED")
    assert closed["endTime"] >= closed["createdTime"]
    assert client.get("/v1/users/1").json()["presence"]["online"] is False
    assert client.delete("/emulator/sessions/1").json() == closed
    assert client.delete("/emulator/sessions/9").status_code == 404


def test_chat_sessions_of_a_user_share_one_user_session_that_ends_with_the_last(
    client: httpx.Client, room: dict[str, int]
) -> None:
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "q"})
    first, second = enter(client), enter(client, channel=2)
    assert first["session"]["id"] == second["session"]["id"]
    client.delete(f"/emulator/sessions/{first['id']}")
    assert client.get("/v1/users/1").json()["presence"]["online"] is True
    client.delete(f"/emulator/sessions/{second['id']}")
    assert client.get("/v1/users/1").json()["presence"]["online"] is False


def test_sessions_are_listed_by_state_in_pages(client: httpx.Client, room: dict[str, int]) -> None:
    for name in ("ann", "bob", "cy"):
        enter(client, name)
    client.delete("/emulator/sessions/2")
    for path in ("/v1/chat-sessions", "/v1/user-sessions"):
        assert [session["id"] for session in client.get(path).json()["_embedded"]["sessions"]] == [1, 2, 3]
        for state, ids in (("ACTIVE", [1, 3]), ("ENDED", [2]), ("ended", [2]), ("", [1, 2, 3])):
            page = client.get(path, params={"state": state}).json()
            assert [session["id"] for session in page["_embedded"]["sessions"]] == ids
        page = client.get(path, params={"state": "ACTIVE", "size": 1, "sort": "createdTime,desc"}).json()
        assert [session["id"] for session in page["_embedded"]["sessions"]] == [3]
        # As in the platform's own samples, these page links do not contain the application.
        assert page["_links"]["next"]["href"] == (
            f"{str(client.base_url).rstrip('/')}{path}?state=ACTIVE&sort=createdTime%2Cdesc&page=1&size=1"
        )
        after = client.get(page["_links"]["next"]["href"]).json()
        assert [session["id"] for session in after["_embedded"]["sessions"]] == [1]
        assert client.get(path, params={"state": "OVER"}).status_code == 400
        assert client.get(path, params={"sort": "state,endTime"}).status_code == 200
        assert client.get(path, params={"sort": "shoes"}).status_code == 400
    snake = client.get("/chat-sessions").json()["_embedded"]["sessions"][1]
    assert {"end_time", "created_time"} <= snake.keys()
    assert "user_agent" in snake["session"]


def test_opening_a_channel_triggers_an_event_with_the_unread_state(client: httpx.Client, room: dict[str, int]) -> None:
    function = listen(client, "user.started.chat_session")
    enter(client)
    message = client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": "x", "user": {"id": 2}}).json()
    enter(client)
    client.post("/emulator/read-receipts", json={"messageId": message["id"], "username": "ann"})
    enter(client)
    got = events(client, function, 3)
    assert [(event["channelUnread"], event["channelMessagesCount"]) for event in got] == [
        (False, 0),
        (True, 1),
        (False, 1),
    ]
    assert got[0]["user"] == client.get("/v1/users/1").json()
    assert got[2]["channel"] == client.get("/v1/channels/1").json()


def test_a_user_with_a_channel_open_gets_no_notifications_from_it(client: httpx.Client, room: dict[str, int]) -> None:
    function = listen(client, "user.received.notification")
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "q"})
    opened = enter(client)
    enter(client, "bob", channel=2)
    body = {"type": "TEXT", "body": "x", "user": {"username": "cy"}}
    client.post("/v1/channels/1/messages", json=body)
    (got,) = events(client, function, 1)
    assert (got["user"]["name"], got["userHasActiveSession"]) == ("bob", True)
    assert client.get("/v1/users/1/notifications").json()["_embedded"]["notifications"] == []
    client.delete(f"/emulator/sessions/{opened['id']}")
    client.post("/v1/channels/1/messages", json=body)
    others = {event["user"]["name"]: event["userHasActiveSession"] for event in events(client, function, 3)[1:]}
    assert others == {"ann": False, "bob": True}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"username": "ann"}, 400),
        ({"username": 1, "channelId": 1}, 400),
        ({"username": "ann", "channelId": "1"}, 400),
        ({"username": "nobody", "channelId": 1}, 404),
        ({"username": "ann", "channelId": 9}, 404),
    ],
)
def test_a_session_of_an_unknown_user_or_channel_is_refused(
    client: httpx.Client, room: dict[str, int], body: Any, status: int
) -> None:
    assert client.post("/emulator/sessions", json=body).status_code == status
    assert client.get("/v1/user-sessions").json()["page"]["totalElements"] == 0


def test_no_user_is_connected_after_a_restart(client: httpx.Client, emulator: Emulator, tmp_path: Path) -> None:
    client.post("/v1/users", json={"name": "ann", "displayName": "Ann"})
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c"})
    enter(client)
    authorization = client.headers["authorization"]
    emulator.stop()
    with (
        cold_emulator(tmp_path / "emulator") as again,
        http_client(again.url) as late,
    ):
        token = late.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"})
        late.headers["authorization"] = f"Bearer {token.json()['access_token']}"
        assert late.headers["authorization"] != authorization
        assert late.get("/v1/users/1").json()["presence"]["online"] is False
        (session,) = late.get("/v1/chat-sessions").json()["_embedded"]["sessions"]
        assert (session["state"], session["session"]["state"]) == ("ENDED", "ENDED")


def test_reading_a_message_stores_one_receipt_and_triggers_one_event(
    client: httpx.Client, room: dict[str, int]
) -> None:
    function = listen(client, "user.read.message")
    message = client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": "x", "user": {"id": 2}}).json()
    body = {"messageId": message["id"], "username": "ann"}
    receipt = client.post("/emulator/read-receipts", json=body).json()["receipt"]
    assert client.post("/emulator/read-receipts", json=body).json() == {"receipt": None}
    page = client.get(f"/v1/messages/{message['id']}/read-receipts").json()
    assert page["_embedded"]["receipts"] == [receipt]
    (got,) = events(client, function, 1)
    assert got == {"user": client.get("/v1/users/1").json(), "message": message, "receipt": receipt}
    for wrong in ({**body, "messageId": 99}, {**body, "username": "nobody"}):
        assert client.post("/emulator/read-receipts", json=wrong).status_code == 404


def test_a_reported_message_is_listed_in_its_channel(client: httpx.Client, room: dict[str, int]) -> None:
    message = client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": "x", "user": {"id": 2}}).json()
    assert client.get("/v1/channels/1/reported-messages").json()["page"]["totalElements"] == 0
    for name in ("ann", "ann", "cy"):
        reported = client.post("/emulator/reports", json={"messageId": message["id"], "username": name}).json()
    assert reported["reportCount"] == 2
    listed = client.get("/v1/channels/1/reported-messages").json()["_embedded"]["messages"]
    assert listed == [reported]
