from __future__ import annotations

import httpx
import pytest

FUNCTIONS = "/v1/runtimes/nodejs/functions"
SCRIPT = "async function handleEvent(event: Event, context: Context) { return 1; }"


def create(client: httpx.Client, trigger_type: str = "user.sent.message") -> int:
    made = client.post(FUNCTIONS, json={"type": trigger_type, "name": "A name", "description": "What it does"})
    assert made.status_code == 200, made.text
    return int(made.json()["id"])


def deploy(client: httpx.Client, function_id: int, script: str = SCRIPT) -> dict[str, object]:
    made = client.post(f"/v1/functions/{function_id}/versions", json={"handlerScript": script})
    assert made.status_code == 200, made.text
    document: dict[str, object] = made.json()
    return document


def test_a_fresh_application_has_no_functions(client: httpx.Client) -> None:
    page = client.get(FUNCTIONS).json()
    assert page["_embedded"] == {"functions": []}
    assert page["page"] == {"size": 25, "totalElements": 0, "totalPages": 0, "number": 0}


def test_a_created_function_is_at_version_0_and_disabled_and_its_first_version_enables_it(client: httpx.Client) -> None:
    function_id = create(client)
    created = client.get(f"/v1/functions/{function_id}").json()
    assert (created["enabled"], created["currentVersionNumber"]) == (False, 0)
    assert (created["name"], created["description"]) == ("A name", "What it does")
    assert created["runtime"] == {"id": 1, "type": "NODEJS", "version": "v0.0.29"}
    assert client.get(f"/v1/functions/{function_id}/current-version").status_code == 404
    version = deploy(client, function_id)
    assert (version["versionNumber"], version["handlerScript"]) == (1, SCRIPT)
    enabled = client.get(f"/v1/functions/{function_id}").json()
    assert (enabled["enabled"], enabled["currentVersionNumber"]) == (True, 1)
    assert client.get(f"/v1/functions/{function_id}/current-version").json() == version


def test_a_second_function_of_a_type_is_a_400_that_says_so(client: httpx.Client) -> None:
    create(client)
    again = client.post(FUNCTIONS, json={"type": "user.sent.message", "name": "Another"})
    assert again.status_code == 400
    assert "user.sent.message already" in again.json()["explanation"]
    assert client.get(FUNCTIONS).json()["page"]["totalElements"] == 1


def test_a_type_that_nobody_knows_can_be_created(client: httpx.Client) -> None:
    assert create(client, "something.else.entirely") > 0


@pytest.mark.parametrize(
    "body", [{"type": "a"}, {"name": "a"}, {"type": "a", "name": "a", "initializeAsynchronously": 1}]
)
def test_a_function_without_its_fields_is_a_400(client: httpx.Client, body: dict[str, object]) -> None:
    assert client.post(FUNCTIONS, json=body).status_code == 400


def test_versions_are_numbered_and_listed_newest_first_and_never_change(client: httpx.Client) -> None:
    function_id = create(client)
    made = [deploy(client, function_id, f"// {number}\n{SCRIPT}") for number in range(3)]
    page = client.get(f"/v1/functions/{function_id}/versions").json()
    assert [one["versionNumber"] for one in page["_embedded"]["versions"]] == [3, 2, 1]
    assert page["_embedded"]["versions"] == made[::-1]
    assert client.get(f"/v1/function-versions/{made[0]['id']}").json() == made[0]
    oldest = client.get(f"/v1/functions/{function_id}/versions", params={"sort": "version_number", "size": 1}).json()
    assert oldest["_embedded"]["versions"] == made[:1]


def test_scripts_come_back_to_the_letter(client: httpx.Client) -> None:
    function_id = create(client)
    script = "\ufeff// \r\n\t\u2028 \U0001f600 'q' \"d\" \0 ${x} \n\n" + SCRIPT
    assert deploy(client, function_id, script)["handlerScript"] == script
    found = client.get(
        f"/functions/{function_id}/current-version", headers={"accept": "application/vnd.chatkitty+json"}
    )
    assert found.json()["handler_script"] == script


def test_a_script_that_does_not_parse_is_stored_all_the_same(client: httpx.Client) -> None:
    function_id = create(client)
    version = deploy(client, function_id, "function handleEvent( {")
    assert client.get(f"/v1/function-versions/{version['id']}").json()["handlerScript"] == "function handleEvent( {"


def test_a_script_of_a_mebibyte_is_taken_however_it_is_escaped(client: httpx.Client) -> None:
    function_id = create(client)
    script = SCRIPT + "\n//" + "\x01" * 1_000_000
    assert deploy(client, function_id, script)["versionNumber"] == 1


@pytest.mark.parametrize("body", [{}, {"handlerScript": 1}, {"handlerScript": None}, []])
def test_a_version_without_a_script_is_a_400(client: httpx.Client, body: object) -> None:
    function_id = create(client)
    assert client.post(f"/v1/functions/{function_id}/versions", json=body).status_code == 400
    assert client.get(f"/v1/functions/{function_id}").json()["currentVersionNumber"] == 0


@pytest.mark.parametrize(
    "path",
    [
        "functions/9",
        "functions/9/versions",
        "functions/9/invocations",
        "functions/9/current-version",
        "function-versions/9",
        "functions/9223372036854775807",
    ],
)
def test_what_does_not_exist_is_a_404_that_names_it(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/v1/{path}")
    assert (answer.status_code, answer.json()["error"]) == (404, "ResourceNotFoundError")
    assert "there is no function" in answer.json()["explanation"]


def test_a_control_disables_and_enables_a_function_and_a_new_version_leaves_that_alone(
    client: httpx.Client, anyone: httpx.Client
) -> None:
    function_id = create(client)
    deploy(client, function_id)
    answer = anyone.put(f"/emulator/functions/{function_id}/enabled", json={"enabled": False})
    assert answer.json()["enabled"] is False
    deploy(client, function_id)
    assert client.get(f"/v1/functions/{function_id}").json()["enabled"] is False
    assert anyone.put(f"/emulator/functions/{function_id}/enabled", json={"enabled": True}).json()["enabled"] is True
    assert anyone.put("/emulator/functions/99/enabled", json={"enabled": True}).status_code == 404
    assert anyone.put(f"/emulator/functions/{function_id}/enabled", json={"enabled": "yes"}).status_code == 400
