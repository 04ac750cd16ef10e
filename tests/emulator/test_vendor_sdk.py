"""The vendor's own packages, unmodified and from npm, call the emulator and get what they expect."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from ckfunc.base.files import cache_dir
from ckfunc.emulator.server import Emulator
from ckfunc.runtime.install import install
from ckfunc.runtime.node import node_executable
from ckfunc.wire.dialects import Dialect, canonical, dialect_of

SCRIPT = Path(__file__).parent / "vendor_sdk.cjs"
SDKS = [
    pytest.param("chatkitty-platform-sdk", "2.4.0", Dialect.CAMEL, id="chatkitty-platform-sdk"),
    pytest.param("chatkitty", "2.106.8", Dialect.SNAKE, id="chatkitty"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("package", "version", "dialect"), SDKS)
def test_calls_through_the_vendors_package_get_what_they_expect(
    emulator: Emulator, client: httpx.Client, package: str, version: str, dialect: Dialect
) -> None:
    directory = install({package: version}, cache_dir())
    ran = subprocess.run(
        [str(node_executable()), str(SCRIPT), package, str(directory), emulator.url, dialect.value],
        capture_output=True,
        encoding="utf-8",
        env={name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ},
        timeout=240,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    steps = {one["label"]: one for one in map(json.loads, ran.stdout.splitlines())}
    check_statuses(steps)
    for label, step in steps.items():
        spelling = dialect_of(step["data"])
        assert spelling in (None, dialect) or step["status"] >= 400, label
    check_answers({label: canonical(one["data"]) for label, one in steps.items()}, client)


def check_statuses(steps: dict[str, Any]) -> None:
    refused = {label: one["status"] for label, one in steps.items() if one["status"] != 200}
    assert refused == {"createUser taken": 400, "checkUserExists missing": 404, "retrieveUser missing": 404}
    assert len(steps) == 38


def names(page: dict[str, Any], kind: str, field: str = "name") -> list[Any]:
    return [one[field] for one in page["_embedded"][kind]]


def check_answers(data: dict[str, Any], client: httpx.Client) -> None:
    """Compare what a package got, in canonical spelling, with what this platform says itself."""
    ann, bob = data["createUser"], data["createUser guest"]
    assert ann["displayName"] == "The ann"
    assert (ann["isGuest"], bob["isGuest"]) == (False, True)
    assert ann["properties"] == {"camelKey": 1, "snake_key": 2}
    assert "already" in data["createUser taken"]["explanation"]
    assert data["retrieveUser"] == ann
    assert data["updateUser"]["displayName"] == "Ann"
    assert data["updateUser"] == client.get(f"/v1/users/{ann['id']}").json()
    assert names(data["listUsers"], "users") == ["bob"]
    assert data["listUsers"]["page"] == {"size": 1, "totalElements": 2, "totalPages": 2, "number": 0}
    assert names(data["listUsers by name"], "users") == ["ann"]

    channel = data["createChannel"]
    assert (channel["name"], channel["displayName"], channel["creator"]["name"]) == ("general", "General", "ann")
    assert data["createChannel again"] == data["retrieveChannel"] == channel
    assert names({"_embedded": {"members": data["createChannel direct"]["members"]}}, "members") == ["ann", "bob"]
    assert data["updateChannel"] == {**channel, "properties": {"a": 1}}
    assert names(data["listChannels"], "channels") == ["general"]
    assert names(data["listChannelMembers"], "users") == ["ann", "bob"]
    assert data["removeChannelMember"]["id"] == data["addChannelMember"]["id"] == channel["id"]
    assert names(data["listUserChannels"], "channels", "type") == ["PUBLIC", "DIRECT"]

    sent, file = data["sendChannelMessage"], data["sendChannelMessage system file"]
    assert (sent["type"], sent["body"], sent["user"]["name"]) == ("TEXT", "hi", "ann")
    assert (file["type"], file["file"]["contentType"], file["groupTag"]) == ("SYSTEM_FILE", "text/plain", "g")
    assert data["retrieveMessage"] == sent
    assert data["updateMessage"] == client.get(f"/v1/messages/{sent['id']}").json()
    assert names(data["listChannelMessages"], "messages", "id") == [file["id"]]
    assert names(data["listChannelMessages next"], "messages", "id") == [sent["id"]]
    assert names(data["listMessages"], "messages", "body") == ["edited"]
    notified = client.get(f"/v1/users/{bob['id']}/notifications").json()["_embedded"]["notifications"]
    assert data["listUserNotifications"]["_embedded"]["notifications"] == notified
    assert [one["data"]["type"] for one in notified] == ["SYSTEM:SENT:MESSAGE", "USER:SENT:MESSAGE"]

    variables = data["updateNodejsRuntimeEnvironmentVariables"]["environmentVariables"]
    assert (variables["camelName"], variables["SNAKE_NAME"]) == ("a", "b")
    assert data["retrieveNodejsRuntime"]["environmentVariables"] == variables
    made = data["createNodejsRuntimeFunction"]
    assert (made["enabled"], made["currentVersionNumber"]) == (False, 0)
    version = data["createFunctionVersion"]
    assert (version["versionNumber"], version["handlerScript"]) == (1, "function handleEvent() {}")
    assert data["retrieveFunction"] == {**made, "enabled": True, "currentVersionNumber": 1}
    assert data["retrieveFunctionCurrentVersion"] == data["retrieveFunctionVersion"] == version
    assert data["listFunctionVersions"]["_embedded"] == {"versions": [version]}
    assert data["listFunctionInvocations"]["_embedded"] == {"invocations": []}
    assert data["listNodejsRuntimeFunctions"]["_embedded"] == {"functions": [data["retrieveFunction"]]}
