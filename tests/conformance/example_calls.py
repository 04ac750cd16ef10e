"""One call of every operation that has a documented example, on data that fills all fields of the example."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
from support.loopback import http_client

FILE = {"url": "https://example.com/a.png", "name": "a.png", "contentType": "image/png", "size": 1}
SCRIPT = "function handleEvent(event) { return event.event.type; }"


class Asker:
    """Calls operations and stores the responses by operation."""

    def __init__(self, server: str) -> None:
        self._http = http_client(f"{server}/v1")
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(
            f"{server}/oauth/token", auth=("emulator", "emulator"), data=form, trust_env=False, verify=False
        )
        self._http.headers["authorization"] = f"Bearer {answer.json()['access_token']}"
        self._controls = f"{server}/emulator"
        self.answers: dict[str, Any] = {}

    def close(self) -> None:
        self._http.close()

    def __call__(self, operation: str, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Call an operation. A call without a name prepares data for another operation."""
        if body is not None:
            options["json"] = body
        answer = self._http.request(method, path, **options)
        assert answer.status_code in (200, 202), f"{method} {path}: {answer.text}"
        if operation:
            self.answers[operation] = answer.json()
        return answer.json()

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = httpx.request(method, f"{self._controls}{path}", json=body, trust_env=False, verify=False)
        assert answer.status_code == 200, answer.text
        return answer.json()


def ask(server: str) -> dict[str, Any]:
    """Return the response of each operation in camelCase, by operation id."""
    asker = Asker(server)
    try:
        jane, john, channel = _people_and_channels(asker)
        _runtime(asker, channel)
        _messages(asker, jane, john, channel)
        _sessions(asker, channel)
        _lists(asker, jane, john, channel)
        _jobs(asker, channel)
        _removals(asker, jane, channel)
    finally:
        asker.close()
    return asker.answers


def _people_and_channels(asker: Asker) -> tuple[int, int, int]:
    asker("retrieveAuthenticatedApplication", "GET", "/application")
    settings = {"guestUsers": "ENABLED", "userCreatedChannels": "DISABLED"}
    asker("updateAuthenticatedApplicationSettings", "PUT", "/application/settings", settings)
    asker("retrieveAuthenticatedApplicationSettings", "GET", "/application/settings")
    person = {"displayName": "Someone", "isGuest": False}
    jane = asker("createUser", "POST", "/users", {"name": "jane", **person})["id"]
    john = asker("", "POST", "/users", {"name": "john", **person})["id"]
    asker("retrieveUser", "GET", f"/users/{jane}")
    asker("updateUser", "PATCH", f"/users/{jane}", {"properties": {"a": 1}})
    asker("updateUserDisplayPicture", "POST", f"/users/{jane}/display-picture", FILE)
    asker("setUserSecret", "PUT", f"/users/{jane}/secrets/x", {"secret": "y"})
    asker("retrieveUserSecret", "GET", f"/users/{jane}/secrets/x")
    asker("removeUserSecret", "DELETE", f"/users/{jane}/secrets/x")
    # The channel of the example has no creator.
    channel: int = asker("createChannel", "POST", "/channels", {"type": "PUBLIC", "name": "general"})["id"]
    for user_id in (jane, john):
        asker("addChannelMember", "POST", f"/channels/{channel}/members", {"id": user_id})
    asker("retrieveChannel", "GET", f"/channels/{channel}")
    asker("updateChannel", "PATCH", f"/channels/{channel}", {"properties": {"a": 1}})
    made = {"creator": {"id": jane}, "members": [{"id": john}]}
    other, _, news = (
        asker("", "POST", "/channels", {"type": kind, **made})["id"] for kind in ("PUBLIC", "DIRECT", "PUBLIC")
    )
    quiet = asker("", "POST", "/channels", {"type": "PUBLIC", "members": [{"id": john}]})["id"]
    asker("", "POST", f"/channels/{other}/messages", _text(jane))
    asker("", "POST", f"/channels/{news}/messages", _text(john))
    asker("", "POST", f"/channels/{news}/messages", _text())
    asker("", "POST", f"/channels/{news}/messages", {"type": "FILE", "file": FILE})
    asker("sendChannelInvite", "POST", f"/channels/{channel}/invites", {"user": {"username": "eve"}})
    asker("addChannelModerator", "POST", f"/channels/{channel}/moderators", {"id": jane})
    asker("", "POST", f"/channels/{channel}/moderators", {"id": john})
    asker("", "POST", f"/channels/{quiet}/moderators", {"id": john})
    asker("removeChannelModerator", "DELETE", f"/channels/{quiet}/moderators/{john}")
    asker("removeChannelMember", "DELETE", f"/channels/{quiet}/members/{john}")
    return jane, john, channel


def _text(user: int | None = None) -> dict[str, Any]:
    return {"type": "TEXT", "body": "Hello", **({"user": {"id": user}} if user else {})}


def _runtime(asker: Asker, channel: int) -> None:
    runtime = "/runtimes/nodejs"
    asker("updateNodejsRuntimeInitializationScript", "PUT", f"{runtime}/initialization-script", {"script": "// none"})
    asker("updateNodejsRuntimeEnvironmentVariables", "PUT", f"{runtime}/environment-variables", {"A": "b"})
    made = asker(
        "createNodejsRuntimeFunction", "POST", f"{runtime}/functions", {"type": "system.triggered.event", "name": "x"}
    )
    function = f"/functions/{made['id']}"
    for _ in range(2):
        version = asker("createFunctionVersion", "POST", f"{function}/versions", {"handlerScript": SCRIPT})
        event = {"type": "x", "properties": {}}
        asker("sendChannelEvent", "POST", f"/channels/{channel}/events", event)
    asker("retrieveFunction", "GET", function)
    asker("retrieveFunctionVersion", "GET", f"/function-versions/{version['id']}")
    asker("retrieveFunctionCurrentVersion", "GET", f"{function}/current-version")
    asker("listFunctionVersions", "GET", f"{function}/versions?size=1")
    asker("listNodejsRuntimeFunctions", "GET", f"{runtime}/functions")
    invocations = f"{function}/invocations"
    while "RUNNING" in str(runs := asker("", "GET", invocations)) or len(runs["_embedded"]["invocations"]) < 2:
        time.sleep(0.05)
    asker("listFunctionInvocations", "GET", f"{invocations}?size=1")
    asker("updateNodejsRuntimeDependencies", "PUT", f"{runtime}/dependencies", [{"name": "ms", "version": "2"}])
    asker("retrieveNodejsRuntime", "GET", runtime)


def _messages(asker: Asker, jane: int, john: int, channel: int) -> None:
    messages = f"/channels/{channel}/messages"
    asker("", "POST", messages, _text())
    sent = asker("sendChannelMessage", "POST", messages, _text(jane))
    asker("", "POST", messages, _text(john))
    message, thread = f"/messages/{sent['id']}", f"/threads/{sent['id']}"
    asker("retrieveMessage", "GET", message)
    asker("updateMessage", "PATCH", message, {"properties": {}})
    asker("", "POST", f"{thread}/messages", _text(john))
    asker("sendThreadMessage", "POST", f"{thread}/messages", _text(john))
    asker("listThreadMessages", "GET", f"{thread}/messages?size=1")
    asker("retrieveThread", "GET", thread)
    keystrokes = {"keys": "h", "user": {"id": jane}}
    asker("sendThreadKeystrokes", "POST", f"{thread}/keystrokes", keystrokes)
    asker("sendChannelKeystrokes", "POST", f"/channels/{channel}/keystrokes", keystrokes)


def _sessions(asker: Asker, channel: int) -> None:
    """Start and end sessions. The first one, of `dan`, already exists."""
    ended = asker.control("POST", "/sessions", {"username": "john", "channelId": channel})
    asker.control("DELETE", f"/sessions/{ended['id']}")
    for name in ("jane", "john"):
        asker.control("POST", "/sessions", {"username": name, "channelId": channel})
    asker("listUserSessions", "GET", "/user-sessions?size=2")
    asker("listChatSessions", "GET", "/chat-sessions?size=2")


def _lists(asker: Asker, jane: int, john: int, channel: int) -> None:
    """Request lists. If an example has several pages, the page size is smaller than the list."""
    at = f"/channels/{channel}"
    asker("listUsers", "GET", "/users?size=1")
    asker("listChannels", "GET", "/channels?page=1&size=2")
    asker("listUserChannels", "GET", f"/users/{jane}/channels?size=3")
    asker("listUserMessages", "GET", f"/users/{john}/messages?size=1")
    notifications = asker("", "GET", f"/users/{jane}/notifications?size=100")["_embedded"]["notifications"]
    asker("listUserNotifications", "GET", f"/users/{jane}/notifications?size={len(notifications) - 1}")
    asker("listMessages", "GET", "/messages?size=3")
    asker("listChannelMessages", "GET", f"{at}/messages?size=2")
    asker("listChannelMembers", "GET", f"{at}/members?size=1")
    asker("listChannelMemberships", "GET", f"{at}/memberships?size=1")
    asker("listChannelModerators", "GET", f"{at}/moderators?size=1")
    asker("listChannelParticipants", "GET", f"{at}/participants?size=1")
    asker("listChannelInvites", "GET", f"{at}/invites")
    # The only message with a receipt is in the channel that already existed.
    lobby = asker("", "GET", "/channels?members=dan")["_embedded"]["channels"][0]["id"]
    (message,) = asker("", "GET", f"/channels/{lobby}/messages?size=1")["_embedded"]["messages"]
    asker("listMessageReadReceipts", "GET", f"/messages/{message['id']}/read-receipts")


def _jobs(asker: Asker, channel: int) -> None:
    asker("exportMessageAnalytics", "POST", "/analytics/messages")
    asker("exportUserAnalytics", "POST", "/analytics/users")
    for operation, path in (
        ("importUsers", "users"),
        ("importChannels", "channels"),
        ("importMessages", "messages"),
        ("importChannelMembers", f"channels/{channel}/members"),
    ):
        job = asker(operation, "POST", f"/imports/{path}", files={"file": ("x.json", json.dumps([]))})
    while asker("retrieveJob", "GET", f"/jobs/{job['id']}")["state"] not in ("FINISHED", "FAILED"):
        time.sleep(0.05)
    asker("listJobs", "GET", "/jobs?running=false")


def _removals(asker: Asker, jane: int, channel: int) -> None:
    at = f"/channels/{channel}"
    sent = asker("", "POST", f"{at}/messages", _text(jane))
    asker("deleteMessage", "DELETE", f"/messages/{sent['id']}")
    asker("deleteMessages", "DELETE", "/messages")
    asker("deleteChannel", "DELETE", at)
    asker("deleteUser", "DELETE", f"/users/{jane}")
