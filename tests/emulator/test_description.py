"""The OpenAPI document and its page: exactly the existing routes, without network access."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from support.calls import function
from support.npm_packages import locked_packages

from ckfunc.emulator.asgi import ROUTES
from ckfunc.emulator.http.routing import Access
from ckfunc.emulator.resources.openapi import control_operations, control_schemas, document, operation_id
from ckfunc.runtime.node import node_executable
from ckfunc.wire.contract import Operation, operations, schemas
from ckfunc.wire.dialects import snake

ROUTED = {operation_id(route): route for route in ROUTES if route.access is Access.TOKEN}
BY_ID = {operation.id: operation for operation in operations()}
CONTROLS = {operation_id(route): route for route in ROUTES if route.access is Access.CONTROL}
ALL_SCHEMAS = {**schemas(), **control_schemas()}


def references(value: Any) -> set[str]:
    return set(re.findall(r'"#/components/(\w+/\w+)"', json.dumps(value)))


def test_all_70_operations_of_the_platform_are_described() -> None:
    assert len(BY_ID) == len(operations()) == 70


def test_every_operation_is_routed() -> None:
    assert sorted(BY_ID.keys() - ROUTED.keys()) == []


def test_every_operation_has_a_row_in_the_conformance_table() -> None:
    table = (Path(__file__).parent.parent.parent / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` [A-Z]+ /", table, re.MULTILINE) == list(BY_ID)


def test_every_route_that_needs_a_token_is_an_operation_of_the_platform() -> None:
    assert sorted(ROUTED.keys() - BY_ID.keys()) == []
    for name, route in ROUTED.items():
        assert (route.method, route.path) == (BY_ID[name].method, BY_ID[name].path), name


def test_exactly_the_existing_controls_are_described() -> None:
    described = {operation.id: operation for operation in control_operations()}
    assert described.keys() == CONTROLS.keys()
    for name, route in CONTROLS.items():
        assert (route.method, route.path) == (described[name].method, described[name].path), name
    assert not described.keys() & BY_ID.keys()
    assert not control_schemas().keys() & schemas().keys()
    made = document(ROUTES, "http://127.0.0.1:1")["paths"]["/emulator/health"]["get"]
    assert (made["security"], list(made["responses"])) == ([], ["200", "400", "404"])


def test_requests_and_responses_of_controls_match_their_description(client: httpx.Client) -> None:
    validators = {
        name: jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": {"schemas": ALL_SCHEMAS}}
        )
        for name in ALL_SCHEMAS
    }
    seed = {
        "users": [{"name": "ann", "properties": {"a": 1}}],
        "channels": [{"name": "c", "members": ["ann"], "messages": [{"user": "ann", "body": "x"}, {"body": "y"}]}],
    }
    both = {"username": "ann", "messageId": 1}
    event = {"type": "user.attempted.start_session", "data": {"username": "ann"}}
    made = function(client, "user.attempted.start_session")
    values: dict[str, tuple[str, Any]] = {
        "health": ("/emulator/health", None),
        "plantSeed": ("/emulator/seed", seed),
        "openChatSession": ("/emulator/sessions", {"username": "ann", "channelId": 1}),
        "closeChatSession": ("/emulator/sessions/1", None),
        "readMessage": ("/emulator/read-receipts", both),
        "reportMessage": ("/emulator/reports", both),
        "trigger": ("/emulator/trigger", event),
        "listInvocationDetails": ("/emulator/invocations?ids=1,2", None),
        "enableFunction": (f"/emulator/functions/{made}/enabled", {"enabled": False}),
        "updateTokenLifetime": ("/emulator/token-lifetime", {"seconds": 60, "revoke": False}),
        "explainJob": ("/emulator/jobs/1", None),
        "addFault": ("/emulator/faults", {"operation": "createUser", "status": 429, "first": 1}),
        "listFaults": ("/emulator/faults", None),
        "removeFault": ("/emulator/faults/1", None),
        "clearFaults": ("/emulator/faults", None),
        "saveSnapshot": ("/emulator/snapshots/one", {"replace": True}),
        "listSnapshots": ("/emulator/snapshots", None),
        "restoreSnapshot": ("/emulator/snapshots/one/restore", None),
        "removeSnapshot": ("/emulator/snapshots/one", None),
        "resetData": ("/emulator/reset", None),
    }
    assert values.keys() == CONTROLS.keys()
    job = client.post("/v1/analytics/users").raise_for_status().json()["id"]
    until = time.monotonic() + 60
    while client.get(f"/v1/jobs/{job}").json()["state"] != "FINISHED":
        assert time.monotonic() < until
        time.sleep(0.01)
    described = {operation.id: operation for operation in control_operations()}
    for name, (path, body) in values.items():
        operation = described[name]
        for schema in operation.content.values():
            validators[schema].validate(body)
            for field in ALL_SCHEMAS[schema]["required"]:
                less = {key: value for key, value in body.items() if key != field}
                assert client.request(operation.method, path, json=less).status_code == 400, (name, field)
        answer = client.request(operation.method, path, json=body).raise_for_status().json()
        assert operation.response is not None
        validators[operation.response].validate(answer)
        if operation.response.startswith("Emulator") and operation.response != "EmulatorJob":
            assert answer.keys() <= ALL_SCHEMAS[operation.response]["properties"].keys(), name


@pytest.mark.parametrize("operation", [*operations(), *control_operations()], ids=lambda operation: operation.id)
def test_an_operation_is_documented_with_all_of_its_parameters(operation: Operation) -> None:
    assert operation.summary.endswith(".")
    assert all(parameter["description"] for parameter in operation.parameters)
    in_path = [parameter["name"] for parameter in operation.parameters if parameter["in"] == "path"]
    assert in_path == re.findall(r"{(\w+)}", operation.path)


@pytest.mark.parametrize("name", ALL_SCHEMAS)
def test_every_schema_is_valid_and_describes_its_fields(name: str) -> None:
    schema = ALL_SCHEMAS[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["description"]
    fields = schema.get("properties", {})
    assert [field for field, schema in fields.items() if not schema["description"]] == []
    assert set(schema.get("required", [])) <= set(fields)


@pytest.mark.parametrize("name", schemas())
def test_every_schema_has_the_snake_case_names_of_its_fields(name: str) -> None:
    for field, schema in schemas()[name].get("properties", {}).items():
        # In snake_case, responses have isGuest, and requests have is_guest.
        assert schema.get("x-snake", field) == snake(field) or field == "isGuest"


def test_every_reference_in_the_document_can_be_resolved() -> None:
    made = document(ROUTES, "http://127.0.0.1:1")
    held = {f"{kind}/{name}" for kind, entries in made["components"].items() for name in entries}
    assert references(made) - held == set()


def test_the_document_is_served_with_the_requested_address_and_always_in_camelcase(anyone: httpx.Client) -> None:
    for path in ("/openapi.json", "/v1/openapi.json"):
        answer = anyone.get(path, headers={"accept": "application/vnd.chatkitty+json"})
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == document(ROUTES, str(anyone.base_url).rstrip("/"))
    made = answer.json()
    assert made["openapi"] == "3.1.0"
    listed = {method["operationId"] for methods in made["paths"].values() for method in methods.values()}
    assert listed == {*ROUTED, *CONTROLS}
    assert made["paths"]["/v1/users/{id}"]["get"]["responses"]["404"] == {"$ref": "#/components/responses/NotFound"}


def test_the_page_loads_nothing_from_elsewhere_and_runs_only_its_own_script(anyone: httpx.Client) -> None:
    answer = anyone.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert (
        re.findall(r"""(?:src|href)=["'](?!/openapi.json|/"|#)|https?://|url\(|@import|innerHTML""", answer.text) == []
    )


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_the_page_lists_and_calls_operations(anyone: httpx.Client) -> None:
    server = str(anyone.base_url).rstrip("/")
    directory = locked_packages("jsdom")
    script = Path(__file__).parent / "docs_page.cjs"
    ran = subprocess.run(
        [str(node_executable()), str(script), str(directory), server],
        capture_output=True,
        encoding="utf-8",
        env={name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
        timeout=240,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    page = json.loads(ran.stdout)
    assert page["problems"] == []
    assert sorted(page["operations"]) == sorted([*ROUTED, *CONTROLS])
    assert page["controlled"][0].startswith("POST /emulator/read-receipts\n404 application/json")
    assert page["addressed"]
    assert page["created"][0].startswith("POST /v1/users\n200 application/json")
    assert json.loads(page["created"][1])["displayName"] == "Ann"
    assert page["listed"][0].startswith("GET /v1/users?sort=name%2Cdesc&sort=id\n200")
    assert page["retrieved"][0].startswith("GET /v1/users/1\n200")
    assert page["filtered"] == ["listChannelMessages", "sendChannelMessage"] * 2
    assert page["opened"] > 500
