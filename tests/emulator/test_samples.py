"""Sample events, compared with the emulator's events and handled by scaffolded handlers."""

from __future__ import annotations

import json
from typing import Any

import httpx

from ckfunc.base.files import templates
from ckfunc.model.triggers import TRIGGERS
from ckfunc.scaffold.project import handler_text
from ckfunc.scaffold.templates import sample_event

FUNCTIONS = "/v1/runtimes/nodejs/functions"
LOOK_UP = """\
async function handleEvent({ user, channel, message }, context) {
  const { Users, Channels, Messages } = context.ChatKitty;
  return {
    user: (await Users.retrieveUser(user.id)).data,
    channel: (await Channels.retrieveChannel(channel.id)).data,
    message: (await Messages.retrieveMessage(message.id)).data,
  };
}
"""


def deploy(client: httpx.Client, trigger_type: str, script: str) -> int:
    body = {"type": trigger_type, "name": trigger_type, "initializeAsynchronously": False}
    made = client.post(FUNCTIONS, json=body)
    assert made.status_code == 200, made.text
    function = int(made.json()["id"])
    assert client.post(f"/v1/functions/{function}/versions", json={"handlerScript": script}).status_code == 200
    return function


def plant(client: httpx.Client) -> None:
    document = (templates() / "seeds" / "sample.json").read_bytes()
    assert client.post("/emulator/seed", content=document).status_code == 200


def trigger(client: httpx.Client, trigger_type: str) -> dict[str, Any]:
    body = {"type": trigger_type, "data": sample_event(trigger_type)}
    answer = client.post("/emulator/trigger", json=body)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()["invocation"]
    return found


def kinds(value: Any) -> Any:
    """Return the structure of a value: field names and types, without values that differ between runs."""
    if isinstance(value, dict):
        return {name: kinds(entry) for name, entry in value.items() if name != "properties"}
    if isinstance(value, list):
        return [kinds(entry) for entry in value]
    return type(value).__name__


def test_every_sample_event_is_handled_by_its_scaffolded_handler(client: httpx.Client) -> None:
    plant(client)
    for described in TRIGGERS:
        deploy(client, described.type, handler_text(described))
        invocation = trigger(client, described.type)
        assert (described.type, invocation["status"], invocation["args"]) == (
            described.type,
            "SUCCEEDED",
            sample_event(described.type),
        )


def test_the_sample_seed_contains_the_objects_of_the_sample_events(client: httpx.Client) -> None:
    plant(client)
    deploy(client, "user.sent.message", LOOK_UP)
    found = trigger(client, "user.sent.message")["result"]["payload"]
    event = sample_event("user.sent.message")

    def stated(value: Any) -> Any:
        volatile = ("createdTime", "presence", "_links", "displayPictureUrl")
        return {
            name: stated(entry) if isinstance(entry, dict) else entry
            for name, entry in value.items()
            if name not in volatile
        }

    assert {name: stated(entry) for name, entry in found.items()} == {
        name: stated(entry) for name, entry in event.items()
    }


def test_sample_events_have_the_same_structure_as_events_of_the_emulator(client: httpx.Client) -> None:
    plant(client)
    jane, john = sample_event("user.received.channel_invite")["invitingUser"], sample_event("user.read.message")["user"]
    echo = "function handleEvent(event) { return event; }"
    functions = {
        name: deploy(client, name, echo)
        for name in (
            "user.received.notification",
            "user.sent.message",
            "user.started.chat_session",
            "user.read.message",
            "user.received.channel_invite",
            "system.triggered.event",
        )
    }
    custom = sample_event("system.triggered.event")["event"]
    steps = (
        ("/v1/channels/1/messages", {"type": "TEXT", "body": "Hello", "user": {"id": jane["id"]}}),
        ("/emulator/sessions", {"username": jane["name"], "channelId": 1}),
        ("/emulator/read-receipts", {"messageId": 1, "username": john["name"]}),
        ("/v1/channels/1/invites", {"user": {"id": john["id"]}}),
        ("/v1/channels/1/events", {"type": custom["type"], "properties": custom["properties"]}),
    )
    for path, body in steps:
        answer = client.post(path, content=json.dumps(body), headers={"content-type": "application/json"})
        assert answer.status_code == 200, (path, answer.text)
    for trigger_type, function in functions.items():
        page = client.get(f"/v1/functions/{function}/invocations").json()
        fired = page["_embedded"]["invocations"][0]["args"]
        sample = sample_event(trigger_type)
        # Only invites by clients have an inviting user; invites of the Platform API have none.
        sample = {name: entry for name, entry in sample.items() if name in fired or name != "invitingUser"}
        assert kinds(sample) == kinds(fired), trigger_type
