"""Lifecycle of an emulator: start, stop, data and locks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from emulator.test_dispatch import deploy
from support.loopback import http_client

from ckfunc.base.errors import Busy, CkfuncError
from ckfunc.base.files import cache_dir
from ckfunc.emulator.data_directory import find_running
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.services import EmulatorServices

SERVE = """
import sys
import time
from pathlib import Path
from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
Emulator(Path(sys.argv[1]), cache=cache_dir()).run_forever(lambda url: print(url, flush=True))
print("ended", flush=True)
"""
RUNTIME = "/v1/runtimes/nodejs"


def started(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:"), url
    return process, url


def signed_in(url: str) -> httpx.Client:
    with http_client(url) as asking:
        grant = {"grant_type": "client_credentials"}
        token = asking.post("/oauth/token", auth=("emulator", "emulator"), data=grant).json()["access_token"]
    client = http_client(url)
    client.headers["authorization"] = f"Bearer {token}"
    return client


@contextlib.contextmanager
def running(data_dir: Path | None, options: EmulatorOptions | None = None) -> Iterator[tuple[Emulator, httpx.Client]]:
    emulator = Emulator(data_dir, options, cache=cache_dir())
    emulator.start()
    try:
        with signed_in(emulator.url) as client:
            yield emulator, client
    finally:
        emulator.stop()


def test_data_and_identity_survive_a_restart_but_tokens_do_not(tmp_path: Path) -> None:
    with running(tmp_path) as (_, client):
        named = client.get("/emulator/health").json()["id"]
        client.put(f"{RUNTIME}/environment-variables", json={"A": "1"})
        key = client.get("/v1/application").json()["key"]
        token = client.headers["authorization"]
    with running(tmp_path) as (_, client):
        assert client.get("/emulator/health").json()["id"] == named
        assert client.get("/v1/application").json()["key"] == key
        assert client.get(RUNTIME).json()["environmentVariables"]["A"] == "1"
        assert client.get("/v1/application", headers={"authorization": token}).status_code == 401


def test_a_killed_emulator_leaves_intact_data_and_an_unlocked_directory(tmp_path: Path) -> None:
    process, url = started(tmp_path)
    try:
        with signed_in(url) as client:
            for number in range(20):
                client.put(f"{RUNTIME}/environment-variables", json={"N": str(number)})
            named = client.get("/emulator/health").json()["id"]
        assert find_running(tmp_path) == url
    finally:
        process.kill()
        process.communicate()
    assert find_running(tmp_path) is None
    with running(tmp_path) as (emulator, client):
        assert client.get(RUNTIME).json()["environmentVariables"]["N"] == "19"
        assert client.get("/emulator/health").json()["id"] == named
        assert find_running(tmp_path) == emulator.url


def test_unfinished_runs_of_a_killed_emulator_are_marked_as_failed(tmp_path: Path) -> None:
    with running(tmp_path) as (_, client):
        made = client.post(f"{RUNTIME}/functions", json={"type": "a.b", "name": "A"}).json()["id"]
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator.db")) as database:
        database.execute(
            "INSERT INTO invocations VALUES (7, ?, 1, 1, '{}', 'RUNNING', '{}', '2024-01-01T00:00:00.000Z')", (made,)
        )
        database.commit()
    with running(tmp_path) as (_, client):
        (found,) = client.get(f"/v1/functions/{made}/invocations").json()["_embedded"]["invocations"]
        assert found["status"] == "FAILED"
        assert found["result"]["error"]["message"] == "the emulator stopped before this run ended"
        detail = client.get("/emulator/invocations?ids=7").json()["invocations"]
        assert detail == [{"id": 7, "console": [], "durationMs": 0.0, "calls": [], "callsOmitted": 0}]


def test_a_second_emulator_on_the_same_directory_is_refused_and_names_the_first(tmp_path: Path) -> None:
    with running(tmp_path) as (emulator, client):
        with pytest.raises(Busy) as refused:
            Emulator(tmp_path, cache=cache_dir()).start()
        assert emulator.url in refused.value.message
        assert str(os.getpid()) in refused.value.message
        assert client.get("/v1/application").status_code == 200
        assert find_running(tmp_path) == emulator.url


def test_a_port_in_use_is_refused_with_a_hint_and_unlocks_the_directory(tmp_path: Path) -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Busy, match=str(port)) as refused:
            Emulator(tmp_path, EmulatorOptions(port=port), cache=cache_dir()).start()
    assert "--port" in (refused.value.hint or "")
    with running(tmp_path):
        pass
    with pytest.raises(Busy, match="cannot listen"):
        Emulator(None, EmulatorOptions(port=70_000), cache=cache_dir()).start()


def test_an_emulator_without_a_directory_saves_no_data() -> None:
    with running(None) as (_, client):
        first = client.get("/emulator/health").json()
        assert first["dataDir"] is None
    with running(None) as (_, client):
        assert client.get("/emulator/health").json()["id"] != first["id"]


def test_stopping_an_emulator_removes_its_address_and_can_be_repeated(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path, cache=cache_dir())
    emulator.start()
    assert find_running(tmp_path) == emulator.url
    emulator.stop()
    emulator.stop()
    assert find_running(tmp_path) is None
    assert not (tmp_path / "address.json").exists()


@pytest.mark.parametrize(
    "noted", ["", "[]", "[" * 100_000, '{"url": 1}', '{"url": "http://127.0.0.1:1", "pid": 1, "databaseId": "x"}']
)
def test_a_recorded_address_without_a_running_emulator_is_ignored(tmp_path: Path, noted: str) -> None:
    (tmp_path / "address.json").write_text(noted)
    assert find_running(tmp_path) is None


def test_a_recorded_address_of_another_database_is_ignored(tmp_path: Path) -> None:
    with running(tmp_path) as (emulator, _):
        noted = {"url": emulator.url, "pid": 1, "databaseId": "another"}
        (tmp_path / "address.json").write_text(json.dumps(noted))
        assert find_running(tmp_path) is None


def test_a_database_of_a_newer_version_is_refused_and_not_changed(tmp_path: Path) -> None:
    with running(tmp_path):
        pass
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator.db")) as database:
        database.execute("PRAGMA user_version = 999")
    with pytest.raises(CkfuncError, match="newer ckfunc") as refused:
        Emulator(tmp_path, cache=cache_dir()).start()
    assert "upgrade" in (refused.value.hint or "")
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator.db")) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (999,)


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "emulator.db").write_bytes(b"not a database, whatever its name says" * 100)
    with pytest.raises(CkfuncError, match="cannot be used"):
        Emulator(tmp_path, cache=cache_dir()).start()


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be sent signals on Windows")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_stops_a_foreground_emulator_cleanly(tmp_path: Path, name: str) -> None:
    process, _ = started(tmp_path)
    process.send_signal(signal.Signals[name])
    output, _ = process.communicate(timeout=30)
    assert output == "ended\n"
    assert process.returncode == 0
    assert not (tmp_path / "address.json").exists()


def test_an_open_connection_does_not_delay_the_stop(tmp_path: Path) -> None:
    with running(tmp_path) as (emulator, client):
        assert client.get("/v1/application").status_code == 200
        emulator.stop()
        with pytest.raises(httpx.TransportError):
            client.get("/v1/application")


@pytest.mark.parametrize(
    ("host", "message", "hint"),
    [
        ("no.such.host.invalid", "'no.such.host.invalid' is not an address of this machine", "choose another host"),
        ("a" * 70, "is not an address of this machine", "choose another host"),
        ("192.0.2.1", "cannot listen on 192.0.2.1:0: ", "choose an address of this machine"),
        ("[2001:db8::1]", r"cannot listen on \[2001:db8::1\]:0: ", "choose an address of this machine"),
    ],
)
def test_a_host_that_is_not_this_machine_is_refused_with_a_hint(host: str, message: str, hint: str) -> None:
    with pytest.raises(CkfuncError, match=message) as caught:
        Emulator(None, EmulatorOptions(host=host), cache=cache_dir()).start()
    assert hint in (caught.value.hint or "")


def test_a_port_in_use_is_refused_with_a_hint_to_choose_another_port() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CkfuncError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use") as caught:
            Emulator(None, EmulatorOptions(port=port), cache=cache_dir()).start()
    assert "another --port" in (caught.value.hint or "")


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_the_ipv6_loopback_address_can_be_served(host: str) -> None:
    try:
        with contextlib.closing(socket.create_server(("::1", 0), family=socket.AF_INET6)):
            pass
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    with running(None, EmulatorOptions(host=host)) as (emulator, client):
        assert emulator.url.startswith("http://[::1]:")
        assert client.get("/v1/application").json()["_links"]["self"]["href"].startswith(emulator.url)


def test_every_ipv6_address_includes_the_ipv4_loopback_address() -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6, or does not combine it with IPv4")
    with running(None, EmulatorOptions(host="::")) as (emulator, client):
        assert emulator.url.startswith("http://127.0.0.1:")
        assert client.get("/v1/application").status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.slow
def test_no_handler_process_survives_the_end_of_its_emulator(tmp_path: Path) -> None:
    script = "function handleEvent(event: any) { while (event.loop) {} return process.pid }"
    for end in (signal.SIGTERM, signal.SIGKILL):
        process, url = started(tmp_path / end.name)
        try:
            with signed_in(url) as client:
                made = client.post(f"{RUNTIME}/functions", json={"type": "a.b", "name": "A"}).json()["id"]
                client.post(f"/v1/functions/{made}/versions", json={"handlerScript": script})
                answer = client.post("/emulator/trigger", json={"type": "a.b", "data": {}}).json()
                handler = Path("/proc") / str(answer["invocation"]["result"]["payload"])
                assert handler.exists()
                with pytest.raises(httpx.ReadTimeout):
                    client.post("/emulator/trigger", json={"type": "a.b", "data": {"loop": True}}, timeout=0.3)
        finally:
            process.send_signal(end)
            process.communicate()
        for _ in range(1000):
            if not handler.exists():
                break
            time.sleep(0.01)
        assert not handler.exists(), end


WHERE = "function handleEvent() { return { pid: process.pid, greeting: process.env.GREETING ?? null } }"


async def booted_ahead(services: EmulatorServices) -> int | None:
    """Wait for the process started in advance, and return its id; None if there is no such process."""
    while services.dispatch.booting:
        await asyncio.sleep(0.005)
    (spare,) = services.hosts.process_ids or (None,)
    return spare


def process_of_run(client: httpx.Client) -> dict[str, Any]:
    answer = client.post("/emulator/trigger", json={"type": "user.sent.message", "data": {}})
    payload: dict[str, Any] = answer.json()["invocation"]["result"]["payload"]
    return payload


def test_the_first_event_after_a_start_runs_in_a_process_started_in_advance(tmp_path: Path) -> None:
    with running(tmp_path) as (emulator, client):
        assert emulator.within(booted_ahead) is None  # No function is deployed yet.
        deploy(client, "user.sent.message", WHERE)
    with running(tmp_path) as (emulator, client):
        ahead = emulator.within(booted_ahead)
        assert process_of_run(client)["pid"] == ahead


def test_a_process_started_with_an_outdated_environment_is_not_used(tmp_path: Path) -> None:
    with running(tmp_path) as (_, client):
        deploy(client, "user.sent.message", WHERE)
    with running(tmp_path) as (emulator, client):
        ahead = emulator.within(booted_ahead)
        answer = client.put(f"{RUNTIME}/environment-variables", json={"GREETING": "hello"})
        assert answer.status_code == 200, answer.text
        found = process_of_run(client)
        assert found["greeting"] == "hello"
        assert found["pid"] != ahead


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\n<p/>",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"[" * 20_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 100_000,
    ],
    ids=["not HTTP", "not found", "huge", "nested", "endless"],
)
def test_another_program_at_a_recorded_address_is_ignored(tmp_path: Path, answer: bytes) -> None:
    def respond() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(answer)
            while answer.startswith(b"HTTP") and time.monotonic() < deadline:
                connection.sendall(b" ")
                time.sleep(0.05)

    deadline = time.monotonic() + 8
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as server:
        thread = threading.Thread(target=respond)
        thread.start()
        noted = {"url": f"http://127.0.0.1:{server.getsockname()[1]}", "pid": 1, "databaseId": "x"}
        (tmp_path / "address.json").write_text(json.dumps(noted))
        assert find_running(tmp_path) is None
        assert time.monotonic() < deadline
        thread.join()
