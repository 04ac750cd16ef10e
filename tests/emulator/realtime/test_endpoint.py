"""Limits and shutdown of the client endpoint."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.emulators import cold_emulator
from support.stomp import frame, stomp
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.realtime import endpoint, session

TESTS = Path(__file__).parents[2]
LOW_LIMIT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from support.emulators import cold_emulator
with cold_emulator(None):
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_a_client_beyond_the_limit_is_refused(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_CLIENTS", 2)
    with ExitStack() as opened:
        clients = [opened.enter_context(stomp(emulator.url)) for _ in range(3)]
        assert clients[0].connect("ann").command == "CONNECTED"
        assert clients[2].closed().document["error"] == "TooManyClientsError"


def test_a_client_that_sends_no_connect_frame_is_disconnected(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "CONNECT_TIMEOUT_S", 0.0)
    with stomp(emulator.url) as client:
        assert "did not CONNECT within" in client.closed().document["message"]


@pytest.mark.slow
def test_heart_beats_are_sent_and_expected(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "HEARTBEAT_S", 1.0)
    with stomp(emulator.url) as client, stomp(emulator.url) as without:
        assert client.connect("ann").headers["heart-beat"] == "1000,1000"
        without.send("CONNECT", {"accept-version": "1.2", "StompX-User": "bob"})
        assert without.next().headers["heart-beat"] == "0,0"
        assert client.socket.recv(timeout=20) == "\n"
        assert "was silent for" in client.closed().document["message"]
        without.send("UNSUBSCRIBE", {"id": "x", "receipt": "alive"})
        assert without.next().command == "RECEIPT"


def test_frames_wait_for_a_slow_action_of_the_same_client(emulator: Emulator) -> None:
    """All frames after CONNECT wait for the session, and many frames of one client do not block other clients."""
    with stomp(emulator.url) as client, stomp(emulator.url) as other:
        client.send("CONNECT", {"accept-version": "1.2", "StompX-User": "ann"})
        for number in range(500):
            client.send("SUBSCRIBE", {"id": str(number), "destination": "/application/v1/user.relay"})
        assert other.connect("bob").command == "CONNECTED"
        assert client.next().command == "CONNECTED"
        answers = [client.next().headers["subscription"] for _ in range(500)]
        assert answers == [str(number) for number in range(500)]


def test_clients_are_disconnected_when_the_emulator_stops() -> None:
    with ExitStack() as opened:
        with cold_emulator(None) as emulator:
            client = opened.enter_context(stomp(emulator.url))
            client.connect("ann")
        with pytest.raises(ConnectionClosed) as ended:
            client.next()
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == CloseCode.SERVICE_RESTART


def test_clients_are_disconnected_when_data_is_restored() -> None:
    with cold_emulator(None) as emulator:
        before = emulator.snapshot()
        with stomp(emulator.url) as client:
            client.connect("ann")
            emulator.restore(before)
            assert "data was restored" in client.closed().document["message"]


def test_a_fragmented_frame_is_reassembled(emulator: Emulator) -> None:
    text = frame("CONNECT", {"accept-version": "1.2", "StompX-User": "ann"})
    with stomp(emulator.url) as client:
        client.socket.send(iter([text[:5], text[5:30], text[30:]]))
        assert client.next().command == "CONNECTED"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of open files")
def test_the_limit_of_open_files_is_raised_for_many_clients() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    done = subprocess.run([sys.executable, "-c", LOW_LIMIT], capture_output=True, text=True, cwd=TESTS, check=True)
    assert int(done.stdout) == (10_240 if hard == resource.RLIM_INFINITY else min(hard, 10_240))
