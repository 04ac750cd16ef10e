"""Snapshots of an emulator in memory, and copies of another emulator's data."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.commands import process_of
from support.emulators import cold_emulator
from support.loopback import http_client
from support.older_formats import make_first_format

from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.store.database import open_database
from ckfunc.emulator.store.database_file import MIGRATIONS, SCHEMA
from ckfunc.emulator.store.trouble import UnusableDatabase

TYPE = "some.event"


@pytest.fixture
def memory() -> Iterator[tuple[Emulator, httpx.Client]]:
    """An emulator in memory, and a client that has signed in."""
    with cold_emulator(None) as emulator, signed_in(emulator.url) as client:
        yield emulator, client


@contextmanager
def signed_in(url: str) -> Iterator[httpx.Client]:
    with http_client(url) as client:
        answer = client.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"})
        client.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def deploy(client: httpx.Client, script: str) -> int:
    made = client.post("/v1/runtimes/nodejs/functions", json={"type": TYPE, "name": "N"})
    number = made.json().get("id", 1)
    assert client.post(f"/v1/functions/{number}/versions", json={"handlerScript": script}).status_code == 200
    return int(number)


def trigger(client: httpx.Client, **data: Any) -> dict[str, Any]:
    answer = client.post("/emulator/trigger", json={"type": TYPE, "data": data})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["invocation"]
    return found


def add_user(client: httpx.Client, name: str) -> int:
    return int(client.post("/v1/users", json={"name": name, "displayName": name, "isGuest": False}).json()["id"])


def names(client: httpx.Client) -> list[str]:
    found = client.get("/v1/users").json()["_embedded"]["users"]
    return [snapshot["name"] for snapshot in found]


def test_a_restore_brings_back_the_data_and_the_next_ids(memory: tuple[Emulator, httpx.Client]) -> None:
    emulator, client = memory
    add_user(client, "ann")
    before = emulator.snapshot()
    made = add_user(client, "bob")
    assert names(client) == ["ann", "bob"]
    emulator.restore(before)
    assert names(client) == ["ann"]
    assert add_user(client, "cy") == made
    emulator.restore(before)
    emulator.restore(before)
    assert names(client) == ["ann"]


def test_a_restore_resets_the_invocation_ids_and_keeps_the_process(memory: tuple[Emulator, httpx.Client]) -> None:
    emulator, client = memory
    deploy(client, "let n = 0; function handleEvent() { n += 1; return [process.pid, n]; }")
    before = emulator.snapshot()
    runs = []
    for _ in range(3):
        runs.append(trigger(client))
        emulator.restore(before)
    assert [run["id"] for run in runs] == [1, 1, 1]
    assert [run["result"]["payload"][1] for run in runs] == [1, 2, 3]
    assert len({run["result"]["payload"][0] for run in runs}) == 1
    assert client.get("/v1/functions/1/invocations").json()["page"]["totalElements"] == 0


def test_a_restore_brings_back_functions_and_the_runtime(memory: tuple[Emulator, httpx.Client]) -> None:
    emulator, client = memory
    environment = "/v1/runtimes/nodejs/environment-variables"
    script = "function handleEvent() { return ['%s', process.env.COLOUR] }"
    deploy(client, script % "old")
    assert client.put(environment, json={"COLOUR": "red"}).status_code == 200
    before = emulator.snapshot()
    deploy(client, script % "new")
    client.put(environment, json={"COLOUR": "blue"})
    assert trigger(client)["result"] == {"payload": ["new", "blue"]}
    emulator.restore(before)
    assert trigger(client)["result"] == {"payload": ["old", "red"]}
    deploy(client, script % "other")
    found = trigger(client)
    assert (found["versionNumber"], found["result"]["payload"]) == (2, ["other", "red"])


def test_late_requests_of_an_earlier_run_are_refused_after_a_restore(memory: tuple[Emulator, httpx.Client]) -> None:
    emulator, client = memory
    deploy(
        client,
        """
        async function handleEvent(event: any, context: any) {
          await context.ChatKitty.Users.listUsers();
          setTimeout(() => context.ChatKitty.Users.createUser({ name: 'late', displayName: 'L', isGuest: false }), 300);
        }
        """,
    )
    before = emulator.snapshot()
    trigger(client)
    emulator.restore(before)
    second = trigger(client)
    until = time.monotonic() + 60
    while "late" not in names(client) and time.monotonic() < until:
        time.sleep(0.02)
    (detail,) = client.get("/emulator/invocations", params={"ids": second["id"]}).json()["invocations"]
    # The late request of the first run was refused; only that of the second run succeeded.
    assert names(client) == ["late"]
    assert [(call["method"], call["status"]) for call in detail["calls"]] == [("GET", 200), ("POST", 200)]


def test_a_restore_waits_for_running_invocations(memory: tuple[Emulator, httpx.Client]) -> None:
    emulator, client = memory
    deploy(client, "async function handleEvent() { await new Promise((done) => setTimeout(done, 400)); return 1; }")
    before = emulator.snapshot()
    trigger(client)  # Start the process.
    runs: list[dict[str, Any]] = []
    with signed_in(emulator.url) as other:
        running = threading.Thread(target=lambda: runs.append(trigger(other)))
        running.start()
        until = time.monotonic() + 30
        while client.get("/v1/functions/1/invocations").json()["page"]["totalElements"] < 2:
            assert time.monotonic() < until
        emulator.restore(before)
        running.join()
    assert runs[0]["result"] == {"payload": 1}
    assert client.get("/v1/functions/1/invocations").json()["page"]["totalElements"] == 0


def test_another_emulator_can_continue_from_a_snapshot(memory: tuple[Emulator, httpx.Client]) -> None:
    emulator, client = memory
    add_user(client, "ann")
    with cold_emulator(None) as other:
        other.restore(emulator.snapshot())
        with signed_in(other.url) as there:
            assert names(there) == ["ann"]
            here = client.get("/v1/users").headers["x-ckfunc-emulator"]
            assert there.get("/v1/users").headers["x-ckfunc-emulator"] == here


def test_a_stopped_emulator_or_one_with_a_file_has_no_memory_snapshot(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        cold_emulator(None).snapshot()
    with cold_emulator(tmp_path) as emulator:
        with pytest.raises(ValueError, match="in memory"):
            emulator.snapshot()
        with pytest.raises(ValueError, match="in memory"):
            emulator.restore(b"")


# -- copies ------------------------------------------------------------------------------------------------------------


def copied_names(data: Path) -> list[str]:
    with (
        cold_emulator(None, copy_of=data) as emulator,
        signed_in(emulator.url) as client,
    ):
        found = names(client)
        add_user(client, "only in the copy")
        return found


def test_a_copy_starts_with_the_data_of_a_running_emulator_and_does_not_change_it(tmp_path: Path) -> None:
    with cold_emulator(tmp_path) as emulator, signed_in(emulator.url) as client:
        add_user(client, "ann")
        assert copied_names(tmp_path) == ["ann"]
        assert names(client) == ["ann"]
        with cold_emulator(None, copy_of=tmp_path) as copy, signed_in(copy.url) as there:
            here = client.get("/v1/users").headers["x-ckfunc-emulator"]
            assert there.get("/v1/users").headers["x-ckfunc-emulator"] != here
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert copied_names(tmp_path) == ["ann"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_copy_of_the_data_of_a_killed_emulator_is_complete(tmp_path: Path) -> None:
    program = [sys.executable, "-m", "ckfunc", "emulator", "--port", "0", "--data-dir", str(tmp_path)]
    with process_of(program, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        with signed_in(process.stdout.readline().split()[1]) as client:
            add_user(client, "ann")
        os.kill(process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    assert copied_names(tmp_path) == ["ann"]
    assert copied_names(tmp_path) == ["ann"]


def test_a_copy_of_an_older_format_is_migrated_and_the_file_is_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    open_database(path, SCHEMA, MIGRATIONS).close()
    with closing(sqlite3.connect(path)) as older:
        make_first_format(older)
        older.commit()
    assert copied_names(tmp_path) == []
    with closing(sqlite3.connect(path)) as older:
        assert older.execute("PRAGMA user_version").fetchone() == (1,)


def test_a_new_empty_file_is_copied_as_an_empty_emulator(tmp_path: Path) -> None:
    (tmp_path / "emulator.db").touch()
    assert copied_names(tmp_path) == []


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_a_file_that_is_not_a_database_cannot_be_copied(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "emulator.db").write_bytes(content)
    with pytest.raises(UnusableDatabase, match=r"emulator\.db"):
        cold_emulator(None, copy_of=tmp_path).start()


def test_a_newer_format_cannot_be_copied(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    open_database(path, SCHEMA, MIGRATIONS).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
        newer.commit()
    with pytest.raises(UnusableDatabase, match="newer ckfunc"):
        cold_emulator(None, copy_of=tmp_path).start()
