"""Sessions of clients: start, denial, presence, reconnection and end."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import httpx
import pytest
from support.calls import ended, function
from support.emulators import cold_emulator
from support.stomp import StompClient, client_of, stomp
from websockets.sync.client import connect

from ckfunc.emulator.emulator import Emulator

ONLY_WITH_CODE = """
async function handleEvent(event, context) {
  if (event.authParams.code !== "tëa") throw new Error("wrong code for " + event.username);
  await context.ChatKitty.Users.createUser({ name: event.username, displayName: "Known", isGuest: false });
}
"""


def auth_params(document: object, encoding: str) -> str:
    return base64.b64encode(json.dumps(document, ensure_ascii=False).encode(encoding)).decode()


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_a_function_decides_which_users_may_connect(emulator: Emulator, client: httpx.Client, encoding: str) -> None:
    function(client, "user.attempted.start_session", ONLY_WITH_CODE)
    with stomp(emulator.url) as denied:
        error = denied.connect("ann")
        assert (error.command, error.document["error"]) == ("ERROR", "AccessDeniedError")
        assert error.document["message"] == "wrong code for ann"
    assert client.head("/v1/users?name=ann").status_code == 404
    with stomp(emulator.url) as allowed:
        headers = {"StompX-Auth-Params": auth_params({"code": "tëa"}, encoding)}
        assert allowed.connect("ann", **headers).command == "CONNECTED"
        assert allowed.user["displayName"] == "Known"


def test_the_guest_setting_decides_without_a_function(emulator: Emulator, client: httpx.Client) -> None:
    with stomp(emulator.url) as guest:
        assert guest.connect("ann").command == "CONNECTED"
        assert guest.user["isGuest"] is True
    client.put("/v1/application/settings", json={"guestUsers": "DISABLED", "userCreatedChannels": "ENABLED"})
    with stomp(emulator.url) as known:
        assert known.connect("ann").command == "CONNECTED"
    with stomp(emulator.url) as unknown:
        assert unknown.connect("zoe").document["error"] == "AccessDeniedError"


def test_opening_a_channel_triggers_the_chat_session_event(emulator: Emulator, client: httpx.Client) -> None:
    started = function(client, "user.started.chat_session")
    with client_of(emulator.url, "ann") as ann:
        channel = ann.do(ann.user["_actions"]["createChannel"], {"type": "PUBLIC", "name": "tea"})
        ann.open_chat(channel)
    (run,) = ended(client, started, 1)
    assert (run["args"]["user"]["name"], run["args"]["channel"]["name"]) == ("ann", "tea")
    assert (run["args"]["channelUnread"], run["args"]["channelMessagesCount"]) == (False, 0)


def test_a_device_has_at_most_ten_chat_sessions(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann:
        topics = []
        for number in range(11):
            new = {"type": "PUBLIC", "name": f"tea-{number}"}
            topics.append(ann.do(ann.user["_actions"]["createChannel"], new)["_topics"]["self"])
        opened = [ann.listen(topic) for topic in topics[:10]]
        ann.send("SUBSCRIBE", {"id": "eleventh", "destination": topics[10]})
        error = ann.until(lambda frame: frame.headers.get("subscription-id") == "eleventh").document
        assert "at most 10 open chat sessions" in error["message"]
        ann.send("UNSUBSCRIBE", {"id": opened[0]})
        ann.listen(topics[10])


def test_contacts_are_informed_when_a_user_connects_and_disconnects(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann:
        with client_of(emulator.url, "bob") as bob:
            channel = ann.do(
                ann.user["_actions"]["createChannel"], {"type": "PRIVATE", "members": [{"username": "bob"}]}
            )
            ann.open_chat(channel)
            bob.open_chat(bob.event("user.channel.joined"))
            assert ann.event("channel.participant.active")["name"] == "bob"
        assert ann.event("channel.participant.inactive")["name"] == "bob"
        gone = ann.event("contact.presence.changed")
        assert (gone["name"], gone["presence"]["online"]) == ("bob", False)
        with client_of(emulator.url, "bob"):
            assert ann.event("contact.presence.changed")["presence"]["online"] is True


def test_a_client_resumes_its_session_after_a_lost_connection(emulator: Emulator, client: httpx.Client) -> None:
    function(client, "user.attempted.start_session", ONLY_WITH_CODE)
    known = {"StompX-Auth-Params": auth_params({"code": "tëa"}, "utf-8")}
    with stomp(emulator.url) as first:
        session = first.connect("ann", **known).headers["session"]
    with stomp(emulator.url) as second:
        answer = second.connect("ann", **{"StompX-Auth-Session-ID": session})  # A resumed session needs no code.
        assert (answer.command, answer.headers["session"]) == ("CONNECTED", session)
    (only,) = client.get("/v1/user-sessions").json()["_embedded"]["sessions"]
    assert only["user"]["name"] == "ann"
    with stomp(emulator.url) as other:
        assert other.connect("bob", **{"StompX-Auth-Session-ID": session}).command == "ERROR"
    with stomp(emulator.url) as third:
        third.connect("ann", **{"StompX-Auth-Session-ID": session})
        third.send("DISCONNECT", {"receipt": "end"})
        third.closed()
    with stomp(emulator.url) as ended:
        assert ended.connect("ann", **{"StompX-Auth-Session-ID": session}).command == "ERROR"


def test_a_newer_connection_takes_over_a_session(emulator: Emulator) -> None:
    with stomp(emulator.url) as first, stomp(emulator.url) as second:
        session = first.connect("ann").headers["session"]
        second.connect("ann", **{"StompX-Auth-Session-ID": session})
        assert "another connection" in first.closed().document["message"]
        assert second.user["presence"]["online"] is True


def test_sessions_and_grants_survive_a_restart_of_the_emulator(tmp_path: Path) -> None:
    with cold_emulator(tmp_path / "data") as emulator, stomp(emulator.url) as client:
        session = client.connect("ann").headers["session"]
        grant = client.read(client.user["_relays"]["writeFileAccessGrant"])
    with cold_emulator(tmp_path / "data") as emulator, stomp(emulator.url) as client:
        assert client.connect("ann", **{"StompX-Auth-Session-ID": session}).headers["session"] == session
        assert client.read(client.user["_relays"]["writeFileAccessGrant"]) == grant


def test_a_client_need_not_offer_a_subprotocol(emulator: Emulator) -> None:
    address = f"{emulator.url.replace('http', 'ws', 1)}/rtm/websocket?api-key=emulator"
    with connect(address, proxy=None) as socket:
        assert socket.subprotocol is None
        assert StompClient(socket).connect("ann").command == "CONNECTED"


@pytest.mark.parametrize("username", ["", "a" * 2000])
def test_a_session_without_a_usable_name_is_denied_so_that_clients_do_not_reconnect(
    emulator: Emulator, username: str
) -> None:
    with stomp(emulator.url) as client:
        error = client.connect(username)
    assert (error.command, error.document["error"]) == ("ERROR", "AccessDeniedError")


@pytest.mark.parametrize("queue", ["/user/queue/v1/errors", "/user/queue/errors"])
def test_errors_arrive_at_the_address_that_the_client_subscribed_to(emulator: Emulator, queue: str) -> None:
    with stomp(emulator.url) as client:
        client.send("CONNECT", {"accept-version": "1.2", "StompX-User": "ann"})
        client.send("SUBSCRIBE", {"id": "e", "destination": queue})
        client.send("SEND", {"destination": "/application/nothing", "receipt": "r"})
        error = client.until(lambda frame: frame.command == "MESSAGE")
    assert (error.headers["destination"], error.headers["receipt-id"]) == (queue, "r")
