"""The OpenAPI document names what is routed and nothing else, and its page works without a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from support.npm_packages import locked_packages

from ckfunc.emulator.app import ROUTES
from ckfunc.emulator.description.openapi import document, operation_id
from ckfunc.emulator.http.routing import Access
from ckfunc.runtime.node import node_executable
from ckfunc.wire.contract.operations import Operation, operations, schemas
from ckfunc.wire.dialects import snake

ROUTED = {operation_id(route): route for route in ROUTES if route.access is Access.TOKEN}
BY_ID = {one.id: one for one in operations()}


def references(value: Any) -> set[str]:
    return set(re.findall(r'"#/components/(\w+/\w+)"', json.dumps(value)))


def test_the_platforms_66_operations_and_the_4_newer_ones_are_described() -> None:
    assert len(BY_ID) == len(operations()) == 70


def test_every_operation_is_routed() -> None:
    assert sorted(BY_ID.keys() - ROUTED.keys()) == []


def test_every_operation_has_its_row_in_the_table_of_conformance() -> None:
    table = (Path(__file__).parent.parent.parent / "docs" / "conformance.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `(\w+)` ", table, re.MULTILINE) == list(BY_ID)


def test_every_route_that_needs_a_token_is_an_operation_of_the_platform() -> None:
    assert sorted(ROUTED.keys() - BY_ID.keys()) == []
    for name, route in ROUTED.items():
        assert (route.method, route.path) == (BY_ID[name].method, BY_ID[name].path), name


@pytest.mark.parametrize("operation", operations(), ids=lambda one: one.id)
def test_an_operation_is_documented_with_all_of_its_parameters(operation: Operation) -> None:
    assert operation.summary.endswith(".")
    assert all(one["description"] for one in operation.parameters)
    in_path = [one["name"] for one in operation.parameters if one["in"] == "path"]
    assert in_path == re.findall(r"{(\w+)}", operation.path)


@pytest.mark.parametrize("name", schemas())
def test_a_schema_is_valid_and_says_what_its_fields_are(name: str) -> None:
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["description"]
    fields = schema.get("properties", {})
    assert [field for field, one in fields.items() if not one["description"]] == []
    assert set(schema.get("required", [])) <= set(fields)


@pytest.mark.parametrize("name", schemas())
def test_a_schema_names_the_fields_that_another_spelling_has(name: str) -> None:
    for field, one in schemas()[name].get("properties", {}).items():
        # In snake_case, answers say isGuest, and requests is_guest.
        assert one.get("x-snake", field) == snake(field) or field == "isGuest"


def test_the_document_refers_to_nothing_that_it_does_not_hold() -> None:
    made = document(ROUTES, "http://127.0.0.1:1")
    held = {f"{kind}/{name}" for kind, entries in made["components"].items() for name in entries}
    assert references(made) - held == set()


def test_the_document_is_served_with_the_address_that_was_called_and_never_respelled(anyone: httpx.Client) -> None:
    for path in ("/openapi.json", "/v1/openapi.json"):
        answer = anyone.get(path, headers={"accept": "application/vnd.chatkitty+json"})
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == document(ROUTES, str(anyone.base_url).rstrip("/"))
    made = answer.json()
    assert made["openapi"] == "3.1.0"
    listed = {one["operationId"] for methods in made["paths"].values() for one in methods.values()}
    assert listed == set(ROUTED)
    assert made["paths"]["/v1/users/{id}"]["get"]["responses"]["404"] == {"$ref": "#/components/responses/NotFound"}


def test_the_page_needs_no_other_address_and_runs_its_own_script_alone(anyone: httpx.Client) -> None:
    answer = anyone.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'sha256-" in policy
    assert "unsafe-eval" not in policy
    assert re.findall(r"""(?:src|href)=["'](?!/openapi.json|#)|https?://|url\(|@import|innerHTML""", answer.text) == []


@pytest.mark.timeout(300)
def test_the_page_lists_every_operation_and_calls_them(anyone: httpx.Client) -> None:
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
    assert sorted(page["operations"]) == sorted(ROUTED)
    assert page["addressed"]
    assert page["created"][0].startswith("POST /v1/users\n200 application/json")
    assert json.loads(page["created"][1])["displayName"] == "Ann"
    assert page["listed"][0].startswith("GET /v1/users?sort=name%2Cdesc&sort=id\n200")
    assert page["retrieved"][0].startswith("GET /v1/users/1\n200")
    assert page["filtered"] == ["listChannelMessages", "sendChannelMessage"] * 2
    assert page["opened"] > 500
