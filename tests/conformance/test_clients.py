"""Every operation of the vendor's own, unmodified clients, with valid responses."""

from __future__ import annotations

from typing import Any

import pytest
from conformance.clients import CLIENTS, Client, Report
from conformance.judging import OPERATIONS
from conformance.table import CHAT_CLIENTS, FILE, run, table

from ckfunc.wire.dialects import canonical

# In a parallel run, one worker runs all of these tests, so that each client runs once.
pytestmark = [pytest.mark.xdist_group("conformance"), pytest.mark.timeout(600)]

SDKS = pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.package)


@pytest.fixture(scope="module")
def reports() -> dict[Client, Report]:
    return {report.client: report for report in run()}


@SDKS
def test_every_method_of_a_client_is_called(reports: dict[Client, Report], client: Client) -> None:
    found = reports[client]
    assert found.failures == ()
    assert set(found.methods) == {step.method for step in found.steps}
    assert len(found.methods) == client.methods


@SDKS
def test_every_response_matches_its_schema(reports: dict[Client, Report], client: Client) -> None:
    found = reports[client]
    wrong = {step.name: found.problems(step) for step in found.steps}
    assert {name: problems for name, problems in wrong.items() if problems} == {}


@SDKS
def test_every_list_that_a_client_receives_has_entries(reports: dict[Client, Report], client: Client) -> None:
    found = reports[client]
    lists: dict[str, int] = {}
    for step in found.steps:
        for entries in ((step.data or {}).get("_embedded") or {}).values():
            lists[step.operation] = lists.get(step.operation, 0) + len(entries)
    assert [name for name, count in lists.items() if not count] == []
    called = {step.operation for step in found.steps}
    pages = {operation.id for operation in OPERATIONS.values() if "Paged" in (operation.response or "")}
    assert set(lists) == pages & called


def test_the_clients_together_call_every_operation(reports: dict[Client, Report]) -> None:
    called = {step.operation for report in reports.values() for step in report.steps}
    assert called == set(OPERATIONS)


def test_the_table_in_the_documentation_is_up_to_date(reports: dict[Client, Report]) -> None:
    document = FILE.read_text(encoding="utf-8").partition(CHAT_CLIENTS)[0]
    assert document == table(list(reports.values())), "see the module conformance.table"


def names(page: dict[str, Any], kind: str, field: str = "name") -> list[Any]:
    return [resource[field] for resource in page["_embedded"][kind]]


def linked(page: dict[str, Any], kind: str, relation: str) -> list[int]:
    """Return the ids that the entries of a page link to."""
    return [int(resource["_links"][relation]["href"].rpartition("/")[2]) for resource in page["_embedded"][kind]]


@SDKS
def test_responses_contain_the_data_that_was_sent(reports: dict[Client, Report], client: Client) -> None:
    """Responses contain the values that were sent, and updates are visible."""
    data = {name: canonical(answer) for name, answer in reports[client].data().items()}
    check_users(data)
    check_channels(data)
    check_messages(data)
    check_runtime(data)
    check_jobs(data)


def check_users(data: dict[str, Any]) -> None:
    ann, bob = data["createUser"], data["createUser guest"]
    assert (ann["displayName"], ann["isGuest"], bob["isGuest"]) == ("The ann", False, True)
    assert ann["properties"] == {"camelKey": 1, "snake_key": 2}
    assert "already" in data["createUser taken"]["explanation"]
    assert data["retrieveUser"] == ann
    assert (data["updateUser"]["displayName"], data["updateUser"]["name"]) == ("Ann", "ann")
    assert names(data["listUsers"], "users") == ["eve"]
    assert data["listUsers"]["page"] == {"size": 1, "totalElements": 4, "totalPages": 4, "number": 0}
    assert data["updateUserDisplayPicture"]["displayPictureUrl"] == "https://example.com/ann.png"
    assert data["setUserSecret"]["id"] == data["removeUserSecret"]["id"] == ann["id"]
    assert "My secret" in str(data["retrieveUserSecret"]["secret"])
    settings = data["updateAuthenticatedApplicationSettings"]
    assert (settings["guestUsers"], settings["userCreatedChannels"]) == ("DISABLED", "ENABLED")
    assert data["retrieveAuthenticatedApplicationSettings"] == settings


def check_channels(data: dict[str, Any]) -> None:
    channel = data["createChannel"]
    assert (channel["name"], channel["displayName"], channel["creator"]["name"]) == ("general", "General", "ann")
    assert data.get("createChannel again", channel) == data["retrieveChannel"] == channel
    assert data["updateChannel"] == {**channel, "properties": {"a": 1}}
    assert names(data["listChannels"], "channels") == ["general"]
    assert names(data["listChannelMembers"], "users") == ["ann", "bob"]
    ann, bob, cat = (data[f"createUser{label}"]["id"] for label in ("", " guest", " invited"))
    assert linked(data["listChannelMemberships"], "memberships", "user") == [ann, bob]
    assert data["removeChannelMember"]["id"] == data["addChannelMember"]["id"] == channel["id"]
    assert data["addChannelModerator"]["name"] == "ann"
    assert names(data.get("listChannelModerators", {"_embedded": {"users": [{"name": "ann"}]}}), "users") == ["ann"]
    assert linked(data["listChannelInvites"], "invites", "invitee") == [cat]
    assert data["sendChannelEvent"]["properties"] == {"camelKey": 1}
    assert data.get("sendChannelKeystrokes", {}).get("username", "bob") == "bob"
    assert "PUBLIC" in names(data["listUserChannels"], "channels", "type")
    assert names(data["listChannelParticipants"], "users") == ["dan"]
    assert data["deleteChannel"]["id"] == data["deleteMessages"]["id"] == 1


def check_messages(data: dict[str, Any]) -> None:
    sent, file = data["sendChannelMessage"], data["sendChannelMessage system file"]
    assert (sent["type"], sent["body"], sent["user"]["name"]) == ("TEXT", "hi", "ann")
    assert (file["type"], file["file"]["contentType"]) == ("SYSTEM_FILE", "text/plain")
    assert data["retrieveMessage"] == sent
    assert names(data["listChannelMessages"], "messages", "id") == [file["id"]]
    if "listChannelMessages next" in data:
        assert names(data["listChannelMessages next"], "messages", "id") == [sent["id"]]
        assert data["updateMessage"]["body"] == "edited"
    assert names(data["listMessages"], "messages", "id") == [sent["id"]]
    assert data["retrieveThread"]["type"] == "MESSAGE"
    assert data["sendThreadMessage"]["nestedLevel"] == 1
    assert names(data["listThreadMessages"], "messages", "body") == ["a reply"]
    kinds = [
        notification["data"]["type"] for notification in data["listUserNotifications"]["_embedded"]["notifications"]
    ]
    assert kinds[-2:] == ["SYSTEM:SENT:MESSAGE", "USER:SENT:MESSAGE"]
    assert linked(data["listMessageReadReceipts"], "receipts", "user") == [1]
    assert (data["deleteMessage"]["type"], data["sendChannelMessage system text"]["body"]) == ("MAIN", "bye")


def check_runtime(data: dict[str, Any]) -> None:
    variables = data["updateNodejsRuntimeEnvironmentVariables"]["environmentVariables"]
    assert (variables["camelName"], variables["SNAKE_NAME"]) == ("a", "b")
    made, version = data["createNodejsRuntimeFunction"], data["createFunctionVersion"]
    assert (made["enabled"], made["currentVersionNumber"], version["versionNumber"]) == (False, 0, 1)
    assert data["retrieveFunction"] == {**made, "enabled": True, "currentVersionNumber": 1}
    assert data["retrieveFunctionCurrentVersion"] == data["retrieveFunctionVersion"] == version
    assert data["listFunctionVersions"]["_embedded"] == {"versions": [version]}
    (run,) = data["listFunctionInvocations"]["_embedded"]["invocations"]
    assert (run["status"], run["result"]) == ("SUCCEEDED", {"payload": "hello x"})
    assert data["listNodejsRuntimeFunctions"]["_embedded"] == {"functions": [data["retrieveFunction"]]}
    packages = data["updateNodejsRuntimeDependencies"]["dependencies"]
    assert {"name": "ms", "version": "^2.1.3", "defaultDependency": False} in packages


def check_jobs(data: dict[str, Any]) -> None:
    assert (data["importUsers"]["type"], data["retrieveJob"]["state"]) == ("USER_IMPORT", "FINISHED")
    jobs = data["listJobs"]["_embedded"]["jobs"]
    assert {job["state"] for job in jobs} == {"FINISHED"}
    assert [job["type"] for job in jobs][:2] == ["USER_IMPORT", "CHANNEL_IMPORT"]
