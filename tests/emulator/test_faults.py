"""Faults of the emulator: answers with errors, delays, lost responses, by operation and rate."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from emulator.test_calls import FETCH
from support.calls import explanation
from support.loopback import http_client
from support.stomp import stomp

from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.http.faults import MOST_FAULTS, Faults
from ckfunc.model.fault import Fault
from ckfunc.wire.faults import FaultMistake, read_fault, write_fault


def add(client: httpx.Client, **fault: Any) -> dict[str, Any]:
    answer = client.post("/emulator/faults", json=fault)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def create(client: httpx.Client, name: str) -> httpx.Response:
    return client.post("/v1/users", json={"name": name, "displayName": name, "isGuest": False})


def names(client: httpx.Client) -> list[str]:
    return [user["name"] for user in client.get("/v1/users").json()["_embedded"]["users"]]


def test_the_first_requests_of_an_operation_are_refused_and_not_executed(client: httpx.Client) -> None:
    add(client, operation="createUser", status=429, retryAfterSeconds=3, first=2)
    first, second = create(client, "ann"), create(client, "ann")
    assert (first.status_code, first.headers["retry-after"], first.json()["error"]) == (429, "3", "EmulatorFault")
    assert second.status_code == 429
    assert "fault 1: 429 with Retry-After 3 s, first 2 requests of createUser" in explanation(first, 429)
    assert client.get("/v1/channels").status_code == 200
    assert create(client, "bob").status_code == 200
    assert names(client) == ["bob"]
    (active,) = client.get("/emulator/faults").json()["faults"]
    assert (active["seen"], active["hits"]) == (3, 2)


def test_a_status_without_an_operation_affects_every_operation_in_both_spellings(client: httpx.Client) -> None:
    add(client, status=503)
    assert {client.get(path).status_code for path in ("/v1/users", "/users", "/v1/applications/1")} == {503}
    assert "retry-after" not in client.get("/v1/users").headers


def test_a_lost_response_closes_the_connection_after_the_request_was_executed(client: httpx.Client) -> None:
    add(client, operation="createUser", lost=True, first=1)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        create(client, "ann")
    assert names(client) == ["ann"]
    add(client, operation="retrieveUser", lost=True)
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/v1/users/4711")
    assert create(client, "bob").status_code == 200


def test_a_delayed_request_is_not_executed_if_the_client_disconnects(client: httpx.Client, emulator: Emulator) -> None:
    add(client, operation="createUser", delayMs=60_000)
    with http_client(emulator.url) as impatient, pytest.raises(httpx.ReadTimeout):
        impatient.headers["authorization"] = client.headers["authorization"]
        impatient.post("/v1/users", json={"name": "ann", "displayName": "a", "isGuest": False}, timeout=0.2)
    client.delete("/emulator/faults")
    assert create(client, "bob").status_code == 200
    assert names(client) == ["bob"]


def test_a_delayed_request_is_executed_or_refused_after_the_delay(client: httpx.Client) -> None:
    add(client, operation="createUser", delayMs=50)
    assert create(client, "ann").status_code == 200
    add(client, operation="listUsers", delayMs=50, status=500, first=1)
    assert client.get("/v1/users").status_code == 500
    assert names(client) == ["ann"]


def test_a_rate_selects_the_same_requests_in_every_run() -> None:
    def run(fault: Fault) -> list[bool]:
        faults = Faults()
        faults.add(Fault("listUsers", 500))
        faults.remove(1)
        faults.add(fault)
        return [faults.for_request("createUser") is not None for _ in range(500)]

    fault = Fault("createUser", 503, rate_percent=20)
    chosen = run(fault)
    assert chosen == run(fault)
    assert 60 < sum(chosen) < 140
    assert chosen != run(Fault("createUser", 503, rate_percent=20, seed=2))
    assert not any(run(Fault("listUsers", 503)))


def test_faults_take_effect_in_turn(client: httpx.Client) -> None:
    for status, first in ((429, 1), (502, 2)):
        add(client, operation="listUsers", status=status, first=first)
    assert [client.get("/v1/users").status_code for _ in range(4)] == [429, 502, 502, 200]


def test_faults_are_removed_one_by_one_or_all_together(client: httpx.Client) -> None:
    ids = [add(client, status=500)["id"] for _ in range(3)]
    assert ids == [1, 2, 3]
    assert client.delete("/emulator/faults/2").json()["id"] == 2
    assert client.delete("/emulator/faults/2").status_code == 404
    assert [fault["id"] for fault in client.delete("/emulator/faults").json()["faults"]] == [1, 3]
    assert client.get("/emulator/faults").json() == {"faults": []}
    assert client.get("/v1/users").status_code == 200
    assert add(client, status=500)["id"] == 4


def test_the_number_of_faults_is_limited(client: httpx.Client) -> None:
    for _ in range(MOST_FAULTS):
        add(client, status=500)
    assert "remove some" in explanation(client.post("/emulator/faults", json={"status": 500}))


def test_controls_pages_tokens_and_clients_are_not_affected(client: httpx.Client, emulator: Emulator) -> None:
    create(client, "ann")
    add(client, status=503)
    add(client, lost=True)
    for path in ("/emulator/health", "/emulator/faults", "/", "/ui/users", "/docs", "/openapi.json", "/v1/picture/a"):
        assert client.get(path).status_code == 200, path
    answer = client.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"})
    assert answer.status_code == 200
    with stomp(emulator.url) as talker:
        assert talker.connect("ann").command == "CONNECTED"
        talker.read("/user")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({}, "a fault needs a status, a delay or a lost response"),
        ({"status": 404}, "the status is 404; it must be 429 or from 500 to 599"),
        ({"operation": "sendMesage", "status": 500}, "there is no operation 'sendMesage'"),
        ({"operation": "createUsr", "status": 500}, "there is no operation 'createUsr' (did you mean createUser?)"),
        ({"status": 500, "lost": True}, "a lost response has no status"),
        ({"status": 500, "first": 1, "ratePercent": 20}, "can't be used together"),
        ({"status": 500, "first": 0}, "the number of first requests is 0; it must be from 1"),
        ({"status": 500, "ratePercent": 0}, "the rate is 0%, not above 0%"),
        ({"status": 500, "ratePercent": 101}, "the rate is 101%"),
        ({"status": 500, "ratePercent": "20%"}, "the rate is not a number"),
        ({"lost": True, "retryAfterSeconds": 1}, "Retry-After needs a status"),
        ({"delayMs": 60_001}, "the delay in milliseconds is 60001; it must be from 0 to 60000"),
        ({"status": 500, "retryAfter": 1}, "unknown field 'retryAfter' (did you mean retryAfterSeconds?)"),
        ({"status": "500"}, "field 'status' is a string"),
        ([], "the fault is an array"),
    ],
)
def test_a_mistake_in_a_fault_is_explained(client: httpx.Client, fault: Any, message: str) -> None:
    assert message in explanation(client.post("/emulator/faults", json=fault))
    assert client.get("/emulator/faults").json() == {"faults": []}


@pytest.mark.parametrize(
    "fault",
    [
        Fault("createUser", 429, 7, rate_percent=12.5, seed=0),
        Fault(None, 503, delay_ms=5, first=3),
        Fault(lost=True, seed=9),
    ],
)
def test_a_fault_survives_a_round_trip_through_json(fault: Fault) -> None:
    assert read_fault(write_fault(fault)) == fault


def test_a_429_fault_has_a_retry_after_header_by_default() -> None:
    assert read_fault({"status": 429}).retry_after_s == 1
    assert read_fault({"status": 429, "retry_after_seconds": 0}).retry_after_s == 0
    assert read_fault({"status": 503}).retry_after_s is None
    with pytest.raises(FaultMistake) as caught:
        read_fault({"status": 200})
    assert caught.value.field == "status"


def test_a_handler_sees_faults_and_its_run_records_them(client: httpx.Client) -> None:
    script = f"""async function handleEvent(event: any, context: any) {{ {FETCH}
      const headers = await signIn();
      const seen = [];
      for (let attempt = 0; attempt < 3; attempt += 1) {{
        try {{
          const answer = await fetch(`${{base}}/v1/users`, {{ headers }});
          seen.push([answer.status, answer.headers.get('retry-after')]);
        }} catch (error: any) {{ seen.push(error.message); }}
      }}
      return seen;
    }}"""
    made = client.post("/v1/runtimes/nodejs/functions", json={"type": "some.event", "name": "N"}).json()
    client.post(f"/v1/functions/{made['id']}/versions", json={"handlerScript": script}).raise_for_status()
    add(client, operation="listUsers", status=429, first=1)
    add(client, operation="listUsers", lost=True, first=1)
    run = client.post("/emulator/trigger", json={"type": "some.event", "data": {}}).json()
    assert run["invocation"]["result"]["payload"] == [[429, "1"], "fetch failed", [200, None]]
    assert [call["status"] for call in run["detail"]["calls"]] == [429, 0, 200]
