"""Functions, versions and dependencies of the runtime."""

from __future__ import annotations

import httpx
import pytest

from ckfunc.emulator.emulator import Emulator

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


def test_a_new_application_has_no_functions(client: httpx.Client) -> None:
    page = client.get(FUNCTIONS).json()
    assert page["_embedded"] == {"functions": []}
    assert page["page"] == {"size": 25, "totalElements": 0, "totalPages": 0, "number": 0}


def test_a_new_function_is_disabled_until_its_first_version_is_created(client: httpx.Client) -> None:
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


def test_a_second_function_of_the_same_type_is_a_400_with_the_reason(client: httpx.Client) -> None:
    create(client)
    again = client.post(FUNCTIONS, json={"type": "user.sent.message", "name": "Another"})
    assert again.status_code == 400
    assert "user.sent.message already" in again.json()["explanation"]
    assert client.get(FUNCTIONS).json()["page"]["totalElements"] == 1


def test_a_function_of_an_unknown_type_can_be_created(client: httpx.Client) -> None:
    assert create(client, "something.else.entirely") > 0


@pytest.mark.parametrize(
    "body", [{"type": "a"}, {"name": "a"}, {"type": "a", "name": "a", "initializeAsynchronously": 1}]
)
def test_a_function_with_missing_or_invalid_fields_is_a_400(client: httpx.Client, body: dict[str, object]) -> None:
    assert client.post(FUNCTIONS, json=body).status_code == 400


def test_versions_are_numbered_listed_newest_first_and_immutable(client: httpx.Client) -> None:
    function_id = create(client)
    made = [deploy(client, function_id, f"// {number}\n{SCRIPT}") for number in range(3)]
    page = client.get(f"/v1/functions/{function_id}/versions").json()
    assert [version["versionNumber"] for version in page["_embedded"]["versions"]] == [3, 2, 1]
    assert page["_embedded"]["versions"] == made[::-1]
    assert client.get(f"/v1/function-versions/{made[0]['id']}").json() == made[0]
    oldest = client.get(f"/v1/functions/{function_id}/versions", params={"sort": "version_number", "size": 1}).json()
    assert oldest["_embedded"]["versions"] == made[:1]


def test_scripts_are_returned_unchanged(client: httpx.Client) -> None:
    function_id = create(client)
    script = "\ufeff// \r\n\t\u2028 \U0001f600 'q' \"d\" \0 ${x} \n\n" + SCRIPT
    assert deploy(client, function_id, script)["handlerScript"] == script
    found = client.get(
        f"/functions/{function_id}/current-version", headers={"accept": "application/vnd.chatkitty+json"}
    )
    assert found.json()["handler_script"] == script


def test_a_script_with_a_syntax_error_is_stored(client: httpx.Client) -> None:
    function_id = create(client)
    version = deploy(client, function_id, "function handleEvent( {")
    assert client.get(f"/v1/function-versions/{version['id']}").json()["handlerScript"] == "function handleEvent( {"


def test_a_script_of_a_megabyte_is_accepted_with_any_json_escapes(client: httpx.Client) -> None:
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
def test_an_unknown_function_or_version_is_a_404_that_names_it(client: httpx.Client, path: str) -> None:
    answer = client.get(f"/v1/{path}")
    assert (answer.status_code, answer.json()["error"]) == (404, "ResourceNotFoundError")
    assert "there is no function" in answer.json()["explanation"]


def test_a_control_disables_and_enables_a_function_independently_of_new_versions(
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


RUNTIME = "/v1/runtimes/nodejs"


def test_a_new_runtime_has_only_the_entries_of_the_platform(client: httpx.Client, emulator: Emulator) -> None:
    found = client.get(RUNTIME).json()
    assert (found["id"], found["type"], found["version"]) == (1, "NODEJS", "v0.0.29")
    names = [dependency["name"] for dependency in found["dependencies"]]
    assert names == ["axios", "axios-token-interceptor", "chatkitty-platform-sdk", "qs"]
    assert all(dependency["defaultDependency"] is True for dependency in found["dependencies"])
    assert found["environmentVariables"] == {
        "CHATKITTY_CLIENT_ID": "emulator",
        "CHATKITTY_CLIENT_SECRET": "emulator",
        "CHATKITTY_APPLICATION_ID": "1",
        "CHATKITTY_CHAT_SERVICE_BASE_URL": emulator.url,
        "CHATKITTY_AUTHORIZATION_SERVICE_BASE_URL": emulator.url,
    }
    assert "initializationScript" not in found
    assert set(found["_links"]) == {"self", "dependencies", "initializationScript", "functions", "application"}


def test_new_dependencies_replace_those_of_the_user_but_not_those_of_the_platform(client: httpx.Client) -> None:
    first = client.put(f"{RUNTIME}/dependencies", json=[{"name": "ms", "version": "2.1.3"}])
    assert first.status_code == 200
    assert first.json()["dependencies"][-1] == {"name": "ms", "version": "2.1.3", "defaultDependency": False}
    sent_back = [
        *first.json()["dependencies"][:4],
        {"name": "left-pad", "version": "1.3.0", "default_dependency": False},
    ]
    second = client.put(f"{RUNTIME}/dependencies", json=sent_back).json()
    assert [dependency["name"] for dependency in second["dependencies"]][4:] == ["left-pad"]
    assert client.put(f"{RUNTIME}/dependencies", json=[]).json()["dependencies"] == second["dependencies"][:4]


@pytest.mark.parametrize(
    ("body", "explanation"),
    [
        ({}, "not a list"),
        (["ms"], "not an object"),
        ([{"name": "ms"}], "'version' is missing"),
        ([{"name": "ms", "version": 2}], "'version' is an integer"),
        ([{"name": "../ms", "version": "1"}], "is not an npm package name"),
        ([{"name": "m" * 215, "version": "1"}], "is not an npm package name"),
        ([{"name": "ms", "version": " "}], "is blank"),
        ([{"name": "ms", "version": "http://127.0.0.1:9/ms.tgz"}], "is not a version from the npm registry"),
        ([{"name": "ms", "version": "git+ssh://git@127.0.0.1/ms"}], "is not a version from the npm registry"),
        ([{"name": "ms", "version": "someone/ms"}], "is not a version from the npm registry"),
        ([{"name": "ms", "version": "npm:other@1"}], "is not a version from the npm registry"),
        ([{"name": "ms", "version": "ms.TGZ"}], "is not a version from the npm registry"),
        ([{"name": "ms", "version": "file:../ms"}], "is not a version from the npm registry"),
        ([{"name": "ms", "version": "../ms"}], "is not a version from the npm registry"),
        ([{"name": "ms", "version": ".."}], "is not a version range"),
        ([{"name": "ms", "version": "~"}], "is not a version range"),
        ([{"name": "ms", "version": "1"}, {"name": "ms", "version": "2"}], "listed twice"),
        ([{"name": "axios", "version": "1.0.0"}], "provided by the platform"),
    ],
)
def test_dependencies_that_cannot_be_installed_are_a_400(client: httpx.Client, body: object, explanation: str) -> None:
    answer = client.put(f"{RUNTIME}/dependencies", json=body)
    assert answer.status_code == 400
    assert explanation in answer.json()["explanation"]
    assert len(client.get(RUNTIME).json()["dependencies"]) == 4


def test_names_of_environment_variables_are_never_respelled(client: httpx.Client) -> None:
    wanted = {"SUPPORT_CHANNEL": "702", "camelCase": "a", "snake_case": "b", "EMPTY": ""}
    for accept in ("application/json", "application/vnd.chatkitty+json"):
        answer = client.put(f"{RUNTIME}/environment-variables", json=wanted, headers={"accept": accept}).json()
        shown = answer.get("environmentVariables") or answer["environment_variables"]
        assert {name: value for name, value in shown.items() if not name.startswith("CHATKITTY_")} == wanted


def test_new_variables_replace_those_of_the_user_but_not_those_of_the_platform(client: httpx.Client) -> None:
    client.put(f"{RUNTIME}/environment-variables", json={"OLD": "1"})
    sent = {"NEW": "2", "CHATKITTY_CLIENT_ID": "mine", "CHATKITTY_OTHER": "x"}
    shown = client.put(f"{RUNTIME}/environment-variables", json=sent).json()["environmentVariables"]
    assert shown["CHATKITTY_CLIENT_ID"] == "emulator"
    assert "CHATKITTY_OTHER" not in shown
    assert "OLD" not in shown
    assert shown["NEW"] == "2"


@pytest.mark.parametrize("body", [{"A": 1}, {"A": None}, ["A"], {"": "x"}, {"A=B": "x"}, {"A": "\0"}, {"A\0": ""}])
def test_invalid_environment_variables_are_a_400(client: httpx.Client, body: object) -> None:
    assert client.put(f"{RUNTIME}/environment-variables", json=body).status_code == 400


def test_the_initialization_script_is_returned_unchanged_even_with_a_syntax_error(client: httpx.Client) -> None:
    for script in ("export const answer: number = 42;\r\n", "export const =", ""):
        answer = client.put(f"{RUNTIME}/initialization-script", json={"script": script})
        assert answer.status_code == 200
        assert answer.json()["initializationScript"] == {"script": script}
    assert client.put(f"{RUNTIME}/initialization-script", json={"script": None}).status_code == 400
