"""Limits of the server: heads, bodies, pipelines, slow clients and connections."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any, cast

import pytest
from support.emulators import cold_emulator

from ckfunc.emulator import server
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.server import JoinedWrites, LimitedConnection, most_connections

HEALTH = b"GET /emulator/health HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
CHUNKED = b"POST /oauth/token HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with cold_emulator(None) as running:
        yield running


def connected(emulator: Emulator) -> socket.socket:
    host, _, port = emulator.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=60)


def answer(connection: socket.socket) -> tuple[int, Any]:
    """Read one complete response; the status is 0 if the connection is closed without a response."""
    received = b""
    with suppress(ConnectionError):
        while data := connection.recv(65536):
            received += data
            head, blank, body = received.partition(b"\r\n\r\n")
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            if blank and len(body) >= int(lengths[0].split(b":")[1]):
                return int(head[9:12]), json.loads(body)
    return 0, None


def sent(emulator: Emulator, data: bytes) -> tuple[int, Any]:
    with closing(connected(emulator)) as connection:
        connection.sendall(data)
        return answer(connection)


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 200_000, 431, "larger than 64 KiB"),
        (b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", 431, "larger than 64 KiB"),
        (b"GET / HTTP/1.1\r\nhost: a\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431, "more than 128 headers"),
        (b"GET / HTTP/1.1\r\n" + b"a" * 200_000, 431, "larger than 64 KiB"),
        (b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nhost: a\r\n\r\n", 414, "longer than 64 KiB"),
        (b"GET /?" + b"x" * 1_000_000, 414, "longer than 64 KiB"),
        (b"nonsense\r\n\r\n", 400, "not valid HTTP/1.1"),
        (CHUNKED + b"1;" + b"a" * 300_000, 400, "chunks of the body"),
        (CHUNKED + b"1\r\nx\r\n" * 50_000, 400, "chunks of the body"),
        (CHUNKED + b"1\r\nx\r\n0\r\n" + b"a: b\r\n" * 50_000, 400, "chunks of the body"),
    ],
    ids=["value", "whole", "many", "name", "path", "query", "nonsense", "extension", "tiny-chunks", "trailers"],
)
def test_a_request_above_a_limit_is_refused_with_a_json_error(
    emulator: Emulator, data: bytes, status: int, reason: str
) -> None:
    found, document = sent(emulator, data)
    assert (found, set(document)) == (status, {"error", "message", "explanation", "timestamp"})
    assert reason in document["explanation"]
    assert sent(emulator, HEALTH)[0] == 200


def test_an_endless_request_head_is_refused_early(emulator: Emulator) -> None:
    taken = 0
    with closing(connected(emulator)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nx: ")
        with suppress(ConnectionError):
            while taken < 300_000_000:
                connection.sendall(b"a" * 1_000_000)
                taken += 1_000_000
    assert taken < 100_000_000
    assert sent(emulator, HEALTH)[0] == 200


def test_trailers_do_not_become_headers(emulator: Emulator) -> None:
    form = b"19\r\ngrant_type=authorization&a=1\r\n0\r\nauthorization: Basic eDp5\r\n\r\n"
    status, document = sent(emulator, CHUNKED + form.replace(b"19\r\n", b"1c\r\n"))
    assert (status, document["error"]) == (400, "unsupported_grant_type")


@pytest.mark.parametrize(
    "first_line", [b"GET /emulator/health HTTP/1.0", b"GET /nothing HTTP/1.1\r\nconnection: close"]
)
def test_a_connection_is_closed_after_the_answer_if_the_client_asks_for_it(
    emulator: Emulator, first_line: bytes
) -> None:
    with closing(connected(emulator)) as connection:
        connection.sendall(first_line + b"\r\nhost: 127.0.0.1\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"\r\nconnection: close" in head
    assert f"\r\ncontent-length: {len(body)}".encode() in head
    assert json.loads(body)


def test_the_answer_to_head_has_the_length_of_the_body_and_no_body(emulator: Emulator) -> None:
    with closing(connected(emulator)) as connection:
        connection.sendall(b"HEAD /emulator/health HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    assert int(head.split(b"content-length: ")[1].split(b"\r\n")[0]) > 10
    assert body == b""


def test_a_thousand_pipelined_requests_are_all_answered(emulator: Emulator) -> None:
    count = 1000
    with closing(connected(emulator)) as connection:
        connection.sendall(HEALTH * count + HEALTH.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        received = b""
        while data := connection.recv(1_000_000):
            received += data
    assert received.count(b"HTTP/1.1 200 OK\r\n") == count + 1


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("HEAD_TIMEOUT_S", b"GET / HTTP/1.1\r\nho", "the head of the request did not arrive"),
        ("SILENCE_TIMEOUT_S", CHUNKED + b"5\r\nab", "nothing of the body arrived"),
    ],
)
def test_a_request_that_arrives_too_slowly_is_a_408(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, name: str, data: bytes, reason: str
) -> None:
    with closing(connected(emulator)) as connection:
        connection.sendall(data)
        monkeypatch.setattr(server, name, -1.0)
        status, document = answer(connection)
    assert status == 408
    assert reason in document["explanation"]


def test_an_idle_connection_is_closed(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(connected(emulator)) as connection:
        monkeypatch.setattr(server, "IDLE_TIMEOUT_S", -1.0)
        assert connection.recv(1) == b""


def test_idle_connections_are_closed_to_make_room_for_new_ones(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedConnection, "_most", 5)
    idle = [connected(emulator) for _ in range(20)]
    assert sent(emulator, HEALTH)[0] == 200
    assert idle[0].recv(1) == b""
    for connection in idle:
        connection.close()


def test_a_new_connection_gets_a_503_if_all_others_are_busy(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LimitedConnection, "_most", 3)
    busy = [connected(emulator) for _ in range(3)]
    for connection in busy:
        connection.sendall(CHUNKED.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 ")
    assert sent(emulator, HEALTH)[0] == 503
    for connection in busy:
        connection.close()


def test_the_connection_limit_leaves_room_for_other_open_files() -> None:
    assert 16 <= most_connections() <= server.MOST_CONNECTIONS


async def abandoned() -> list[dict[str, Any]]:
    """Write after a client has reset its connection, and return the errors that the event loop reports."""
    loop, errors = asyncio.get_running_loop(), list[dict[str, Any]]()
    loop.set_exception_handler(lambda _, error: errors.append(error))
    made: asyncio.Future[JoinedWrites] = loop.create_future()
    lost = loop.create_future()

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.set_result(JoinedWrites(cast(asyncio.Transport, transport)))

        def connection_lost(self, exc: Exception | None) -> None:
            lost.set_result(None)

    listening = await loop.create_server(Connection, "127.0.0.1", 0)
    with closing(listening):
        _, client = await asyncio.open_connection(*listening.sockets[0].getsockname())
        transport = await made
        client.transport.abort()
        await lost
        await asyncio.sleep(0)
        assert transport.is_closing()
        transport.write(b"the rest of a file")
        await asyncio.sleep(0)
        transport.write(b"and more")
        transport.close()
    return errors


def test_writes_to_a_client_that_has_left_are_dropped_without_an_error() -> None:
    uvloop = pytest.importorskip("uvloop", reason="uvloop does not exist for Windows")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(abandoned()) == []
