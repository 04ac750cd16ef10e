"""WebSocket messages split at any byte, and frames while the writes of a turn are stored."""

from __future__ import annotations

import base64
import json
import os
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from support.killable import Killable
from support.stomp import StompClient, client_of
from support.talk import Talk
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.services import EmulatorServices

CONNECT = b"CONNECT\naccept-version:1.2\nStompX-User:ann\n\n\0"
READ = b"SUBSCRIBE\nid:%d\ndestination:/application/v1/user.relay\n\n\0"


@contextmanager
def upgraded(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as made:
        key = base64.b64encode(os.urandom(16)).decode()
        made.sendall(
            f"GET /rtm/websocket?api-key=emulator HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: v12.stomp\r\n\r\n".encode()
        )
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        assert until(made, b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        yield made


def until(made: socket.socket, end: bytes) -> bytes:
    """Return everything received up to `end`."""
    found = b""
    while end not in found:
        data = made.recv(65536)
        assert data, found
        found += data
    return found


def masked(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 64, 10_000])
def test_frames_can_be_split_at_any_byte(emulator: Emulator, size: int) -> None:
    data = masked(CONNECT) + masked(b"\n") + masked(READ % 1) + masked(READ % 2 + b"\n" * 300) + masked(READ % 3)
    with upgraded(emulator.url) as client:
        for start in range(0, len(data), size):
            client.sendall(data[start : start + size])
        found = until(client, b"subscription:3")
    assert found.index(b"CONNECTED") < found.index(b"subscription:1") < found.index(b"subscription:2")


def test_pings_and_fragments_are_accepted_between_messages(emulator: Emulator) -> None:
    with upgraded(emulator.url) as client:
        client.sendall(masked(CONNECT) + masked(READ % 1) + masked(b"hello", Opcode.PING) + masked(READ % 2))
        found = until(client, b"subscription:2")
        assert b"\x8a\x05hello" in (found if b"hello" in found else until(client, b"hello"))
        whole = READ % 3
        client.sendall(masked(whole[:9], fin=False) + masked(b"again", Opcode.PING))
        client.sendall(masked(whole[9:], Opcode.CONT) + masked(READ % 4))
        found = until(client, b"subscription:4")
        assert found.index(b"subscription:3") < found.index(b"subscription:4")


@pytest.mark.slow
def test_an_unmasked_message_ends_the_connection(emulator: Emulator) -> None:
    with upgraded(emulator.url) as client:
        client.sendall(masked(CONNECT))
        until(client, b"CONNECTED")
        client.sendall(Frame(Opcode.TEXT, READ % 1).serialize(mask=False))
        while client.recv(65536):
            pass


FAILURES = {
    "commit": (
        "CREATE TABLE dangling (id INTEGER REFERENCES messages DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TRIGGER failing AFTER INSERT ON messages WHEN new.body = 'bad' BEGIN"
        " INSERT INTO dangling VALUES (-1); END",
    ),
    "statement": (
        "CREATE TRIGGER failing AFTER INSERT ON messages WHEN new.body = 'bad' BEGIN"
        " SELECT raise(ROLLBACK, 'no space'); END",
    ),
}
"""SQL that makes a message `bad` roll back all writes of the same turn, by where the failure occurs."""


@contextmanager
def one_turn(emulator: Emulator) -> Iterator[None]:
    """Block the emulator's event loop, so that it reads everything sent in the meantime in one turn."""
    begun, over = threading.Event(), threading.Event()

    async def stand_still(_services: EmulatorServices) -> None:
        begun.set()
        over.wait()

    standing = threading.Thread(target=emulator.within, args=(stand_still,))
    standing.start()
    begun.wait()
    try:
        yield
    finally:
        over.set()
        standing.join()


def say(client: StompClient, channel: dict[str, Any], body: str, receipt: str) -> None:
    message = {"type": "TEXT", "body": body}
    client.send("SEND", {"destination": channel["_actions"]["message"], "receipt": receipt}, json.dumps(message))


def stored(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT body FROM messages ORDER BY id")]


def test_messages_of_one_turn_are_delivered_in_the_order_of_storage(
    emulator: Emulator, talk: Talk, tmp_path: Path
) -> None:
    with one_turn(emulator):
        for number in range(30):
            say(talk.ann, talk.channel, f"ann {number}", f"r{number}")
            say(talk.bob, talk.bobs, f"bob {number}", f"r{number}")
    orders = [[client.event("channel.message.created")["body"] for _ in range(60)] for client in (talk.ann, talk.bob)]
    assert orders[0] == orders[1] == stored(tmp_path / "emulator" / "emulator.db")
    for who in ("ann", "bob"):
        assert [body for body in orders[0] if body.startswith(who)] == [f"{who} {number}" for number in range(30)]


@pytest.mark.parametrize("failing", FAILURES)
def test_a_failed_turn_is_an_error_for_its_senders_and_invisible_to_others(
    emulator: Emulator, talk: Talk, tmp_path: Path, failing: str
) -> None:
    async def prepare(services: EmulatorServices) -> None:
        for sql in FAILURES[failing]:
            services.database.execute(sql)

    emulator.within(prepare)
    with one_turn(emulator):
        say(talk.ann, talk.channel, "good", "of ann")
        say(talk.bob, talk.bobs, "bad", "of bob")
    for client, name in ((talk.ann, "of ann"), (talk.bob, "of bob")):
        answer = client.next()
        assert (answer.command, answer.headers["receipt-id"]) == ("MESSAGE", name)
        assert answer.headers["destination"] == "/user/queue/v1/errors"
        assert "timestamp" in answer.document
        assert client.events() == []
    assert stored(tmp_path / "emulator" / "emulator.db") == []
    sent = talk.ann.do(talk.channel["_actions"]["message"], {"type": "TEXT", "body": "again"})
    assert talk.bob.event("channel.message.created") == sent


def test_messages_stored_before_a_failure_in_the_same_turn_are_delivered(emulator: Emulator, talk: Talk) -> None:
    async def prepare(services: EmulatorServices) -> None:
        for sql in FAILURES["commit"]:
            services.database.execute(sql)

    emulator.within(prepare)
    create = talk.ann.user["_actions"]["createChannel"]
    with one_turn(emulator):
        say(talk.ann, talk.channel, "good", "first")
        # This action uses a separate transaction, after which a new group of writes begins.
        talk.ann.send("SEND", {"destination": create, "receipt": "second"}, '{"type":"PUBLIC","name":"news"}')
        say(talk.ann, talk.channel, "bad", "third")
    receipts: dict[str, str] = {}
    while "third" not in receipts:
        answer = talk.ann.next()
        receipts |= {answer.headers["receipt-id"]: answer.command} if "receipt-id" in answer.headers else {}
    assert receipts == {"first": "RECEIPT", "second": "RECEIPT", "third": "MESSAGE"}
    assert talk.bob.event("channel.message.created")["body"] == "good"


def press(client: StompClient, channel: dict[str, Any], name: str, seen: set[str], enough: threading.Event) -> None:
    """Send messages until the emulator is killed; record those with a receipt, and messages from others."""
    with suppress(ConnectionClosed):
        for number in range(1_000_000):
            say(client, channel, f"{name} {number}", f"{name} {number}")
            while (found := client.next()).command != "RECEIPT":
                if found.document.get("type") == "channel.message.created":
                    seen.add(found.document["resource"]["body"])
            seen.add(found.headers["receipt-id"])
            if len(seen) > 200:
                enough.set()


def test_every_delivered_message_is_stored_when_the_emulator_is_killed(tmp_path: Path) -> None:
    emulator = Killable(tmp_path / "data")
    seen: dict[str, set[str]] = {name: set() for name in ("ann", "bob", "cid", "dan")}
    enough = threading.Event()
    with ExitStack() as opened:
        clients = {name: opened.enter_context(client_of(emulator.url, name)) for name in seen}
        channel = clients["ann"].do(clients["ann"].user["_actions"]["createChannel"], {"type": "PUBLIC", "name": "tea"})
        for name, client in clients.items():
            if name != "ann":
                assert client.act(f"/application/v1/channels/{channel['id']}.join").command == "RECEIPT"
            client.open_chat(channel)
        pressing = [
            threading.Thread(target=press, args=(client, channel, name, seen[name], enough))
            for name, client in clients.items()
        ]
        for thread in pressing:
            thread.start()
        assert enough.wait(60)
        emulator.kill()
        for thread in pressing:
            thread.join()
    assert set().union(*seen.values()) <= set(stored(tmp_path / "data" / "emulator.db"))
