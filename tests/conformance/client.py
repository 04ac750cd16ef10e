"""Call every method of the vendor's unmodified Python package, and print each response as a line of JSON.

Arguments: the directory of the package, and the emulator's address. Some of the package's classes cannot be created, or
cannot parse a response. Then the call is made with a plain object on the package's lower level, or its raw response is
used; the error of the package is in `note`.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

directory, server = sys.argv[1:3]
sys.path.insert(0, directory)

import openapi_client  # noqa: E402 - from the directory above
from openapi_client import apis  # noqa: E402

JSON = "application/json"
SCRATCH = Path(tempfile.mkdtemp(prefix="conformance-"))


def token() -> str:
    """Sign in. The package has no method for it."""
    credentials = b64encode(b"emulator:emulator").decode()
    headers = {"authorization": f"Basic {credentials}"}
    request = urllib.request.Request(f"{server}/oauth/token", b"grant_type=client_credentials", headers)
    with urllib.request.urlopen(request) as answer:
        found: str = json.load(answer)["access_token"]
        return found


configuration = openapi_client.Configuration(host=server)
configuration.access_token = token()
client = openapi_client.ApiClient(configuration)
methods: dict[str, Callable[..., Any]] = {}
endpoints: dict[str, Any] = {}
for api in [kind(client) for name, kind in vars(apis).items() if name.endswith("Api")]:
    methods |= {name: getattr(api, name) for name in vars(type(api)) if not name.startswith("_")}
    endpoints |= {name: getattr(api, f"{name}_endpoint") for name in methods if hasattr(api, f"{name}_endpoint")}


class Body:
    """The body of a request: an object of one of the package's classes, or a plain dictionary."""

    def __init__(self, kind: str, **fields: Any) -> None:
        self.kind = kind
        self.fields = fields

    def made(self) -> Any:
        module = re.sub(r"(?<!^)([A-Z])", r"_\1", self.kind).lower()
        fields = {
            _snake(name): value.made() if isinstance(value, Body) else value for name, value in self.fields.items()
        }
        return getattr(import_module(f"openapi_client.model.{module}"), self.kind)(**fields)

    def plain(self) -> Any:
        return {name: value.plain() if isinstance(value, Body) else value for name, value in self.fields.items()}


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: f"_{found[1].lower()}", name)


def made(value: Any) -> Any:
    if isinstance(value, list):
        return [made(element) for element in value]
    return value.made() if isinstance(value, Body) else value


def plain(value: Any) -> Any:
    if isinstance(value, list):
        return [plain(element) for element in value]
    return value.plain() if isinstance(value, Body) else value


def directly(method: str, arguments: list[Any], options: Mapping[str, Any], files: Any) -> None:
    """Call the package's lower level, which takes plain objects and does not parse the response."""
    endpoint = endpoints[method]
    given = dict(zip(endpoint.params_map["required"], arguments, strict=True)) | dict(options)
    places: dict[str, dict[str, Any]] = {"path": {}, "query": {}, "body": {}, "form": {}}
    for name, value in given.items():
        places[endpoint.location_map[name]][endpoint.attribute_map.get(name, name)] = value
    client.call_api(
        endpoint.settings["endpoint_path"],
        endpoint.settings["http_method"],
        places["path"],
        list(places["query"].items()),
        {"Accept": JSON, "Content-Type": "multipart/form-data" if files else JSON},
        body=next(iter(places["body"].values()), None),
        files=files,
        auth_settings=endpoint.settings["auth"],
    )


def message_of(error: Exception) -> str:
    """Return the message of an error, without details that differ between versions of Python."""
    text = "" if isinstance(error, RecursionError) else str(error).split("\n", maxsplit=1)[0].partition(" (")[0]
    return f"{type(error).__name__}: {text}"[:200].removesuffix(": ")


def write(line: Mapping[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def call(operation: str, method: str, *arguments: Any, label: str = "", files: Any = None, **options: Any) -> Any:
    """Call a method and return the JSON of the response. `files` are the files of a form."""
    client.last_response = None
    line: dict[str, Any] = {"operation": operation, "method": method, "label": label, "status": 0, "data": None}
    note = ""
    try:
        try:
            methods[method](*made(list(arguments)), **{name: made(value) for name, value in options.items()})
        except Exception as error:
            if isinstance(error, openapi_client.ApiException) and files is None:
                raise
            note = message_of(error)
            if client.last_response is None:  # The request was not sent, or was malformed.
                directly(
                    method, plain(list(arguments)), {name: plain(option) for name, option in options.items()}, files
                )
    except openapi_client.ApiException as error:
        line |= {"status": error.status, "data": json.loads(error.body) if error.body else None}
    except Exception as error:
        line["error"] = message_of(error)
    if client.last_response is not None:
        data = client.last_response.data
        line |= {"status": client.last_response.status, "data": json.loads(data) if data else None}
    write({**line, "note": note})
    return line["data"] or {}


def finished(job: Mapping[str, Any]) -> None:
    while call_quietly(f"/v1/jobs/{job['id']}")["state"] not in ("FINISHED", "FAILED"):
        time.sleep(0.05)


def call_quietly(path: str) -> Any:
    headers = {"authorization": f"Bearer {configuration.access_token}"}
    with urllib.request.urlopen(urllib.request.Request(f"{server}{path}", headers=headers)) as answer:
        return json.load(answer)


def users() -> tuple[Any, Any]:
    def person(name: str) -> Body:
        return Body(
            "CreatePersonChatUserResource",
            name=name,
            displayName=f"The {name}",
            isGuest=name == "bob",
            properties={"camelKey": 1, "snake_key": 2},
        )

    ann = call("createUser", "create_user", person("ann"))
    bob = call("createUser", "create_user", person("bob"), label="guest")
    call("createUser", "create_user", person("ann"), label="taken")
    call("checkUserExists", "check_user_exists", "ann")
    call("checkUserExists", "check_user_exists", "nobody", label="missing")
    call("retrieveUser", "retrieve_user", ann["id"])
    call("retrieveUser", "retrieve_user", 999_999, label="missing")
    patch = Body("ChatUserPropertiesPatch", displayName="Ann")
    call("updateUser", "update_user", ann["id"], chat_user_properties_patch=patch)
    call("listUsers", "retrieve_users", page=0, size=1, sort=["name,desc", "id"])
    picture = {"url": "https://example.com/ann.png", "name": "ann.png", "contentType": "image/png", "size": 3}
    body = Body("CreateExternalFileProperties", **picture)
    call("updateUserDisplayPicture", "update_user_display_picture", ann["id"], body)
    secret = Body("SecretResource", secret={"key": "My secret"})
    call("setUserSecret", "set_user_secret", ann["id"], "token", secret_resource=secret)
    call("retrieveUserSecret", "retrieve_user_secret", ann["id"], "token")
    call("retrieveUserSecret", "retrieve_user_secret", ann["id"], "other", label="missing")
    call("removeUserSecret", "remove_user_secret", ann["id"], "token")
    return ann, bob


def application() -> None:
    call("retrieveAuthenticatedApplication", "retrieve_authenticated_application")
    settings = Body("ApplicationSettingsProperties", guestUsers="DISABLED", userCreatedChannels="ENABLED")
    method = "update_authenticated_application_settings"
    call("updateAuthenticatedApplicationSettings", method, settings)
    call("retrieveAuthenticatedApplicationSettings", "retrieve_authenticated_application_settings")


def channels(ann: Any, bob: Any) -> Any:
    general = call(
        "createChannel",
        "create_channel",
        Body(
            "CreateChannelRequest",
            type="PUBLIC",
            name="general",
            displayName="General",
            creator=Body("AddChannelMemberRequest", username="ann"),
            members=[{"id": bob["id"]}],
        ),
    )
    identity = general["id"]
    call("retrieveChannel", "retrieve_channel", identity)
    patch = Body("ChannelPropertiesPatch", properties={"a": 1})
    call("updateChannel", "update_channel", identity, channel_properties_patch=patch)
    call("listChannels", "retrieve_channels", page=0, size=5, sort=["id,desc"], type="PUBLIC", members=["ann", "bob"])
    call("listChannelMembers", "retrieve_channel_members", identity, page=0, size=10)
    call("listChannelMemberships", "retrieve_channel_memberships", identity)
    call("removeChannelMember", "remove_channel_member", identity, bob["id"])
    call("addChannelMember", "add_channel_member", identity, Body("AddChannelMemberRequest", username="bob"))
    call("addChannelModerator", "add_channel_moderator", identity, Body("AddChannelMemberRequest", id=ann["id"]))
    cat = Body("CreatePersonChatUserResource", name="cat", displayName="Cat", isGuest=False)
    invited = call("createUser", "create_user", cat, label="invited")
    invite = Body("CreateChannelInviteResource", user=Body("AddChannelMemberRequest", id=invited["id"]))
    call("sendChannelInvite", "send_channel_invite", identity, invite)
    call("listChannelInvites", "retrieve_channel_invites", identity)
    event = Body("CreateChannelGenericEventResource", type="game.started", properties={"camelKey": 1})
    call("sendChannelEvent", "send_channel_event", identity, event)
    call("listUserChannels", "retrieve_user_channels", bob["id"])
    return general


def messages(ann: Any, bob: Any, general: Any) -> None:
    def text(body: str, **user: Any) -> Body:
        fields = {"user": Body("AddChannelMemberRequest", **user)} if user else {}
        return Body("SendChannelMessageRequest", type="TEXT", body=body, **fields)

    sent = call("sendChannelMessage", "send_channel_message", general["id"], text("hi", username="ann"))
    external = {"url": "https://example.com/a.txt", "name": "a.txt", "contentType": "text/plain", "size": 3}
    shared = Body("SendChannelMessageRequest", type="FILE", file=Body("CreateExternalFileProperties", **external))
    call("sendChannelMessage", "send_channel_message", general["id"], shared, label="system file")
    call("retrieveMessage", "retrieve_message", sent["id"])
    call("listChannelMessages", "retrieve_channel_messages", general["id"], size=1)
    call("listMessages", "retrieve_messages", size=5, username="ann", query="HI")
    call("listUserMessages", "retrieve_user_messages", ann["id"], size=5)
    call("listUserNotifications", "retrieve_user_notifications", bob["id"], size=10)
    call("retrieveThread", "retrieve_thread", sent["id"])
    call("sendThreadMessage", "send_thread_message", sent["id"], text("a reply", id=bob["id"]))
    call("listThreadMessages", "retrieve_thread_messages", sent["id"], size=5)


def runtime(general: Any) -> None:
    call("retrieveNodejsRuntime", "retrieve_nodejs_runtime")
    variables = {"camelName": "a", "SNAKE_NAME": "b"}
    method = "update_nodejs_runtime_environment_variables"
    call("updateNodejsRuntimeEnvironmentVariables", method, variables)
    script = Body("ChatRuntimeScriptProperties", script='export const greeting = "hello";')
    call("updateNodejsRuntimeInitializationScript", "update_nodejs_runtime_initialization_script", script)
    new = Body("CreateChatFunctionResource", type="system.triggered.event", name="Events")
    function = call("createNodejsRuntimeFunction", "create_nodejs_runtime_function", new)
    source = 'function handleEvent(event) { return greeting + " " + event.event.type; }'
    new_version = Body("CreateChatFunctionVersionResource", handlerScript=source)
    version = call("createFunctionVersion", "create_function_version", function["id"], new_version)
    call("retrieveFunction", "retrieve_function", function["id"])
    call("retrieveFunctionCurrentVersion", "retrieve_function_current_version", function["id"])
    call("retrieveFunctionVersion", "retrieve_function_version", version["id"])
    call("listFunctionVersions", "retrieve_function_versions", function["id"], page=0, size=5, sort=["id,desc"])
    call("listNodejsRuntimeFunctions", "retrieve_nodejs_runtime_functions")
    event = Body("CreateChannelGenericEventResource", type="x", properties={})
    call("sendChannelEvent", "send_channel_event", general["id"], event, label="with a function")
    invocations = f"/v1/functions/{function['id']}/invocations"
    while not any(
        invocation["status"] != "RUNNING" for invocation in call_quietly(invocations)["_embedded"]["invocations"]
    ):
        time.sleep(0.05)
    call("listFunctionInvocations", "retrieve_function_invocations", function["id"])
    package = Body("ChatRuntimeDependencyProperties", name="ms", version="^2.1.3", defaultDependency=False)
    call("updateNodejsRuntimeDependencies", "update_nodejs_runtime_dependencies", [package])


def jobs(general: Any) -> None:
    person = {"name": "imported", "displayName": "Imported", "isGuest": False, "id": "u", "properties": {}}
    channel = {
        "type": "PUBLIC",
        "name": "imported",
        "displayName": "Imported",
        "id": "c",
        "properties": {},
        "members": [],
    }
    first = upload("importUsers", "import_users", Body("ChatUserImport", **person))
    finished(first)
    finished(upload("importChannels", "import_channels", Body("ChannelImport", **channel)))
    member = Body("ChannelMembershipImport", username="imported", id="m")
    finished(upload("importChannelMembers", "import_channel_members", member, general["id"]))
    message = {"type": "TEXT", "channelId": general["id"], "body": "x", "user": "imported", "id": "t", "properties": {}}
    finished(upload("importMessages", "import_messages", Body("MessageImport", **message)))
    call("retrieveJob", "retrieve_job", first["id"])
    call("listJobs", "retrieve_jobs", page=0, size=10, sort=["id,asc"], running=False)


def upload(operation: str, method: str, entry: Body, *before: Any) -> Any:
    """Import one entry, as a list of the package's objects (its signature) or as a file."""
    path = SCRATCH / f"{method}.json"
    path.write_text(json.dumps([entry.plain()]), encoding="utf-8")
    with path.open("rb") as opened:
        return call(operation, method, *before, [entry], files={"file": [opened]})


def lobby() -> None:
    """Request data that only chat clients create. The user dan created it earlier in the channel `lobby`."""
    (channel,) = call_quietly("/v1/channels?members=dan")["_embedded"]["channels"]
    (message,) = call_quietly(f"/v1/channels/{channel['id']}/messages?size=1")["_embedded"]["messages"]
    call("listChannelParticipants", "retrieve_channel_participants", channel["id"])
    call("listMessageReadReceipts", "retrieve_message_read_receipts", message["id"])


def deletions(ann: Any, general: Any) -> None:
    body = Body("SendChannelMessageRequest", type="TEXT", body="bye")
    sent = call("sendChannelMessage", "send_channel_message", general["id"], body, label="system text")
    call("deleteMessage", "delete_message", sent["id"])
    call("deleteMessages", "delete_messages")
    call("deleteChannel", "delete_channel", general["id"])
    call("deleteUser", "delete_user", ann["id"])


def main() -> None:
    write({"methods": list(methods)})
    ann, bob = users()
    application()
    general = channels(ann, bob)
    messages(ann, bob, general)
    runtime(general)
    jobs(general)
    lobby()
    deletions(ann, general)


try:
    main()
finally:
    shutil.rmtree(SCRATCH)
