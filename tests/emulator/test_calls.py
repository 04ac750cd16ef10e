"""Recorded API calls of a run: in order, with bodies and statuses, within limits."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
from support.older_formats import make_first_format

from ckfunc.emulator.dispatch.recording import MOST_BODY_BYTES, MOST_CALLS
from ckfunc.emulator.store import invocations
from ckfunc.emulator.store.database import open_database
from ckfunc.emulator.store.database_file import MIGRATIONS, SCHEMA
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.model.application import ApiCall, Status
from ckfunc.model.execution import HandlerError, Outcome

TYPE = "some.event"
FETCH = """
  const base = process.env.CHATKITTY_CHAT_SERVICE_BASE_URL;
  const signIn = async () => {
    const answer = await fetch(`${base}/oauth/token`, {
      method: 'POST', headers: { authorization: 'Basic ' + btoa('emulator:emulator') },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    });
    return { authorization: 'Bearer ' + (await answer.json()).access_token };
  };
"""


def calls_of(client: httpx.Client, body: str, **event: Any) -> list[dict[str, Any]]:
    """Deploy a handler with this body, run it, and return its recorded calls."""
    found = detail_of(client, body, **event)
    calls: list[dict[str, Any]] = found["calls"]
    return calls


def detail_of(client: httpx.Client, body: str, **event: Any) -> dict[str, Any]:
    made = client.post("/v1/runtimes/nodejs/functions", json={"type": TYPE, "name": "N"}).json()
    script = f"async function handleEvent(event: any, context: any) {{ {FETCH} {body} }}"
    assert client.post(f"/v1/functions/{made['id']}/versions", json={"handlerScript": script}).status_code == 200
    answer = client.post("/emulator/trigger", json={"type": TYPE, "data": event}).json()
    assert answer["invocation"]["status"] == "SUCCEEDED", answer["invocation"]
    detail: dict[str, Any] = answer["detail"]
    return detail


def stored(client: httpx.Client, number: int = 1) -> dict[str, Any]:
    (found,) = client.get("/emulator/invocations", params={"ids": number}).json()["invocations"]
    return dict(found)


def eventually(look: Callable[[], Any]) -> Any:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError("timed out after 60 s")


def test_calls_of_the_sdk_are_recorded_in_order_with_bodies_and_statuses(client: httpx.Client) -> None:
    detail = detail_of(
        client,
        """
        const { Users } = context.ChatKitty;
        await Users.checkUserExists('jane doe').catch(() => {});
        await Users.createUser({ name: 'jane doe', displayName: 'J', isGuest: false, properties: { a_b: [1, null] } });
        await Users.listUsers(0, 5);
        """,
    )
    body = {"name": "jane doe", "displayName": "J", "isGuest": False, "properties": {"a_b": [1, None]}}
    assert detail["calls"] == [
        {"method": "HEAD", "path": "/users?name=jane+doe", "body": None, "status": 404},
        {"method": "POST", "path": "/users", "body": body, "status": 200},
        {"method": "GET", "path": "/users?page=0&size=5", "body": None, "status": 200},
    ]
    assert detail["callsOmitted"] == 0
    assert stored(client) == detail


def test_recorded_paths_are_normalized_and_failed_requests_are_recorded(client: httpx.Client) -> None:
    calls = calls_of(
        client,
        """
        const headers = await signIn();
        for (const path of ['/v1/users', '/users', '/v1/applications/1/users//', '/v1/nothing/here%2Fthere?x=%C3%BC']) {
          await fetch(base + path, { headers });
        }
        await fetch(base + '/v1/users');
        const json = { ...headers, 'content-type': 'application/json' };
        await fetch(base + '/v1/users', { method: 'POST', headers: json, body: '{"name": ' });
        await fetch(base + '/v1/users', { method: 'POST', headers: json, body: '{"name": 7}' });
        """,
    )
    assert [(call["method"], call["path"], call["status"]) for call in calls] == [
        ("GET", "/users", 200),
        ("GET", "/users", 200),
        ("GET", "/users", 200),
        ("GET", "/nothing/here%2Fthere?x=%C3%BC", 404),
        ("GET", "/users", 401),
        ("POST", "/users", 400),
        ("POST", "/users", 400),
    ]
    assert [call["body"] for call in calls[5:]] == ['{"name": ', {"name": 7}]


def test_a_form_is_recorded_as_its_fields_and_a_file_as_its_name_size_and_hash(
    client: httpx.Client, room: dict[str, int]
) -> None:
    (call,) = calls_of(
        client,
        """
        const form = new FormData();
        form.set('type', 'FILE');
        form.set('file', new Blob(['hello'], { type: 'text/plain' }), 'a.txt');
        const headers = await signIn();
        await fetch(base + '/v1/channels/1/messages', { method: 'POST', headers, body: form });
        """,
    )
    digest = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    file = {"$file": "a.txt", "type": "text/plain", "bytes": 5, "sha256": digest}
    assert (call["path"], call["body"]) == ("/channels/1/messages", {"type": "FILE", "file": file})


def test_only_the_first_calls_of_a_run_are_recorded_and_the_rest_are_counted(client: httpx.Client) -> None:
    detail = detail_of(
        client,
        """
        const headers = await signIn();
        for (let n = 0; n < event.count; n += 1) await fetch(`${base}/v1/users?page=${n}`, { headers });
        """,
        count=MOST_CALLS + 3,
    )
    assert [call["path"] for call in detail["calls"]] == [f"/users?page={n}" for n in range(MOST_CALLS)]
    assert detail["callsOmitted"] == 3
    assert stored(client) == detail


def test_a_body_above_the_limit_is_omitted_and_later_small_bodies_are_recorded(client: httpx.Client) -> None:
    calls = calls_of(
        client,
        """
        const headers = { ...(await signIn()), 'content-type': 'application/json' };
        for (const size of [10, event.size, 10]) {
          const body = JSON.stringify('x'.repeat(size - 2));
          await fetch(`${base}/v1/users`, { method: 'POST', headers, body });
        }
        """,
        size=MOST_BODY_BYTES,
    )
    assert [call["body"] for call in calls] == ["x" * 8, {"$cut": MOST_BODY_BYTES}, "x" * 8]


def test_recorded_calls_can_be_read_while_the_run_is_in_progress(client: httpx.Client) -> None:
    body = "await context.ChatKitty.Users.listUsers(); await new Promise((done) => setTimeout(done, 1500));"
    caller = threading.Thread(target=detail_of, args=(client, body))
    caller.start()
    found = eventually(lambda: client.get("/emulator/invocations?ids=1").json()["invocations"])
    found = eventually(lambda: stored(client)["calls"] and stored(client))
    assert (found["durationMs"], [call["path"] for call in found["calls"]]) == (None, ["/users"])
    caller.join()
    assert stored(client)["durationMs"] > 1000


def test_calls_after_the_end_of_a_run_are_added_to_it(client: httpx.Client) -> None:
    detail = detail_of(
        client,
        """
        const headers = await signIn();
        await fetch(`${base}/v1/users?page=0`, { headers });
        setTimeout(() => fetch(`${base}/v1/users?page=1`, { headers }), 300);
        """,
    )
    assert [call["path"] for call in detail["calls"]] == ["/users?page=0"]
    late = eventually(lambda: len(stored(client)["calls"]) > 1 and stored(client)["calls"])
    assert [(call["path"], call["status"]) for call in late] == [("/users?page=0", 200), ("/users?page=1", 200)]


def test_a_call_after_the_end_of_a_run_without_calls_is_added_to_it(client: httpx.Client) -> None:
    detail = detail_of(client, "setTimeout(() => fetch(`${base}/v1/users`), 300); return 1;")
    assert detail["calls"] == []
    assert eventually(lambda: stored(client)["calls"]) == [
        {"method": "GET", "path": "/users", "body": None, "status": 401}
    ]


def test_an_unknown_invocation_label_is_ignored_and_an_outdated_one_is_refused(client: httpx.Client) -> None:
    for label in ("7", "x", "", "1.x", "-1", "9" * 30, "²"):
        assert client.get("/v1/users", headers={"x-ckfunc-invocation": label.encode()}).status_code == 200
    refused = client.get("/v1/users", headers={"x-ckfunc-invocation": "1.1"})
    assert refused.status_code == 400
    assert "has been restored since then" in refused.text


def test_a_database_of_the_first_format_can_store_calls_after_migration(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    open_database(path, SCHEMA, MIGRATIONS).close()
    with closing(sqlite3.connect(path)) as older:
        make_first_format(older)
        older.execute("INSERT INTO functions VALUES (1, 'a.b', 'N', NULL, 1, 1, 0)")
        older.execute(
            "INSERT INTO invocations VALUES (1, 1, 1, 1, '{}', 'SUCCEEDED', '{}', '2024-01-01T00:00:00.000Z')"
        )
        older.execute("INSERT INTO invocation_details VALUES (1, '[]', 2.5)")
        older.commit()
    with closing(open_database(path, SCHEMA, MIGRATIONS)) as database:
        (detail,) = invocations.details(database, [1])
        assert (detail.duration_ms, detail.calls, detail.calls_omitted) == (2.5, (), 0)
        assert invocations.has_no_calls(database, 1)
        invocations.set_calls(database, 1, [ApiCall("GET", "/users", None, 200)], 4)
        (detail,) = invocations.details(database, [1])
        assert (detail.calls, detail.calls_omitted) == ((ApiCall("GET", "/users", None, 200),), 4)
        assert not invocations.has_no_calls(database, 1)
        assert not invocations.has_no_calls(database, 2)


def test_runs_of_the_first_format_have_their_results_after_migration(tmp_path: Path) -> None:
    path = tmp_path / "emulator.db"
    open_database(path, SCHEMA, MIGRATIONS).close()
    with closing(sqlite3.connect(path)) as older:
        make_first_format(older)
        older.execute("INSERT INTO functions VALUES (1, 'a.b', 'N', NULL, 1, 1, 0)")
        results = (("SUCCEEDED", '{"payload": 7}'), ("FAILED", '{"error": {}}'), ("RUNNING", "{}"))
        for number, (status, result) in enumerate(results, 1):
            older.execute(
                "INSERT INTO invocations VALUES (?, 1, ?, 1, '{}', ?, ?, '2024-01-01T00:00:00.000Z')",
                (number, number, status, result),
            )
            if status != "RUNNING":
                older.execute("INSERT INTO invocation_details VALUES (?, '[]', 2.5)", (number,))
        older.commit()
    with closing(open_database(path, SCHEMA, MIGRATIONS)) as database:
        page = invocations.page(database, 1, PageRequest(0, 10, "id ASC"))
        assert [(run.status, run.result) for run in page.items] == [
            (Status.SUCCEEDED, {"payload": 7}),
            (Status.FAILED, {"error": {}}),
            (Status.RUNNING, {}),
        ]
        assert page.total_elements == 3
        assert invocations.end_abandoned(database, HandlerError("EmulatorStopped", "it stopped")) == 1
        assert invocations.end_abandoned(database, HandlerError("EmulatorStopped", "it stopped")) == 0
        (*_, abandoned) = invocations.page(database, 1, PageRequest(0, 10, "id ASC")).items
        assert (abandoned.status, abandoned.result["error"]["message"]) == (Status.FAILED, "it stopped")
        assert invocations.begin(database, 1, 1, {}).id == 4


def test_runs_up_to_the_first_one_in_progress_are_not_searched_for_abandoned_ones(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "emulator.db", SCHEMA, MIGRATIONS)) as database:
        database.execute("INSERT INTO functions VALUES (1, 'a.b', 'N', NULL, 1, 1, 0)")
        runs = [invocations.begin(database, 1, 1, {}).id for _ in range(6)]
        for number in runs[:3] + runs[4:]:
            invocations.end(database, number, Outcome("1", None))
        last = "SELECT last FROM ended_invocations"
        for _ in range(2):
            assert not invocations.prune(database, 100)
            assert database.value(last) == runs[3] - 1
        assert invocations.end_abandoned(database, HandlerError("EmulatorStopped", "it stopped")) == 1
        assert database.value(last) == runs[-1]
