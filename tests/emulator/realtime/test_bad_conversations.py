"""Violations of the client protocol: an ERROR frame and a closed socket, never a traceback."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from contextlib import suppress

import httpx
import pytest
from support.emulators import cold_emulator
from support.stomp import StompClient, client_of, frame, stomp
from websockets.exceptions import ConnectionClosed

from ckfunc.emulator.emulator import Emulator
from ckfunc.wire.stomp import MOST_FRAME_BYTES

CONVERSATIONS = 200
CONNECT = frame("CONNECT", {"accept-version": "1.2", "StompX-User": "ann"})


@pytest.fixture
def quiet(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """The captured log; bugs of the emulator appear there."""
    return caplog


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("nonsense", "do not end with an empty line"),
        (frame("SUBSCRIBE", {"id": "1", "destination": "/application/v1/user.relay"}), "not connected"),
        (frame("SEND", {"destination": "/application/v1/user.createChannel"}, "{}"), "not connected"),
        (frame("DISCONNECT"), "not connected"),
        (frame("CONNECT", {"StompX-User": "ann"}), "accept-version does not name it"),
        (frame("CONNECT", {"accept-version": "1.0,1.1", "StompX-User": "ann"}), "accept-version does not name it"),
        (frame("CONNECT", {"accept-version": "1.2"}), "'StompX-User' is missing"),
        (frame("CONNECT", {"accept-version": "1.2", "StompX-User": "a" * 2000}), "missing or too long"),
        (frame("CONNECT", {"accept-version": "1.2", "StompX-User": "a", "heart-beat": "x"}), "not two numbers"),
        (frame("CONNECT", {"accept-version": "1.2", "StompX-User": "a", "StompX-Auth-Params": "%"}), "not base64"),
        (frame("CONNECT", {"accept-version": "1.2", "StompX-User": "a", "StompX-Auth-Params": "e30x"}), "not JSON"),
    ],
)
def test_a_bad_first_frame_ends_the_connection(emulator: Emulator, data: str, reason: str) -> None:
    with stomp(emulator.url) as client:
        client.socket.send(data)
        error = client.closed()
        assert error.command == "ERROR"
        assert reason in error.document["message"]
        assert {"error", "message", "timestamp"} == set(error.document)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (CONNECT, "already connected"),
        (frame("BEGIN", {"transaction": "t"}), "transactions are not supported"),
        (frame("ACK"), "no header 'id'"),
        (frame("SEND", {"receipt": "r"}, "{}"), "no header 'destination'"),
        (frame("SUBSCRIBE", {"destination": "/topic/v1/users/1"}), "no header 'id'"),
        (frame("SUBSCRIBE", {"id": "twice", "destination": "/topic/v1/users/1"}) * 2, "more than one frame"),
        (b"\xff\xfe", "do not end with an empty line"),
        ("SEND\ndestination:/a\n\n" + "a" * 100, "does not end with a null byte"),
    ],
)
def test_a_bad_later_frame_ends_the_connection(emulator: Emulator, data: str | bytes, reason: str) -> None:
    with client_of(emulator.url, "ann") as client:
        client.socket.send(data)
        error = client.closed()
        assert (error.command, error.document["error"]) == ("ERROR", "ProtocolError")
        assert reason in error.document["message"]


@pytest.mark.parametrize("body", [5, [], "x"])
def test_a_body_that_is_no_object_is_a_client_error(emulator: Emulator, body: object) -> None:
    with client_of(emulator.url, "ann") as client:
        channel = client.do("/application/v1/user.createChannel", {"type": "PUBLIC", "name": "lobby"})["id"]
        at = f"/application/v1/channels/{channel}"
        for action in (
            "/application/v1/user.update",
            "/application/v1/user.createChannel",
            f"{at}.update",
            f"{at}.leave",
        ):
            answer = client.act(action, body).document
            assert answer["error"] == "ClientError"
            assert "not an object" in answer["message"]


def test_a_duplicate_subscription_id_ends_the_connection(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as client:
        topic = {"id": "same", "destination": client.user["_topics"]["self"]}
        client.send("SUBSCRIBE", topic)
        client.send("SUBSCRIBE", topic)
        assert "there is a subscription 'same' already" in client.closed().document["message"]


@pytest.mark.slow
def test_too_large_frames_end_the_connection(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as client:
        with suppress(ConnectionClosed):
            client.socket.send("a" * (MOST_FRAME_BYTES + 1))
        error = client.closed()
        assert (error.command, error.document["message"]) == ("ERROR", "the frame is too large")


def test_a_wrong_api_key_is_refused(emulator: Emulator) -> None:
    for key in ("wrong", "", "%FF"):
        with stomp(emulator.url, api_key=key) as client:
            error = client.closed()
            assert (error.command, error.document["error"]) == ("ERROR", "AccessDeniedError")


def test_a_websocket_at_another_path_is_refused(emulator: Emulator) -> None:
    with stomp(emulator.url, path="/elsewhere") as client:
        assert "no WebSocket at '/elsewhere'" in client.closed().document["message"]


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "http://[::1"])
def test_web_pages_of_other_machines_cannot_connect(emulator: Emulator, origin: str) -> None:
    with stomp(emulator.url, origin=origin) as client:
        error = client.closed()
        assert (error.command, error.document["error"]) == ("ERROR", "AccessDeniedError")


@pytest.mark.parametrize("origin", [None, "http://localhost:5173", "http://127.0.0.1:8080", "https://[::1]:3000"])
def test_web_pages_of_this_machine_can_connect(emulator: Emulator, origin: str | None) -> None:
    with stomp(emulator.url, origin=origin) as client:
        assert client.connect("ann").command == "CONNECTED"


def test_another_host_name_is_refused(emulator: Emulator) -> None:
    port = emulator.url.rpartition(":")[2]
    with (
        socket.create_connection(("127.0.0.1", int(port))) as raw,
        stomp("http://rebound.example:80", sock=raw) as client,
    ):
        error = client.closed()
        assert (error.command, error.document["error"]) == ("ERROR", "AccessDeniedError")
        assert "not as 'rebound.example'" in error.document["message"]


@pytest.mark.parametrize("missing", ["Sec-WebSocket-Key", "Sec-WebSocket-Version"])
def test_a_handshake_without_required_headers_is_refused(emulator: Emulator, missing: str) -> None:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    del headers[missing]
    answer = httpx.get(f"{emulator.url}/rtm/websocket", headers=headers, trust_env=False)
    assert answer.status_code in (400, 426)


def test_a_plain_request_to_the_websocket_path_is_a_404(emulator: Emulator) -> None:
    assert httpx.get(f"{emulator.url}/rtm/websocket", trust_env=False).status_code == 404


def test_an_emulator_that_cannot_write_refuses_clients(emulator: Emulator) -> None:
    with cold_emulator(None, unwritable="it is full") as full, stomp(full.url) as client:
        assert "it is full" in client.closed().document["message"]


def bad_frames(chance: random.Random) -> Callable[[StompClient], None]:
    """Return a random conversation, which may be valid or violate the protocol."""
    valid = [
        frame("SUBSCRIBE", {"id": "a", "destination": "/application/v1/user.relay"}),
        frame("SUBSCRIBE", {"id": "b", "destination": "/user/queue/errors", "receipt": "b"}),
        frame("SUBSCRIBE", {"id": "c", "destination": "/topic/v1/users/1.channels"}),
        frame("SEND", {"destination": "/application/user.createChannel", "receipt": "c"}, '{"type": "PUBLIC"}'),
        frame("SEND", {"destination": "/application/channels/1.message"}, '{"type": "TEXT", "body": "x"}'),
        frame("UNSUBSCRIBE", {"id": "c"}),
        frame("ACK", {"id": "1"}),
        "\n",
    ]

    def mangled(text: str) -> str | bytes:
        data = bytearray(text.encode())
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(len(data) + 1)
            how = chance.randrange(4)
            if how == 0:
                data[at:at] = bytes([chance.randrange(256)])
            elif how == 1:
                del data[at : at + chance.randint(1, 8)]
            elif how == 2:
                data[at:at] = data[: chance.randint(0, len(data))]
            else:
                data[at : at + 1] = chance.choice([b"\0", b"\n", b":", b"\\", b"\r\n", b"9", b"\xc3"])
        try:
            return data.decode() if chance.random() < 0.5 else bytes(data)
        except UnicodeDecodeError:
            return bytes(data)

    frames: list[str | bytes] = [CONNECT] if chance.random() < 0.9 else []
    for _ in range(chance.randint(1, 12)):
        text = chance.choice(valid)
        frames.append(mangled(text) if chance.random() < 0.4 else text)
    frames.append(mangled(chance.choice([CONNECT, *valid[:-1]])))

    def hold(client: StompClient) -> None:
        for data in frames:
            client.socket.send(data)

    return hold


def test_random_bad_conversations_end_with_an_error_frame(emulator: Emulator, quiet: pytest.LogCaptureFixture) -> None:
    chance = random.Random(20_26)
    errors = 0
    for number in range(CONVERSATIONS):
        hold = bad_frames(chance)
        with stomp(emulator.url) as client:
            with suppress(ConnectionClosed):
                hold(client)
            with suppress(ConnectionClosed):
                # An unsupported frame ends conversations that are still open.
                client.socket.send(frame("ABORT", {"receipt": str(number)}))
            last = client.closed()
        assert last.command == "ERROR", last
        assert last.document["error"] != "InternalError", last.document
        errors += last.document["message"] != "transactions are not supported: ABORT"
    assert errors > CONVERSATIONS / 2
    assert quiet.records == []
    with client_of(emulator.url, "zoe") as client:
        assert client.read(client.user["_relays"]["self"])["name"] == "zoe"


def test_a_slow_reader_is_disconnected_without_affecting_others(emulator: Emulator, client: httpx.Client) -> None:
    text = "x" * 500_000
    with client_of(emulator.url, "ann") as ann, stomp(emulator.url, max_queue=1) as slow:
        channel = ann.do(ann.user["_actions"]["createChannel"], {"type": "PUBLIC", "name": "news"})
        ann.listen(channel["_topics"]["messages"])
        slow.connect("bob")
        slow.listen(channel["_topics"]["messages"])
        while len(connected(client)) == 2:
            client.post(f"/v1/channels/{channel['id']}/messages", json={"type": "TEXT", "body": text})
            ann.event("channel.message.created")
        last = slow.closed()
        assert (last.command, last.document["error"]) == ("ERROR", "SlowConsumerError")
        assert connected(client) == ["ann"]


def connected(client: httpx.Client) -> list[str]:
    sessions = client.get("/v1/user-sessions?state=ACTIVE").json()["_embedded"]["sessions"]
    return [session["user"]["name"] for session in sessions]
