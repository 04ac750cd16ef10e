from __future__ import annotations

import httpx
import pytest

from ckfunc.emulator.emulator import Emulator

RUNTIME = "/v1/runtimes/nodejs"


def test_a_fresh_runtime_has_the_platforms_own_entries_alone(client: httpx.Client, emulator: Emulator) -> None:
    found = client.get(RUNTIME).json()
    assert (found["id"], found["type"], found["version"]) == (1, "NODEJS", "v0.0.29")
    names = [one["name"] for one in found["dependencies"]]
    assert names == ["axios", "axios-token-interceptor", "chatkitty-platform-sdk", "qs"]
    assert all(one["defaultDependency"] is True for one in found["dependencies"])
    assert found["environmentVariables"] == {
        "CHATKITTY_CLIENT_ID": "emulator",
        "CHATKITTY_CLIENT_SECRET": "emulator",
        "CHATKITTY_APPLICATION_ID": "1",
        "CHATKITTY_CHAT_SERVICE_BASE_URL": emulator.url,
        "CHATKITTY_AUTHORIZATION_SERVICE_BASE_URL": emulator.url,
    }
    assert "initializationScript" not in found
    assert set(found["_links"]) == {"self", "dependencies", "initializationScript", "functions", "application"}


def test_dependencies_replace_the_users_own_and_keep_the_platforms(client: httpx.Client) -> None:
    first = client.put(f"{RUNTIME}/dependencies", json=[{"name": "ms", "version": "2.1.3"}])
    assert first.status_code == 200
    assert first.json()["dependencies"][-1] == {"name": "ms", "version": "2.1.3", "defaultDependency": False}
    sent_back = [
        *first.json()["dependencies"][:4],
        {"name": "left-pad", "version": "1.3.0", "default_dependency": False},
    ]
    second = client.put(f"{RUNTIME}/dependencies", json=sent_back).json()
    assert [one["name"] for one in second["dependencies"]][4:] == ["left-pad"]
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
        ([{"name": "axios", "version": "1.0.0"}], "platform's own"),
    ],
)
def test_dependencies_that_cannot_be_installed_are_a_400(client: httpx.Client, body: object, explanation: str) -> None:
    answer = client.put(f"{RUNTIME}/dependencies", json=body)
    assert answer.status_code == 400
    assert explanation in answer.json()["explanation"]
    assert len(client.get(RUNTIME).json()["dependencies"]) == 4


def test_names_of_variables_are_kept_as_they_are_in_both_spellings(client: httpx.Client) -> None:
    wanted = {"SUPPORT_CHANNEL": "702", "camelCase": "a", "snake_case": "b", "EMPTY": ""}
    for accept in ("application/json", "application/vnd.chatkitty+json"):
        answer = client.put(f"{RUNTIME}/environment-variables", json=wanted, headers={"accept": accept}).json()
        shown = answer.get("environmentVariables") or answer["environment_variables"]
        assert {name: value for name, value in shown.items() if not name.startswith("CHATKITTY_")} == wanted


def test_variables_replace_the_users_own_and_never_the_platforms(client: httpx.Client) -> None:
    client.put(f"{RUNTIME}/environment-variables", json={"OLD": "1"})
    sent = {"NEW": "2", "CHATKITTY_CLIENT_ID": "mine", "CHATKITTY_OTHER": "x"}
    shown = client.put(f"{RUNTIME}/environment-variables", json=sent).json()["environmentVariables"]
    assert shown["CHATKITTY_CLIENT_ID"] == "emulator"
    assert "CHATKITTY_OTHER" not in shown
    assert "OLD" not in shown
    assert shown["NEW"] == "2"


@pytest.mark.parametrize("body", [{"A": 1}, {"A": None}, ["A"], {"": "x"}, {"A=B": "x"}, {"A": "\0"}, {"A\0": ""}])
def test_variables_that_no_process_can_have_are_a_400(client: httpx.Client, body: object) -> None:
    assert client.put(f"{RUNTIME}/environment-variables", json=body).status_code == 400


def test_the_init_script_is_shown_as_it_was_sent_even_when_it_does_not_parse(client: httpx.Client) -> None:
    for script in ("export const answer: number = 42;\r\n", "export const =", ""):
        answer = client.put(f"{RUNTIME}/initialization-script", json={"script": script})
        assert answer.status_code == 200
        assert answer.json()["initializationScript"] == {"script": script}
    assert client.put(f"{RUNTIME}/initialization-script", json={"script": None}).status_code == 400
