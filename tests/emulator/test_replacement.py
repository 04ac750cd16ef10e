"""Named snapshots of a running emulator, and reset."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from emulator.conftest import sign_in
from support.emulators import cold_emulator
from support.killable import Killable
from support.loopback import http_client
from support.stomp import client_of
from websockets.exceptions import ConnectionClosed

from ckfunc.emulator.data import SnapshotExists, Snapshots
from ckfunc.emulator.data_directory import find_running
from ckfunc.emulator.emulator import Emulator

TYPE = "some.event"
ATTEMPTS = 10


@pytest.fixture(params=["file", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[httpx.Client]:
    """A client of an emulator with a data directory, and of an emulator in memory."""
    with (
        cold_emulator(tmp_path / "data" if request.param == "file" else None) as emulator,
        http_client(emulator.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        yield client


def add(client: httpx.Client, name: str) -> None:
    assert client.post("/v1/users", json={"name": name, "displayName": name}).status_code == 200


def names(client: httpx.Client) -> list[str]:
    return [user["name"] for user in client.get("/v1/users").json().get("_embedded", {}).get("users", [])]


def save(client: httpx.Client, name: str, **body: Any) -> httpx.Response:
    return client.put(f"/emulator/snapshots/{name}", json=body)


def restore(client: httpx.Client, name: str) -> httpx.Response:
    return client.post(f"/emulator/snapshots/{name}/restore")


def listed(client: httpx.Client) -> list[str]:
    return [snapshot["name"] for snapshot in client.get("/emulator/snapshots").json()["snapshots"]]


def deploy(client: httpx.Client, script: str) -> None:
    made = client.post("/v1/runtimes/nodejs/functions", json={"type": TYPE, "name": "N"})
    number = made.json().get("id", 1)
    assert client.post(f"/v1/functions/{number}/versions", json={"handlerScript": script}).status_code == 200


def trigger(client: httpx.Client) -> Any:
    return client.post("/emulator/trigger", json={"type": TYPE, "data": {}}).json()["invocation"]["result"]


def test_a_restored_snapshot_has_all_data(anywhere: httpx.Client) -> None:
    add(anywhere, "ann")
    deploy(anywhere, "function handleEvent() { return 'old'; }")
    saved = save(anywhere, "one").json()
    assert (saved["name"], saved["sizeBytes"] > 0) == ("one", True)
    add(anywhere, "bob")
    deploy(anywhere, "function handleEvent() { return 'new'; }")
    assert trigger(anywhere) == {"payload": "new"}
    before = anywhere.get("/emulator/health").json()["id"]
    assert restore(anywhere, "one").json() == saved
    assert names(anywhere) == ["ann"]
    assert trigger(anywhere) == {"payload": "old"}
    add(anywhere, "cy")
    assert restore(anywhere, "one").status_code == 200
    assert names(anywhere) == ["ann"]
    assert anywhere.get("/emulator/health").json()["id"] != before
    assert anywhere.get("/v1/functions/1/invocations").json()["page"]["totalElements"] == 0


def test_a_reset_deletes_all_data_except_the_snapshots(anywhere: httpx.Client) -> None:
    add(anywhere, "ann")
    save(anywhere, "one")
    assert anywhere.post("/emulator/reset").status_code == 200
    assert names(anywhere) == []
    assert anywhere.get("/v1/runtimes/nodejs/functions").json()["page"]["totalElements"] == 0
    assert listed(anywhere) == ["one"]
    assert restore(anywhere, "one").status_code == 200
    assert names(anywhere) == ["ann"]


def test_snapshots_are_listed_replaced_and_removed(anywhere: httpx.Client) -> None:
    assert listed(anywhere) == []
    for name in ("one", "two"):
        assert save(anywhere, name).status_code == 200
    assert set(listed(anywhere)) == {"one", "two"}
    again = save(anywhere, "one")
    assert again.status_code == 400
    assert "snapshot 'one' already exists" in again.json()["explanation"]
    add(anywhere, "ann")
    assert save(anywhere, "one", replace=True).status_code == 200
    anywhere.post("/emulator/reset")
    restore(anywhere, "one")
    assert names(anywhere) == ["ann"]
    assert anywhere.delete("/emulator/snapshots/two").json()["name"] == "two"
    assert listed(anywhere) == ["one"]
    for refused in (restore(anywhere, "two"), anywhere.delete("/emulator/snapshots/two")):
        assert refused.status_code == 404
        assert "there is no snapshot 'two'; existing snapshots: one" in refused.json()["explanation"]


@pytest.mark.parametrize("name", ["..", ".hidden", "a%2Fb", "a%00", "-a", "a.", "x" * 65, "%C3%A9", "a%20b"])
def test_a_snapshot_name_that_is_not_a_plain_file_name_is_refused(
    client: httpx.Client, tmp_path: Path, name: str
) -> None:
    answers = [save(client, name), restore(client, name), client.delete(f"/emulator/snapshots/{name}")]
    assert {answer.status_code for answer in answers} <= {400, 404}
    assert not (tmp_path / "emulator/snapshots").exists()


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX permissions")
def test_a_snapshot_file_is_only_readable_by_its_owner(client: httpx.Client, tmp_path: Path) -> None:
    assert client.put("/emulator/snapshots/one").is_success
    (saved,) = tmp_path.rglob("one.db")
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_a_symlink_in_place_of_the_snapshot_directory_is_not_followed(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "emulator/snapshots").symlink_to(tmp_path / "elsewhere")
    answer = save(client, "one")
    assert answer.status_code == 400
    assert "symbolic link" in answer.json()["explanation"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_restored_emulator_is_still_found_and_its_data_survives_a_restart(tmp_path: Path) -> None:
    with cold_emulator(tmp_path) as emulator, http_client(emulator.url) as client:
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        add(client, "ann")
        save(client, "one")
        add(client, "bob")
        restore(client, "one")
        assert find_running(tmp_path) == emulator.url
        add(client, "cy")
    assert not [path for path in (tmp_path / "snapshots").iterdir() if path.name != "one.db"]
    with cold_emulator(tmp_path) as emulator, http_client(emulator.url) as client:
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        assert names(client) == ["ann", "cy"]


def test_clients_are_disconnected_with_the_reason_and_can_connect_again(
    emulator: Emulator, client: httpx.Client
) -> None:
    save(client, "empty")
    with client_of(emulator.url, "ann") as ann:
        save(client, "connected")
        restore(client, "connected")
        error = ann.until(lambda frame: frame.command == "ERROR")
        assert "the emulator's data was replaced with snapshot connected" in error.body
        with pytest.raises(ConnectionClosed):
            ann.next()
        assert client.get("/v1/users/1").json()["presence"]["online"] is False
    with client_of(emulator.url, "ann"):
        assert names(client) == ["ann"]
        restore(client, "empty")
    assert names(client) == []


def test_a_restore_waits_for_running_handlers_and_their_requests(client: httpx.Client, emulator: Emulator) -> None:
    script = """
    async function handleEvent(event: any, context: any) {
      await new Promise((done) => setTimeout(done, 500));
      await context.ChatKitty.Users.createUser({ name: 'late', displayName: 'L', isGuest: false });
      return 'ended';
    }
    """
    deploy(client, script)
    save(client, "one")
    results: list[Any] = []
    with http_client(emulator.url) as other:
        other.headers["authorization"] = client.headers["authorization"]
        running = threading.Thread(target=lambda: results.append(trigger(other)))
        running.start()
        until = time.monotonic() + 60
        while client.get("/v1/functions/1/invocations").json()["page"]["totalElements"] < 1:
            assert time.monotonic() < until
        restoring = threading.Thread(target=lambda: results.append(restore(other, "one").status_code))
        restoring.start()
        restoring.join()
        running.join()
    assert results == [{"payload": "ended"}, 200]
    assert names(client) == []
    add(client, "after")
    assert names(client) == ["after"]


def test_a_restore_during_an_import_is_refused(client: httpx.Client) -> None:
    save(client, "one")
    rows = ",".join(f'{{"name": "u{number}", "displayName": "U"}}' for number in range(3000))
    files = {"file": ("users.json", f"[{rows}]".encode(), "application/json")}
    job = client.post("/v1/imports/users", files=files)
    assert job.status_code == 202, job.text
    refused = restore(client, "one")
    assert refused.status_code == 400
    assert "an import or export is in progress" in refused.json()["explanation"]
    until = time.monotonic() + 60
    while (answer := restore(client, "one")).status_code == 400:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert answer.status_code == 200, answer.text
    assert names(client) == []


def test_concurrent_requests_see_either_the_old_or_the_new_data_and_never_fail(
    client: httpx.Client, emulator: Emulator
) -> None:
    for number in range(50):
        add(client, f"user-{number}")
    save(client, "fifty")
    stop = threading.Event()
    failures: list[Any] = []

    def write(number: int) -> None:
        with http_client(emulator.url) as other:
            other.headers["authorization"] = client.headers["authorization"]
            count = 0
            while not stop.is_set():
                count += 1
                made = other.post("/v1/users", json={"name": f"w{number}-{count}-{time.time_ns()}", "displayName": "W"})
                found = other.get("/v1/users")
                if (made.status_code, found.status_code) != (200, 200):
                    failures.append((made.text, found.text))

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    for _ in range(5):
        assert restore(client, "fifty").status_code == 200
    stop.set()
    for writer in writers:
        writer.join()
    assert failures == []
    assert restore(client, "fifty").status_code == 200
    assert client.get("/v1/users").json()["page"]["totalElements"] == 50


def test_restoring_a_damaged_snapshot_changes_nothing(client: httpx.Client, tmp_path: Path) -> None:
    add(client, "ann")
    save(client, "one")
    (tmp_path / "emulator/snapshots/one.db").write_bytes(b"no database" * 100)
    answer = restore(client, "one")
    assert answer.status_code == 400
    assert "cannot be used as emulator data" in answer.json()["explanation"]
    assert names(client) == ["ann"]


def test_a_failed_save_leaves_the_existing_snapshot_and_no_other_file(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    snapshots.save("one", lambda file: file.write_text("old") and None)

    def fail(file: Path) -> None:
        file.write_text("half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        snapshots.save("one", fail, replace=True)
    with pytest.raises(SnapshotExists):
        snapshots.save("one", fail)
    assert [path.name for path in (tmp_path / "snapshots").iterdir()] == ["one.db"]
    assert snapshots.path("one").read_text() == "old"


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_an_emulator_killed_during_a_restore_has_either_the_old_or_the_new_data(tmp_path: Path) -> None:
    data = tmp_path / "data"
    emulator = Killable(data)
    seen = set()
    for attempt in range(ATTEMPTS):
        with http_client(emulator.url) as client:
            client.headers["authorization"] = f"Bearer {sign_in(client)}"
            if attempt == 0:
                users = [{"name": f"u{number}", "properties": {"x": "y" * 500}} for number in range(20_000)]
                assert client.post("/emulator/seed", json={"users": users}, timeout=120).status_code == 200
                assert save(client, "many").status_code == 200
            add(client, f"extra-{attempt}")

            def begin(url: str = emulator.url) -> None:
                with http_client(url) as other:
                    try:
                        restore(other, "many")
                    except httpx.HTTPError:
                        return

            thread = threading.Thread(target=begin)
            thread.start()
            if attempt == ATTEMPTS - 1:
                thread.join()
            time.sleep(0.08 * attempt)
            emulator.kill()
            thread.join()
        with closing(sqlite3.connect(data / "emulator.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            count = database.execute("SELECT count(*) FROM users").fetchone()[0]
            extra = database.execute("SELECT count(*) FROM users WHERE name = ?", (f"extra-{attempt}",)).fetchone()[0]
        assert count - 20_000 == 0 if not extra else count > 20_000
        seen.add(bool(extra))
        emulator = Killable(data)
    try:
        with http_client(emulator.url) as client:
            assert save(client, "after").status_code == 200
        assert sorted(path.name for path in (data / "snapshots").iterdir()) == ["after.db", "many.db"]
    finally:
        emulator.kill()
    assert seen == {True, False}
