"""Conversations of two clients with each other and with the Platform API."""

from __future__ import annotations

import httpx
from support.stomp import StompClient, client_of, stomp

from ckfunc.emulator.emulator import Emulator


def channel_of(client: StompClient, **new: object) -> dict[str, object]:
    made: dict[str, object] = client.do(client.user["_actions"]["createChannel"], new)
    return made


def test_a_client_connects_and_reads_its_user(emulator: Emulator) -> None:
    with stomp(emulator.url) as client:
        answer = client.connect("ann")
        assert (answer.command, answer.headers["version"]) == ("CONNECTED", "1.2")
        assert client.socket.subprotocol == "v12.stomp"
        assert (client.user["name"], client.user["presence"]["online"]) == ("ann", True)
        for name in ("writeFileAccessGrant", "readFileAccessGrant"):
            assert client.read(client.user["_relays"][name])["grant"]


def test_two_clients_exchange_messages(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann, client_of(emulator.url, "bob") as bob:
        channel = channel_of(ann, type="PRIVATE", name="tea", members=[{"username": "bob"}])
        seen = bob.event("user.channel.joined")
        assert seen["id"] == channel["id"]
        ann.open_chat(channel)
        bob.open_chat(seen)
        sent = ann.do(channel["_actions"]["message"], {"type": "TEXT", "body": "hello"})
        assert bob.event("channel.message.created") == sent
        answered = bob.do(seen["_actions"]["message"], {"type": "TEXT", "body": "hi", "properties": {"mood": "good"}})
        assert ann.event("channel.message.created") == answered
        page = ann.read(channel["_relays"]["messages"])
        assert [message["body"] for message in page["_embedded"]["messages"]] == ["hi", "hello"]


def test_messages_go_both_ways_between_clients_and_the_platform_api(emulator: Emulator, client: httpx.Client) -> None:
    with client_of(emulator.url, "ann") as ann:
        channel = channel_of(ann, type="PUBLIC", name="news")
        ann.open_chat(channel)
        client.post(f"/v1/channels/{channel['id']}/messages", json={"type": "TEXT", "body": "from a server"})
        seen = ann.event("channel.message.created")
        assert (seen["type"], seen["body"]) == ("SYSTEM_TEXT", "from a server")
        ann.do(channel["_actions"]["message"], {"type": "TEXT", "body": "from a client"})
        page = client.get(f"/v1/channels/{channel['id']}/messages").json()
        assert [message["body"] for message in page["_embedded"]["messages"]] == ["from a client", "from a server"]


def test_a_client_that_has_not_opened_the_channel_is_notified(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann, client_of(emulator.url, "bob") as bob:
        channel = channel_of(ann, type="DIRECT", members=[{"username": "bob"}])
        seen = bob.event("user.channel.joined")
        ann.do(channel["_actions"]["message"], {"type": "TEXT", "body": "one"})
        notification = bob.event("user.notification.created")
        assert (notification["data"]["type"], notification["data"]["message"]["body"]) == ("USER:SENT:MESSAGE", "one")
        opened = bob.open_chat(seen)
        ann.do(channel["_actions"]["message"], {"type": "TEXT", "body": "two"})
        assert bob.event("channel.message.created")["body"] == "two"
        assert "user.notification.created" not in bob.events()
        bob.send("UNSUBSCRIBE", {"id": opened})
        bob.events()
        ann.do(channel["_actions"]["message"], {"type": "TEXT", "body": "three"})
        assert bob.event("user.notification.created")["body"] == "three"


def test_sessions_of_clients_are_visible_in_the_platform_api(emulator: Emulator, client: httpx.Client) -> None:
    with client_of(emulator.url, "ann") as ann:
        channel = channel_of(ann, type="PUBLIC", name="news")
        ann.open_chat(channel)
        (session,) = client.get("/v1/user-sessions?state=ACTIVE").json()["_embedded"]["sessions"]
        assert session["user"]["name"] == "ann"
        (chat,) = client.get("/v1/chat-sessions?state=ACTIVE").json()["_embedded"]["sessions"]
        assert chat["session"]["id"] == session["id"]
        participants = client.get(f"/v1/channels/{channel['id']}/participants").json()["_embedded"]["users"]
        assert [participant["name"] for participant in participants] == ["ann"]
        ann.send("DISCONNECT", {"receipt": "end"})
        assert ann.closed().headers == {"receipt-id": "end"}
    assert client.get("/v1/user-sessions?state=ACTIVE").json()["_embedded"]["sessions"] == []
    assert client.get("/v1/users/1").json()["presence"]["online"] is False
