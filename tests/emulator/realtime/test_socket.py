"""Bytes of a WebSocket, however they are divided."""

from __future__ import annotations

import base64
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from websockets.frames import Frame, Opcode

from ckfunc.emulator.emulator import Emulator

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
    """Return what comes until `end`."""
    found = b""
    while end not in found:
        data = made.recv(65536)
        assert data, found
        found += data
    return found


def masked(payload: bytes, opcode: Opcode = Opcode.TEXT, *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 64, 10_000])
def test_frames_may_be_divided_anywhere(emulator: Emulator, size: int) -> None:
    data = masked(CONNECT) + masked(b"\n") + masked(READ % 1) + masked(READ % 2 + b"\n" * 300) + masked(READ % 3)
    with upgraded(emulator.url) as client:
        for start in range(0, len(data), size):
            client.sendall(data[start : start + size])
        found = until(client, b"subscription:3")
    assert found.index(b"CONNECTED") < found.index(b"subscription:1") < found.index(b"subscription:2")


def test_pings_and_fragments_come_between_whole_messages(emulator: Emulator) -> None:
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
def test_a_message_without_a_mask_ends_the_connection(emulator: Emulator) -> None:
    with upgraded(emulator.url) as client:
        client.sendall(masked(CONNECT))
        until(client, b"CONNECTED")
        client.sendall(Frame(Opcode.TEXT, READ % 1).serialize(mask=False))
        while client.recv(65536):
            pass
