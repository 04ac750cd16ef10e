"""Imports and other background jobs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.commands import process_of
from support.loopback import http_client

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.jobs import Attempt, Jobs
from ckfunc.emulator.store import jobs
from ckfunc.emulator.store.database import open_database
from ckfunc.emulator.store.database_file import SCHEMA
from ckfunc.emulator.store.steps import Steps
from ckfunc.model.job import JobType


@contextmanager
def emulator_at(data_dir: Path | None) -> Iterator[httpx.Client]:
    """A separate emulator, and a client that has signed in to it."""
    with (
        Emulator(data_dir, cache=cache_dir()) as running,
        http_client(running.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        yield client


def sign_in(client: httpx.Client) -> str:
    answer = client.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"})
    return str(answer.json()["access_token"])


def start(client: httpx.Client, path: str, entries: Any, name: str = "entries.json") -> dict[str, Any]:
    content = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    answer = client.post(f"/v1{path}", files={"file": (name, content, "application/json")})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


def ended(client: httpx.Client, job: dict[str, Any]) -> dict[str, Any]:
    """Wait for a job to end; return it with the reason of a failure, from the emulator's control."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        found: dict[str, Any] = client.get(f"/emulator/jobs/{job['id']}").json()
        if found["state"] in ("FINISHED", "FAILED"):
            return found
        time.sleep(0.01)
    raise AssertionError("the job did not end within 60 s")


def done(client: httpx.Client, path: str, entries: Any) -> dict[str, Any]:
    job = ended(client, start(client, path, entries))
    assert job["state"] == "FINISHED", job
    return job


def failure(client: httpx.Client, path: str, entries: Any) -> str:
    job = ended(client, start(client, path, entries))
    assert job["state"] == "FAILED", job
    text: str = job["failure"]
    return text


def names(client: httpx.Client) -> list[str]:
    page = client.get("/v1/users", params={"size": 2000}).json()
    return [user["name"] for user in page["_embedded"]["users"]]


def user(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "displayName": name.title(), "guest": False, "properties": {}, **more}


def test_an_import_is_accepted_as_a_job_and_runs_in_the_background(client: httpx.Client) -> None:
    job = start(client, "/imports/users", [user("ann"), user("bob")])
    at = f"{str(client.base_url).rstrip('/')}/v1/applications/1"
    assert job == {
        "id": 1,
        "type": "USER_IMPORT",
        "state": "PENDING",
        "createdTime": job["createdTime"],
        "_links": {"self": {"href": f"{at}/jobs/1"}, "application": {"href": at}},
    }
    end = ended(client, job)
    assert end.pop("failure") is None
    assert end == {**job, "state": "FINISHED", "endedTime": end["endedTime"]}
    assert client.get("/v1/jobs/1").json() == end
    assert names(client) == ["ann", "bob"]


def test_an_imported_user_has_all_fields_of_the_entry(client: httpx.Client) -> None:
    picture = {"url": "https://example.com/a.png", "name": "a.png", "contentType": "image/png", "size": 1}
    entry = user("ann", guest=True, displayPicture=picture, properties={"snake_key": 1})
    done(client, "/imports/users", [entry])
    found = client.get("/v1/users/1").json()
    assert found["isGuest"] is True
    assert found["type"] == "PERSON"
    assert found["displayPictureUrl"] == picture["url"]
    assert found["properties"] == {"snake_key": 1}


@pytest.mark.parametrize("spelling", ["guest", "isGuest", "is_guest"])
def test_entries_of_an_import_are_accepted_in_every_spelling(client: httpx.Client, spelling: str) -> None:
    done(client, "/imports/users", [{"name": "g", "display_name": "G", "properties": {}, spelling: True}])
    assert client.get("/v1/users/1").json()["isGuest"] is True


@pytest.mark.parametrize("key", ["idempotencyKey", "idempotency_key", "id"])
def test_an_entry_with_an_already_imported_key_is_skipped(client: httpx.Client, key: str) -> None:
    first = [user("ann", **{key: "k1"}), user("bob", **{key: "k2"})]
    done(client, "/imports/users", first)
    done(client, "/imports/users", [*first, user("cid", **{key: "k3"}), user("dan", **{key: "k3"})])
    assert names(client) == ["ann", "bob", "cid"]


def test_idempotency_keys_are_separate_for_each_kind_of_import(client: httpx.Client) -> None:
    done(client, "/imports/users", [user("ann", idempotencyKey="1")])
    done(client, "/imports/channels", [{"type": "PUBLIC", "name": "c", "members": [], "idempotencyKey": "1"}])
    done(client, "/imports/channels/1/members", [{"username": "ann", "idempotencyKey": "1"}])
    text = {"type": "TEXT", "channelId": 1, "body": "hi", "user": "ann", "idempotencyKey": "1"}
    for _ in range(2):
        done(client, "/imports/messages", [text])
    assert len(client.get("/v1/messages").json()["_embedded"]["messages"]) == 1
    assert client.get("/v1/channels/1/members").json()["page"]["totalElements"] == 1


def test_a_failed_import_is_rolled_back_and_its_keys_can_be_used_again(client: httpx.Client) -> None:
    done(client, "/imports/users", [user("ann")])
    entries = [user("bob", idempotencyKey="1"), user("ann", idempotencyKey="2")]
    assert failure(client, "/imports/users", entries) == "entry 2: user 'ann' already exists"
    assert names(client) == ["ann"]
    done(client, "/imports/users", [user("bob", idempotencyKey="1"), user("cid", idempotencyKey="2")])
    assert names(client) == ["ann", "bob", "cid"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[", "the file is not JSON: it ends too early at line 1, column 2"),
        (b"[{},]", "entry 1: field 'name' is missing"),
        (b"[1]", "entry 1: user is an integer, not an object"),
        (b'[{"name": "a", "displayName": "a"}, {"name": "a"}]', "entry 2: field 'displayName' is missing"),
        (b'[{"name": "a", "displayName": "a"} 1]', "a comma or a closing bracket is expected at line 1, column 36"),
        (b'[{"name": "a", "displayName": "a"},]', "the file is not JSON: a value is expected at line 1, column 36"),
        (b"[] []", "more text follows the array"),
        (b'[{"name": "\\ud800", "displayName": "a"}]', "half of a surrogate pair"),
        (b'[{"name": "a", "displayName": "a", "properties": {"x": NaN}}]', "NaN is not a JSON value"),
        (
            b'[{"name": "a", "displayName": "a"}, {"name": "a", "displayName": "a"}]',
            "entry 2: the name 'a' appears twice",
        ),
        (b"[" * 100_000, "nested too deeply"),
        (
            b'[{"name": "a", "displayName": "a", "properties": ' + b'{"a":' * 300 + b"1" + b"}" * 301 + b"]",
            "too deeply",
        ),
        (b'["\xff"]', "the file is not UTF-8 (byte 2)"),
        (b'[{"name": "a", "displayName": "a", "idempotencyKey": 1}]', "'idempotencyKey' is an integer, not a string"),
        (b'[{"name": "a", "displayName": "a", "displayPicture": {}}]', "entry 1: field 'size' is missing"),
    ],
)
def test_an_invalid_file_of_users_fails_the_job_with_the_location_of_the_mistake(
    client: httpx.Client, content: bytes, words: str
) -> None:
    assert words in failure(client, "/imports/users", content)
    assert names(client) == []


def test_an_empty_array_and_a_byte_order_mark_are_accepted(client: httpx.Client) -> None:
    done(client, "/imports/users", b" \r\n[ ]\n")
    done(client, "/imports/users", b"\xef\xbb\xbf" + json.dumps([user("größe")]).encode())
    assert names(client) == ["größe"]


def test_an_upload_that_is_not_an_array_is_a_400(client: httpx.Client) -> None:
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c"})
    for path in ("/imports/users", "/imports/channels", "/imports/channels/1/members", "/imports/messages"):
        for sent, words in (
            ({"json": []}, "send it as multipart/form-data"),
            ({"files": {"other": b"[]"}}, "the form has no field 'file'"),
            ({"files": {"file": b"{}"}}, "the file in field 'file' is not a JSON array"),
            ({"files": {"file": b""}}, "is empty"),
        ):
            answer = client.post(f"/v1{path}", **sent)  # type: ignore[arg-type]  # built above
            assert answer.status_code == 400, answer.text
            assert words in answer.json()["explanation"]
    assert client.get("/v1/jobs").json()["page"]["totalElements"] == 0


def test_channels_are_imported_with_their_members_and_creators(client: httpx.Client) -> None:
    done(client, "/imports/users", [user(name) for name in ("ann", "bob", "cid")])
    done(
        client,
        "/imports/channels",
        [
            {"type": "DIRECT", "members": ["bob", "ann"], "properties": {"a": 1}},
            {"type": "PUBLIC", "name": "news", "displayName": "News", "creator": "cid", "members": ["ann"]},
            {"type": "PRIVATE", "members": ["bob", "bob"]},
        ],
    )
    direct, public, private = client.get("/v1/channels").json()["_embedded"]["channels"]
    assert [member["name"] for member in direct["members"]] == ["ann", "bob"]
    assert direct["properties"] == {"a": 1}
    assert (public["name"], public["displayName"], public["creator"]["name"]) == ("news", "News", "cid")
    assert private["name"] == private["displayName"] != ""

    def members(channel: dict[str, Any]) -> list[str]:
        page = client.get(f"/v1/channels/{channel['id']}/members").json()
        return [user["name"] for user in page["_embedded"]["users"]]

    assert (members(public), members(private)) == (["ann", "cid"], ["bob"])
    # An imported channel is found like a created one.
    again = client.post("/v1/channels", json={"type": "DIRECT", "members": [{"username": "ann"}, {"id": 2}]}).json()
    assert again["id"] == direct["id"]


def test_importing_an_equivalent_channel_does_not_change_the_existing_one(client: httpx.Client) -> None:
    done(client, "/imports/users", [user("ann"), user("bob")])
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "news", "displayName": "Old"})
    client.post("/v1/channels", json={"type": "DIRECT", "members": [{"id": 1}, {"id": 2}]})
    done(
        client,
        "/imports/channels",
        [
            {"type": "PUBLIC", "name": "news", "displayName": "New", "members": ["ann"]},
            {"type": "DIRECT", "members": ["bob", "ann"]},
            {"type": "PRIVATE", "name": "news", "members": []},
            {"type": "PRIVATE", "name": "news", "members": ["ann"]},
            {"type": "DIRECT", "members": ["ann"]},
            {"type": "DIRECT", "members": ["ann"], "creator": "ann"},
        ],
    )
    page = client.get("/v1/channels").json()
    found = [(channel["type"], channel.get("displayName")) for channel in page["_embedded"]["channels"]]
    assert found == [("PUBLIC", "Old"), ("DIRECT", None), ("PRIVATE", "news"), ("DIRECT", None)]
    assert client.get("/v1/channels/1/members").json()["page"]["totalElements"] == 0


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"type": "PUBLIC", "members": ["nobody"]}, "entry 2: there is no user 'nobody'"),
        ({"type": "PUBLIC", "creator": "nobody"}, "entry 2: there is no user 'nobody'"),
        ({"type": "DIRECT", "members": []}, "a direct channel needs members"),
        ({"type": "DIRECT", "members": ["ann", *map(str, range(10))]}, "the channel has 11 members"),
        ({"type": "DIRECT"}, "field 'members' is missing"),
        ({"type": "PUBLIC", "members": [{"id": 1}]}, "field 'members' is not a list of usernames"),
        ({"type": "ODD"}, "not one of DIRECT, PUBLIC, PRIVATE"),
    ],
)
def test_a_channel_that_cannot_be_imported_fails_the_job(client: httpx.Client, entry: Any, words: str) -> None:
    done(client, "/imports/users", [user("ann")])
    assert words in failure(client, "/imports/channels", [{"type": "PUBLIC", "members": ["ann"]}, entry])
    assert client.get("/v1/channels").json()["page"]["totalElements"] == 0


def test_members_are_imported_into_a_channel(client: httpx.Client) -> None:
    done(client, "/imports/users", [user("ann"), user("bob")])
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c", "members": [{"id": 1}]})
    job = done(client, "/imports/channels/1/members", [{"username": "ann"}, {"username": "bob"}])
    assert job["type"] == "CHANNEL_MEMBERS_IMPORT"
    assert client.get("/v1/channels/1/members").json()["page"]["totalElements"] == 2
    words = failure(client, "/imports/channels/1/members", [{"username": "cid"}])
    assert words == "entry 1: there is no user 'cid'"
    direct = client.post("/v1/channels", json={"type": "DIRECT", "members": [{"id": 1}, {"id": 2}]}).json()
    refused = client.post(f"/v1/imports/channels/{direct['id']}/members", files={"file": b"[]"})
    assert refused.status_code == 400
    assert client.post("/v1/imports/channels/9/members", files={"file": b"[]"}).status_code == 404


def test_messages_are_imported_in_order_without_notifications(client: httpx.Client) -> None:
    done(client, "/imports/users", [user("ann"), user("bob")])
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c", "members": [{"id": 1}, {"id": 2}]})
    before = client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": "before"}).json()
    notified = len(client.get("/v1/users/2/notifications").json()["_embedded"]["notifications"])
    done(
        client,
        "/imports/messages",
        [
            {"type": "TEXT", "channelId": 1, "user": "ann", "body": "one", "groupTag": "g", "properties": {"a": 1}},
            {"type": "SYSTEM_TEXT", "channelId": 1, "body": "two"},
        ],
    )
    newest, older, oldest = client.get("/v1/channels/1/messages").json()["_embedded"]["messages"]
    assert oldest == before
    assert (older["type"], older["user"]["name"], older["body"], older["groupTag"]) == ("TEXT", "ann", "one", "g")
    assert older["properties"] == {"a": 1}
    assert (newest["type"], newest["body"], "user" in newest) == ("SYSTEM_TEXT", "two", False)
    assert len(client.get("/v1/users/2/notifications").json()["_embedded"]["notifications"]) == notified == 1
    after = client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": "after"}).json()
    assert after["id"] > newest["id"]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"type": "TEXT", "channelId": 1, "user": "bob", "body": "x"}, "entry 2: there is no user 'bob'"),
        ({"type": "TEXT", "channelId": 7, "user": "ann", "body": "x"}, "entry 2: there is no channel 7"),
        ({"type": "TEXT", "channelId": 1, "body": "x"}, "entry 2: field 'user' is missing"),
        ({"type": "FILE", "channelId": 1, "user": "ann"}, "not one of TEXT, SYSTEM_TEXT"),
        ({"type": "SYSTEM_TEXT", "channelId": 2**63, "body": "x"}, "an integer of more than 64 bits"),
        ({"type": "SYSTEM_TEXT", "channelId": 1, "body": ""}, "field 'body' is empty"),
    ],
)
def test_a_message_that_cannot_be_imported_fails_the_job(client: httpx.Client, entry: Any, words: str) -> None:
    done(client, "/imports/users", [user("ann")])
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c"})
    assert words in failure(client, "/imports/messages", [{"type": "SYSTEM_TEXT", "channelId": 1, "body": "x"}, entry])
    assert client.get("/v1/messages").json()["_embedded"] == {"messages": []}


def test_ended_jobs_are_listed_unless_running_jobs_are_requested(client: httpx.Client) -> None:
    done(client, "/imports/users", [user("ann")])
    failure(client, "/imports/users", [user("ann")])
    for params in ({}, {"running": "false"}, {"running": ""}):
        page = client.get("/v1/jobs", params=params).json()
        assert [(job["id"], job["state"]) for job in page["_embedded"]["jobs"]] == [(1, "FINISHED"), (2, "FAILED")]
        assert page["_links"]["self"]["href"].endswith("/v1/applications/1/jobs?running=false&page=0&size=25")
    assert client.get("/v1/jobs", params={"running": "true"}).json()["_embedded"] == {"jobs": []}
    assert client.get("/v1/jobs", params={"running": "perhaps"}).status_code == 400
    newest = client.get("/jobs", params={"sort": "created_time,desc"}).json()
    assert [job["id"] for job in newest["_embedded"]["jobs"]] == [2, 1]
    assert "ended_time" in newest["_embedded"]["jobs"][0]
    assert client.get("/v1/jobs/9").status_code == 404


@pytest.mark.parametrize(("path", "about"), [("/analytics/messages", "message"), ("/analytics/users", "user")])
def test_an_export_creates_a_file_that_can_be_downloaded(
    client: httpx.Client, anyone: httpx.Client, path: str, about: str
) -> None:
    done(client, "/imports/users", [user("ann"), user("bob")])
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c", "members": [{"id": 1}]})
    client.post("/v1/channels/1/messages", json={"type": "TEXT", "body": "größe", "user": {"id": 1}})
    answer = client.post(f"/v1{path}")
    assert answer.status_code == 202
    assert "file" not in answer.json()
    job = ended(client, answer.json())
    assert (job["type"], job["state"]) == ("MESSAGE_ANALYTICS_EXPORT", "FINISHED")
    got = anyone.get(job["file"])
    assert f'attachment; filename="{about}-analytics-{job["id"]}.json"' in got.headers["content-disposition"]
    rows = got.json()
    if about == "message":
        (row,) = rows
        assert (row["username"], row["channelName"], row["characters"], row["type"]) == ("ann", "c", 5, "TEXT")
    else:
        assert [(row["name"], row["channels"], row["messages"]) for row in rows] == [("ann", 1, 1), ("bob", 0, 0)]


def test_an_export_without_rows_is_an_empty_array(client: httpx.Client) -> None:
    job = ended(client, client.post("/v1/analytics/messages").json())
    assert client.get(job["file"]).json() == []


def test_jobs_work_in_an_emulator_in_memory() -> None:
    with emulator_at(None) as client:
        done(client, "/imports/users", [user("ann")])
        failure(client, "/imports/users", [user("ann")])
        done(client, "/imports/channels", [{"type": "DIRECT", "members": ["ann"]}])
        job = ended(client, client.post("/v1/analytics/users").json())
        assert len(client.get(job["file"]).json()) == 1


@pytest.mark.slow
def test_other_requests_are_answered_while_a_large_file_is_imported(client: httpx.Client) -> None:
    entries = [user(f"user{index}", idempotencyKey=str(index)) for index in range(40_000)]
    job = start(client, "/imports/users", entries)
    seen = []
    state = "PENDING"
    while state in ("PENDING", "RUNNING"):
        state = client.get(f"/v1/jobs/{job['id']}").json()["state"]
        seen.append((state, client.get("/v1/users", params={"size": 1}).json()["page"]["totalElements"]))
    assert state == "FINISHED"
    counts = [count for _, count in seen]
    assert counts == sorted(counts)
    assert seen[-1] == ("FINISHED", 40_000)
    assert sum(state == "RUNNING" for state, _ in seen) > 3


def test_an_export_has_one_line_per_row(client: httpx.Client) -> None:
    done(client, "/imports/users", [user(f"user{index}") for index in range(1200)])
    job = ended(client, client.post("/v1/analytics/users").json())
    text = client.get(job["file"]).text
    assert len(json.loads(text)) == 1200
    assert text.count("\n") == 1202


@pytest.mark.slow
def test_members_of_a_channel_deleted_in_the_meantime_are_not_imported(client: httpx.Client) -> None:
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "c"})
    start(client, "/imports/users", [user(f"user{index}") for index in range(20_000)])
    job = start(client, "/imports/channels/1/members", [{"username": "user1"}])
    client.delete("/v1/channels/1")
    assert ended(client, job)["failure"] == "channel 1 no longer exists"


def test_an_internal_error_fails_its_job_and_the_next_job_runs() -> None:
    def broken(_attempt: Attempt) -> Steps:
        yield
        raise ZeroDivisionError("oops")

    def good(attempt: Attempt) -> Steps:
        yield
        jobs.finish(attempt.database, attempt.job_id)

    lines: list[str] = []

    async def both() -> None:
        background = Jobs(database, None, lines.append)
        background.start(JobType.USER_IMPORT, broken)
        background.start(JobType.USER_IMPORT, good)
        while background.busy:
            await asyncio.sleep(0)
        await background.close()

    with closing(open_database(None, SCHEMA)) as database:
        asyncio.run(both())
        assert [jobs.get(database, job_id).state for job_id in (1, 2)] == ["FAILED", "FINISHED"]  # type: ignore[union-attr]
        assert jobs.failure(database, 1) == "the emulator failed to run this job: ZeroDivisionError: oops"
    assert lines[1] == "job 2 USER_IMPORT FINISHED"


@pytest.mark.slow
def test_the_number_of_waiting_jobs_is_limited(client: httpx.Client) -> None:
    entries = json.dumps([user(f"user{index}") for index in range(20_000)]).encode()
    statuses = [client.post("/v1/imports/users", files={"file": entries}).status_code for _ in range(25)]
    assert statuses[0] == 202
    assert statuses[-1] == 400


_SERVE = """
import sys
from pathlib import Path
from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
Emulator(Path(sys.argv[1]), cache=cache_dir()).run_forever(lambda url: print(url, flush=True))
"""


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_a_job_interrupted_by_a_kill_is_marked_as_failed_and_rolled_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SERVE, str(tmp_path / "data")]
    with process_of(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with http_client(url) as client:
            client.headers["authorization"] = f"Bearer {sign_in(client)}"
            job = start(client, "/imports/users", [user(f"user{index}") for index in range(50_000)])
            waiting = start(client, "/imports/users", [user("ann")])
            while client.get(f"/v1/jobs/{job['id']}").json()["state"] == "PENDING":
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
    with emulator_at(tmp_path / "data") as client:
        for job_id in (job, waiting):
            found = ended(client, job_id)
            assert (found["state"], found["failure"]) == ("FAILED", "the emulator stopped before this job ended")
            assert "endedTime" in found
        assert names(client) == []


def test_stopping_the_emulator_fails_its_unfinished_jobs(tmp_path: Path) -> None:
    with emulator_at(tmp_path) as client:
        first = start(client, "/imports/users", [user(f"user{index}") for index in range(50_000)])
        second = start(client, "/imports/users", [user("ann")])
    with emulator_at(tmp_path) as client:
        assert {ended(client, job_id)["state"] for job_id in (first, second)} == {"FAILED"}
        assert names(client) == []
