"""Actions of clients on messages: replies, edits, deletions, reactions, receipts, reports, typing."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.calls import ended, function, items
from support.talk import Talk

from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store.messages import create
from ckfunc.model.chat import NewMessage

THUMBS_UP = {"character": "👍", "description": "thumbs up"}


def test_a_reply_reaches_the_channel_with_its_parent_and_the_thread(talk: Talk) -> None:
    parent = talk.say("question")
    reply = talk.bob.do(parent["_actions"]["reply"], {"type": "TEXT", "body": "answer"})
    seen = talk.ann.event("channel.message.created")
    assert (seen, seen["nestedLevel"]) == (reply, 1)
    assert talk.ann.read(seen["_relays"]["parent"])["body"] == "question"
    assert talk.ann.event("thread.message.created") == reply
    assert talk.ann.read(parent["_relays"]["repliesCount"]) == {"count": 1}
    (listed,) = talk.ann.read(parent["_relays"]["replies"])["_embedded"]["messages"]
    assert listed == reply
    threads = talk.ann.read(talk.channel["_relays"]["threads"])["_embedded"]["threads"]
    assert [thread["type"] for thread in threads] == ["MAIN", "MESSAGE"]
    assert talk.ann.read(threads[1]["_relays"]["message"])["id"] == parent["id"]


def test_standalone_threads_have_their_own_messages(talk: Talk) -> None:
    thread = talk.ann.do(talk.channel["_actions"]["createThread"], {"name": "plans", "properties": {"a": 1}})
    assert (thread["name"], thread["type"], thread["properties"]) == ("plans", "STANDALONE", {"a": 1})
    sent = talk.ann.do(thread["_actions"]["message"], {"type": "TEXT", "body": "in the thread"})
    assert talk.bob.event("thread.message.created") == sent
    (listed,) = talk.bob.read(thread["_relays"]["messages"])["_embedded"]["messages"]
    assert listed["body"] == "in the thread"
    assert talk.bob.read(thread["_relays"]["channel"])["id"] == talk.channel["id"]
    only = {"standalone": "true"}
    assert [
        thread["id"] for thread in talk.bob.read(talk.bobs["_relays"]["threads"], **only)["_embedded"]["threads"]
    ] == [thread["id"]]
    main_only = talk.bob.read(talk.bobs["_relays"]["messages"], mainThread="true")
    assert main_only["_embedded"]["messages"] == []
    assert talk.bob.act(thread["_actions"]["read"]).command == "RECEIPT"
    assert talk.bob.read(talk.bobs["_relays"]["unread"]) == {"exists": False}


def test_only_the_sender_can_edit_a_message(talk: Talk) -> None:
    message = talk.say("tpyo", properties={"a": 1, "b": 2})
    edited = talk.ann.do(message["_actions"]["edit"], {"body": "typo"})
    assert talk.bob.event("channel.message.updated") == edited
    assert (edited["body"], "lastEditedTime" in edited) == ("typo", True)
    changed = talk.ann.do(message["_actions"]["updateProperties"], {"properties": {"a": 3}})
    assert talk.bob.event("channel.message.updated")["properties"] == changed["properties"] == {"a": 3}
    for action, body in (("edit", {"body": "mine"}), ("updateProperties", {"properties": {}}), ("delete", {})):
        refused = talk.bob.act(message["_actions"][action], body)
        assert refused.document["error"] == "AccessDeniedError"
        assert "was not sent by 'bob'" in refused.document["message"]


def test_messages_are_deleted_for_everyone_or_for_one_user(talk: Talk, client: httpx.Client) -> None:
    first, second = talk.say("one"), talk.say("two")
    talk.bob.do(first["_actions"]["deleteForMe"])
    assert [message["body"] for message in messages(talk.bob, talk.bobs)] == ["two"]
    assert [message["body"] for message in messages(talk.ann, talk.channel)] == ["two", "one"]
    assert talk.ann.do(second["_actions"]["delete"])["id"] == second["id"]
    assert talk.bob.event("channel.message.deleted")["body"] == "two"
    assert client.get(f"/v1/messages/{second['id']}").status_code == 404
    client.delete(f"/v1/messages/{first['id']}")
    assert talk.bob.event("channel.message.deleted")["body"] == "one"


def test_replies_are_deleted_with_their_parent_and_before_it(talk: Talk, client: httpx.Client) -> None:
    parent = talk.say("question")
    first = talk.bob.do(parent["_actions"]["reply"], {"type": "TEXT", "body": "answer"})
    talk.bob.do(first["_actions"]["reply"], {"type": "TEXT", "body": "thanks"})
    client.delete(f"/v1/messages/{parent['id']}")
    for member in (talk.ann, talk.bob):
        deleted = [member.event("channel.message.deleted") for _ in range(3)]
        assert [message["body"] for message in deleted] == ["thanks", "answer", "question"]
        assert "channel.message.deleted" not in member.events()


def test_clients_see_that_all_messages_are_deleted(emulator: Emulator, talk: Talk, client: httpx.Client) -> None:
    bodies = [f"message {number}" for number in range(600)]

    async def write(services: EmulatorServices) -> None:
        with services.database.transaction():
            for body in bodies:
                create(services.database, talk.channel["id"], NewMessage(body=body), None)

    emulator.within(write)
    other = client.post("/v1/channels", json={"type": "PUBLIC", "name": "other"}).json()
    client.post(f"/v1/channels/{other['id']}/messages", json={"type": "TEXT", "body": "nobody listens"})
    assert client.delete("/v1/messages").status_code == 200
    assert messages(talk.ann, talk.channel) == []
    for member in (talk.ann, talk.bob):
        deleted = [member.event("channel.message.deleted")["body"] for _ in bodies]
        assert deleted == bodies[::-1]
        assert member.events() == []


def test_clients_see_that_the_messages_of_a_deleted_user_are_deleted(talk: Talk, client: httpx.Client) -> None:
    asked = talk.say("question")
    talk.bob.do(talk.bobs["_actions"]["message"], {"type": "TEXT", "body": "of bob"})
    talk.bob.do(asked["_actions"]["reply"], {"type": "TEXT", "body": "answer"})
    client.delete(f"/v1/users/{talk.ann.user['id']}")
    deleted = [talk.bob.event("channel.message.deleted")["body"] for _ in range(2)]
    assert deleted == ["answer", "question"]
    assert [message["body"] for message in messages(talk.bob, talk.bobs)] == ["of bob"]


def messages(client: Any, channel: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.read(channel["_relays"]["messages"])["_embedded"]["messages"]
    return found


@pytest.mark.parametrize("emoji", ["👍", "thumbsup", ":+1:"])
def test_reactions_are_added_and_removed(talk: Talk, client: httpx.Client, emoji: str) -> None:
    reacted = function(client, "user.reacted_to.message")
    message = talk.say("tea?")
    reaction = talk.bob.do(message["_actions"]["react"], {"emoji": emoji})
    seen = talk.ann.event("message.reaction.created")
    assert (seen, seen["user"]["name"]) == (reaction, "bob")
    assert {name: seen["emoji"][name] for name in THUMBS_UP} == THUMBS_UP
    summary = talk.ann.read(seen["_relays"]["message"])["reactions"]
    assert [(reaction["emoji"]["character"], reaction["count"]) for reaction in summary] == [("👍", 1)]
    (listed,) = talk.ann.read(message["_relays"]["reactions"])["_embedded"]["reactions"]
    assert listed == reaction
    talk.bob.do(message["_actions"]["removeReaction"], {"emoji": emoji})
    assert talk.ann.event("message.reaction.removed")["user"]["name"] == "bob"
    assert "reactions" not in talk.ann.read(message["_relays"]["self"])
    refused = talk.bob.act(message["_actions"]["removeReaction"], {"emoji": emoji})
    assert refused.document["error"] == "ResourceNotFoundError"
    (run,) = ended(client, reacted, 1)
    assert run["result"] == {"payload": ["message", "reaction", "user"]}
    event = run["args"]
    assert event["message"]["reactions"] == [event["reaction"]]
    assert (event["reaction"]["count"], event["reaction"]["users"][0]["name"]) == (1, "bob")


def test_read_receipts_reach_the_channel_and_the_readers_other_clients(talk: Talk, client: httpx.Client) -> None:
    read = function(client, "user.read.message")
    first, second = talk.say("one"), talk.say("two")
    assert talk.bob.read(talk.bobs["_relays"]["messagesCount"], unread="true") == {"count": 2}
    assert talk.bob.act(first["_actions"]["read"]).command == "RECEIPT"
    receipt = talk.ann.event("message.read_receipt.created")
    assert receipt["user"]["name"] == "bob"
    assert talk.ann.read(receipt["_relays"]["message"])["id"] == first["id"]
    assert talk.bob.event("message.read_receipt.created") == receipt
    assert talk.ann.read(first["_relays"]["readReceipts"])["_embedded"]["receipts"] == [receipt]
    assert talk.ann.read(talk.channel["_relays"]["lastReadMessage"], username="bob")["id"] == first["id"]
    assert talk.bob.act(talk.bobs["_actions"]["read"]).command == "RECEIPT"
    assert talk.bob.read(talk.bobs["_relays"]["unread"]) == {"exists": False}
    context = talk.ann.read(talk.channel["_relays"]["context"], startCursor="undefined", endCursor=str(second["id"]))
    assert context["readBy"] == {str(talk.bob.user["id"]): [first["id"], second["id"]]}
    talk.bob.act(second["_actions"]["unread"])
    assert talk.ann.event("message.read_receipt.deleted")["user"]["name"] == "bob"
    assert talk.bob.read(talk.bob.user["_relays"]["unreadMessagesCount"]) == {"count": 1}
    assert talk.bob.read(talk.bob.user["_relays"]["channelsCount"], unread="true", type="PRIVATE") == {"count": 1}
    assert talk.bob.read(talk.bob.user["_relays"]["channelsCount"], unread="true", type="DIRECT") == {"count": 0}
    assert len(ended(client, read, 2)) == 2


def test_message_reports_are_listed_and_counted(talk: Talk, client: httpx.Client) -> None:
    message = talk.say("rude")
    report = talk.bob.do(message["_actions"]["report"], {"reason": "rude", "properties": {"level": 2}})
    assert (report["user"]["name"], report["reason"], report["properties"]) == ("bob", "rude", {"level": 2})
    assert talk.ann.read(message["_relays"]["reportCount"]) == {"count": 1}
    assert talk.ann.read(message["_relays"]["reports"])["_embedded"]["reports"] == [report]
    assert items(client, f"channels/{talk.channel['id']}/reported-messages")[0]["reportCount"] == 1
    talk.bob.do(message["_actions"]["removeReport"])
    assert talk.ann.read(message["_relays"]["reportCount"]) == {"count": 0}


def test_typing_starts_with_keystrokes_and_ends_with_the_message(talk: Talk) -> None:
    assert talk.bob.act(talk.bobs["_actions"]["keystrokes"], {"keys": "he"}).command == "RECEIPT"
    keystrokes = talk.ann.event("thread.keystrokes.created")
    assert (keystrokes["username"], keystrokes["keys"]) == ("bob", "he")
    assert talk.ann.read(keystrokes["_relays"]["user"])["name"] == "bob"
    assert talk.ann.read(keystrokes["_relays"]["thread"])["type"] == "MAIN"
    assert talk.ann.event("thread.typing.started")["name"] == "bob"
    assert talk.ann.event("participant.typing.started")["name"] == "bob"
    talk.bob.act(talk.bobs["_actions"]["keystrokes"], {"keys": "hello"})
    talk.bob.do(talk.bobs["_actions"]["message"], {"type": "TEXT", "body": "hello"})
    assert talk.ann.event("thread.typing.stopped")["name"] == "bob"
    talk.bob.act(talk.bobs["_actions"]["keystrokes"], {"keys": "a"})
    talk.bob.act(talk.bobs["_actions"]["keystrokes"], {"keys": ""})
    assert talk.ann.event("thread.typing.started")["name"] == "bob"
    assert talk.ann.event("thread.typing.stopped")["name"] == "bob"
    assert talk.ann.event("participant.typing.stopped")["name"] == "bob"


def test_keystrokes_and_messages_of_the_platform_api_reach_clients(talk: Talk, client: httpx.Client) -> None:
    channel = f"/v1/channels/{talk.channel['id']}"
    client.post(f"{channel}/keystrokes", json={"keys": "x", "user": {"username": "bob"}})
    assert talk.ann.event("thread.keystrokes.created")["keys"] == "x"
    sent = client.post(f"{channel}/messages", json={"type": "TEXT", "body": "hi", "user": {"username": "bob"}}).json()
    assert talk.ann.event("channel.message.created")["user"]["name"] == "bob"
    client.patch(f"/v1/messages/{sent['id']}", json={"body": "hello"})
    assert talk.ann.event("channel.message.updated")["body"] == "hello"
    client.post("/emulator/read-receipts", json={"username": "ann", "messageId": sent["id"]})
    assert talk.bob.event("message.read_receipt.created")["user"]["name"] == "ann"


def test_external_files_are_sent_as_messages(talk: Talk) -> None:
    file = {"url": "https://example.com/a.png", "name": "a.png", "contentType": "image/png", "size": 3}
    sent = talk.ann.do(talk.channel["_actions"]["message"], {"type": "FILE", "file": file, "groupTag": "g"})
    assert talk.bob.event("channel.message.created")["file"] == {**file, "type": "EXTERNAL"}
    assert sent["groupTag"] == "g"
    (listed,) = talk.bob.read(talk.bob.user["_relays"]["messages"], type="FILE")["_embedded"]["messages"]
    assert listed == sent
