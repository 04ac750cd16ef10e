"""Dispatch of events to runs, in real Node."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from emulator.conftest import sign_in
from support.emulators import cold_emulator
from support.loopback import Reply, Request, http_client, serve
from support.sampling import sampled

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.model.execution import Limits

FUNCTIONS = "/v1/runtimes/nodejs/functions"
GOLDEN = Path(__file__).parent.parent / "golden" / "emulator"


def deploy(client: httpx.Client, trigger_type: str, *scripts: str) -> int:
    made = client.post(FUNCTIONS, json={"type": trigger_type, "name": trigger_type})
    function_id = int(made.json()["id"])
    for script in scripts:
        version = client.post(f"/v1/functions/{function_id}/versions", json={"handlerScript": script})
        assert version.status_code == 200, version.text
    return function_id


def trigger(client: httpx.Client, trigger_type: str, **data: Any) -> dict[str, Any]:
    answer = client.post("/emulator/trigger", json={"type": trigger_type, "data": data})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def invocations(client: httpx.Client, function_id: int, **query: Any) -> list[dict[str, Any]]:
    page = client.get(f"/v1/functions/{function_id}/invocations", params=query).json()
    found: list[dict[str, Any]] = page["_embedded"]["invocations"]
    return found


def eventually(look: Callable[[], Any]) -> Any:
    """Poll `look` until it returns a true value, and return that value."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError("timed out after 60 s")


def test_a_run_is_stored_with_its_event_result_console_and_duration(client: httpx.Client) -> None:
    script = """
        interface Context {}
        function handleEvent(event: any, context: Context) { console.log('got', event.snake_case); return event; }
    """
    function_id = deploy(client, "some.event", script)
    event = {"snake_case": 1, "camelCase": {"a": [None, "ü"]}}
    found = trigger(client, "some.event", **event)
    invocation = found["invocation"]
    assert (invocation["status"], invocation["versionNumber"]) == ("SUCCEEDED", 1)
    assert invocation["args"] == event
    assert invocation["result"] == {"payload": event}
    assert found["detail"]["console"] == [{"level": "log", "text": "got 1"}]
    assert found["detail"]["durationMs"] > 0
    assert invocations(client, function_id) == [invocation]
    details = client.get("/emulator/invocations", params={"ids": invocation["id"]}).json()
    assert details == {"invocations": [found["detail"]]}


def test_an_event_without_an_enabled_function_with_a_version_runs_nothing(client: httpx.Client) -> None:
    nothing = {"invocation": None, "detail": None}
    assert trigger(client, "some.event") == nothing
    function_id = deploy(client, "some.event")
    assert trigger(client, "some.event") == nothing
    client.post(f"/v1/functions/{function_id}/versions", json={"handlerScript": "function handleEvent() {}"})
    assert trigger(client, "some.event")["invocation"]["result"] == {"payload": None}
    client.put(f"/emulator/functions/{function_id}/enabled", json={"enabled": False})
    assert trigger(client, "some.event") == nothing
    assert len(invocations(client, function_id)) == 1


def test_an_error_in_a_handler_fails_the_run_with_the_line_of_the_source(client: httpx.Client) -> None:
    script = "type A = { b: string };\n\nfunction handleEvent(a: A) {\n  throw new TypeError('no ' + a.b);\n}"
    deploy(client, "some.event", script)
    invocation = trigger(client, "some.event", b="luck")["invocation"]
    assert invocation["status"] == "FAILED"
    error = invocation["result"]["error"]
    assert (error["name"], error["message"]) == ("TypeError", "no luck")
    assert "some.event@1.ts:4" in error["stack"]


def test_a_syntax_error_in_a_script_fails_every_run_with_its_location(client: httpx.Client) -> None:
    deploy(client, "some.event", "function handleEvent() {\n  return (;\n}")
    error = trigger(client, "some.event")["invocation"]["result"]["error"]
    assert error["name"] == "SyntaxError"
    assert "some.event@1.ts:2:" in error["message"]


def test_a_new_version_handles_the_next_event(client: httpx.Client) -> None:
    function_id = deploy(client, "some.event", "function handleEvent() { return 1 }")
    assert trigger(client, "some.event")["invocation"]["result"] == {"payload": 1}
    client.post(f"/v1/functions/{function_id}/versions", json={"handlerScript": "function handleEvent() { return 2 }"})
    invocation = trigger(client, "some.event")["invocation"]
    assert (invocation["versionNumber"], invocation["result"]) == (2, {"payload": 2})


def test_handlers_see_the_current_variables_and_initialization_script(client: httpx.Client) -> None:
    deploy(
        client,
        "some.event",
        "function handleEvent() { return [process.env.WHERE, greeting, Object.keys(process.env)] }",
    )
    error = trigger(client, "some.event")["invocation"]["result"]["error"]
    assert "greeting" in error["message"]
    client.put("/v1/runtimes/nodejs/environment-variables", json={"WHERE": "here"})
    client.put("/v1/runtimes/nodejs/initialization-script", json={"script": "export const greeting: string = 'hello';"})
    where, greeting, names = trigger(client, "some.event")["invocation"]["result"]["payload"]
    assert (where, greeting) == ("here", "hello")
    assert "CHATKITTY_APPLICATION_ID" in names
    client.put("/v1/runtimes/nodejs/initialization-script", json={"script": "export const = 1"})
    error = trigger(client, "some.event")["invocation"]["result"]["error"]
    assert (error["name"], "initialization-script.ts:1" in error["message"]) == ("SyntaxError", True)


def test_a_run_and_its_console_can_be_read_while_it_is_in_progress(client: httpx.Client) -> None:
    script = """
        async function handleEvent() {
          console.log('first');
          await new Promise((resolve) => setTimeout(resolve, 1500));
          console.warn('second');
        }
    """
    function_id = deploy(client, "some.event", script)
    caller = threading.Thread(target=trigger, args=(client, "some.event"))
    caller.start()
    (invocation,) = eventually(lambda: invocations(client, function_id))
    assert (invocation["status"], invocation["result"]) == ("RUNNING", {})
    ids = {"ids": f"{invocation['id']},999"}

    def detail() -> dict[str, Any]:
        (found,) = client.get("/emulator/invocations", params=ids).json()["invocations"]
        return dict(found)

    running = eventually(lambda: (found := detail())["console"] and found)
    assert running == {
        "id": invocation["id"],
        "console": [{"level": "log", "text": "first"}],
        "durationMs": None,
        "calls": [],
        "callsOmitted": 0,
    }
    caller.join()
    assert [line["level"] for line in detail()["console"]] == ["log", "warn"]
    assert detail()["durationMs"] > 1000


def test_a_time_limit_ends_a_run_and_the_next_one_works(tmp_path: Path) -> None:
    emulator = cold_emulator(tmp_path, limits=Limits(time_s=0.5))
    with http_client(emulator.start()) as client:
        try:
            token = client.post(
                "/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"}
            ).json()["access_token"]
            client.headers["authorization"] = f"Bearer {token}"
            deploy(client, "some.event", "function handleEvent(event) { while (event.loop) {} return 'fine' }")
            assert trigger(client, "some.event", loop=True)["invocation"]["status"] == "FAILED"
            assert trigger(client, "some.event", loop=False)["invocation"]["result"] == {"payload": "fine"}
        finally:
            emulator.stop()


def test_stopping_the_emulator_ends_its_running_invocations(tmp_path: Path) -> None:
    emulator = cold_emulator(tmp_path)
    with http_client(emulator.start()) as client:
        token = client.post(
            "/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"}
        ).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        never = "async function handleEvent() { await new Promise(() => setTimeout(() => {}, 9e6)) }"
        function_id = deploy(client, "user.sent.message", never)
        user = client.post("/v1/users", json={"name": "ann", "displayName": "Ann"}).json()
        channel = client.post("/v1/channels", json={"type": "PUBLIC", "name": "c"}).json()
        sent = {"type": "TEXT", "body": "hello", "user": {"id": user["id"]}}
        assert client.post(f"/v1/channels/{channel['id']}/messages", json=sent).status_code == 200
        (invocation,) = invocations(client, function_id)
        assert invocation["status"] == "RUNNING"
        emulator.stop()
    again = cold_emulator(tmp_path)
    with http_client(again.start()) as client:
        try:
            detail = client.get("/emulator/invocations", params={"ids": invocation["id"]}).json()["invocations"][0]
            assert detail["durationMs"] is not None
        finally:
            again.stop()


LOADED = "const loaded = Date.now();\nfetch('URL').catch(() => {});\nfunction handleEvent() { return loaded; }"


@pytest.mark.parametrize("spares", [True, False])
def test_a_new_version_is_loaded_before_its_first_event_only_if_spares_are_on(spares: bool) -> None:
    loaded = threading.Event()

    def answer(_request: Request) -> Reply:
        loaded.set()
        return Reply()

    options = EmulatorOptions(spares=spares)
    with serve(answer) as server, Emulator(None, options, cache=cache_dir()) as emulator:
        with http_client(emulator.url) as client:
            client.headers["authorization"] = f"Bearer {sign_in(client)}"
            deploy(client, "some.event", LOADED.replace("URL", server.url))
            if spares:
                assert loaded.wait(60)
            fired_ms = time.time() * 1000
            run = trigger(client, "some.event")["invocation"]
        assert (run["result"]["payload"] < fired_ms) is spares


def test_other_functions_are_loaded_again_while_a_function_has_no_version_after_a_reset() -> None:
    loads = threading.Semaphore(0)

    def answer(_request: Request) -> Reply:
        loads.release()
        return Reply()

    with (
        serve(answer) as server,
        Emulator(None, EmulatorOptions(), cache=cache_dir()) as emulator,
        http_client(emulator.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        deploy(client, "some.event", "function handleEvent() {}")
        client.post("/emulator/reset")
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        deploy(client, "without.version")  # with the id of the first function
        deploy(client, "some.event", LOADED.replace("URL", server.url))
        assert loads.acquire(timeout=60)
        changed = client.put("/v1/runtimes/nodejs/environment-variables", json={"A": "1"})
        assert changed.status_code == 200, changed.text
        assert loads.acquire(timeout=60)


@pytest.mark.parametrize("body", [[], {"data": {}}, {"type": "a", "data": []}, {"type": 1}])
def test_an_invalid_trigger_request_is_a_400(anyone: httpx.Client, body: object) -> None:
    assert anyone.post("/emulator/trigger", json=body).status_code == 400


@pytest.mark.parametrize("ids", ["x", "1,-2", "1;2", ",".join(map(str, range(1001)))])
def test_invalid_invocation_ids_are_a_400(anyone: httpx.Client, ids: str) -> None:
    assert anyone.get("/emulator/invocations", params={"ids": ids}).status_code == 400


def test_a_request_for_details_without_ids_returns_an_empty_list(anyone: httpx.Client) -> None:
    assert anyone.get("/emulator/invocations").json() == {"invocations": []}


def test_two_hundred_concurrent_events_cause_two_hundred_runs(client: httpx.Client) -> None:
    function_id = deploy(client, "some.event", "function handleEvent(event) { return event.n }")
    numbers = range(200)

    def fire(part: int) -> None:
        for number in numbers[part::8]:
            assert trigger(client, "some.event", n=number)["invocation"]["result"] == {"payload": number}

    threads = [threading.Thread(target=fire, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stored = invocations(client, function_id, size=1000)
    assert sorted(invocation["result"]["payload"] for invocation in stored) == list(numbers)
    assert [invocation["id"] for invocation in stored] == sorted(
        (invocation["id"] for invocation in stored), reverse=True
    )


# Sessions


def session(client: httpx.Client, username: str, **auth_params: Any) -> dict[str, Any]:
    return trigger(client, "user.attempted.start_session", username=username, authParams=auth_params)


def exists(client: httpx.Client, name: str) -> bool:
    return client.head("/v1/users", params={"name": name}).status_code == 200


def guests(client: httpx.Client, state: str) -> None:
    client.put("/v1/application/settings", json={"guestUsers": state, "userCreatedChannels": "ENABLED"})


def test_a_session_without_a_function_creates_a_guest_if_guests_are_allowed(client: httpx.Client) -> None:
    found = session(client, "someone")
    assert (found["allowed"], found["reason"], found["invocation"]) == (True, None, None)
    (made,) = client.get("/v1/users").json()["_embedded"]["users"]
    assert (made["name"], made["isGuest"]) == ("someone", True)


def test_a_session_without_a_function_or_guests_requires_an_existing_user(client: httpx.Client) -> None:
    guests(client, "DISABLED")
    found = session(client, "ann")
    assert found["allowed"] is False
    assert "no user 'ann'" in found["reason"]
    client.post("/v1/users", json={"name": "ann", "displayName": "Ann"})
    assert session(client, "ann")["allowed"] is True


def test_an_error_in_the_function_denies_the_session_with_its_message(client: httpx.Client) -> None:
    deploy(
        client,
        "user.attempted.start_session",
        "function handleEvent(e) { if (!e.authParams.key) throw Error('no key') }",
    )
    denied = session(client, "ann")
    assert (denied["allowed"], denied["reason"]) == (False, "no key")
    assert denied["invocation"]["status"] == "FAILED"
    assert not exists(client, "ann")
    allowed = session(client, "ann", key="x")
    assert (allowed["allowed"], allowed["invocation"]["status"]) == (True, "SUCCEEDED")


def test_a_session_without_a_username_is_a_400(anyone: httpx.Client) -> None:
    for data in ({}, {"username": ""}, {"username": 1}, {"username": "a", "authParams": []}):
        answer = anyone.post("/emulator/trigger", json={"type": "user.attempted.start_session", "data": data})
        assert answer.status_code == 400, data


@pytest.mark.parametrize("version", sampled([30, 31, 32, 33, 34], every=3))
def test_the_sample_handler_of_the_platform_runs_unchanged(client: httpx.Client, tmp_path: Path, version: int) -> None:
    guests(client, "DISABLED")
    sample = json.loads((GOLDEN / "sample-handlers.json").read_text("utf-8"))[str(version)]
    with contextlib.closing(sqlite3.connect(tmp_path / "emulator" / "emulator.db")) as database:
        database.execute("INSERT INTO sqlite_sequence VALUES ('channels', 701)")
        database.commit()
    channel = client.post("/v1/channels", json={"type": "PUBLIC", "name": "lobby"}).json()["id"]
    assert channel == 702  # The sample handler expects this id.
    deploy(client, "user.attempted.start_session", sample["script"])
    first, second = (session(client, "niyati@example.com", displayName="Niyati") for _ in range(2))
    assert first["invocation"]["status"] == "SUCCEEDED", first
    assert (first["allowed"], second["allowed"]) == (True, True)
    assert first["invocation"]["result"] == {"payload": sample["first"]}
    assert second["invocation"]["result"] == {"payload": sample["second"]}
    (member,) = client.get(f"/v1/channels/{channel}/members").json()["_embedded"]["users"]
    assert (member["name"], member["displayName"]) == ("niyati@example.com", "Niyati")


SENDERS = {
    "the SDK": """
        await context.ChatKitty.Channels.sendChannelMessage(event.channel.id, message);
    """,
    "the older clients": """
        await context.getChannelApi().sendChannelMessage(event.channel.id, message);
    """,
    "fetch": """
        const url = process.env.CHATKITTY_CHAT_SERVICE_BASE_URL;
        const form = new URLSearchParams({
          grant_type: 'client_credentials', client_id: process.env.CHATKITTY_CLIENT_ID,
          client_secret: process.env.CHATKITTY_CLIENT_SECRET,
        });
        const { access_token } = await (await fetch(url + '/oauth/token', { method: 'POST', body: form })).json();
        await fetch(url + '/v1/channels/' + event.channel.id + '/messages', {
          method: 'POST', body: JSON.stringify(message),
          headers: { authorization: 'Bearer ' + access_token, 'content-type': 'application/json' },
        });
    """,
}


@pytest.mark.parametrize("sender", SENDERS)
def test_a_handler_that_replies_to_its_own_messages_is_stopped(client: httpx.Client, sender: str) -> None:
    script = f"""async function handleEvent(event, context) {{
        const message = {{ type: 'TEXT', body: 'again', user: {{ id: event.user.id }} }};
        {SENDERS[sender]}
    }}"""
    function_id = deploy(client, "user.sent.message", script)
    user = client.post("/v1/users", json={"name": "bot", "displayName": "Bot"}).json()
    channel = client.post("/v1/channels", json={"type": "PUBLIC", "name": "c"}).json()
    sent = {"type": "TEXT", "body": "hello", "user": {"id": user["id"]}}
    for _ in range(2):  # The second message starts a new chain, with its own limit.
        assert client.post(f"/v1/channels/{channel['id']}/messages", json=sent).status_code == 200

    def stopped() -> list[dict[str, Any]]:
        found = invocations(client, function_id, size=100)
        failed = [invocation for invocation in found if invocation["status"] == "FAILED"]
        assert len(found) <= 34
        return failed if len(failed) == 2 else []

    for failed in eventually(stopped):
        assert failed["result"]["error"]["name"] == "EventLoop", failed
        assert "endless loop" in failed["result"]["error"]["message"]
    assert len(invocations(client, function_id, size=100)) == 34
