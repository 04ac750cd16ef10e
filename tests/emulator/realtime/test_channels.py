"""Actions of clients on channels: join, leave, invite, moderate, block, mute, hide, clear, update, delete."""

from __future__ import annotations

import httpx
import pytest
from support.calls import ended, function
from support.stomp import StompClient, client_of
from support.talk import Talk

from ckfunc.emulator.emulator import Emulator


def test_users_join_and_leave_public_channels(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann, client_of(emulator.url, "bob") as bob:
        channel = ann.do(ann.user["_actions"]["createChannel"], {"type": "PUBLIC", "name": "news"})
        ann.open_chat(channel)
        (found,) = bob.read(bob.user["_relays"]["joinableChannels"])["_embedded"]["channels"]
        assert ("join" in found["_actions"], "leave" in found["_actions"]) == (True, False)
        refused = bob.act(found["_actions"]["message"], {"type": "TEXT", "body": "hi"})
        assert "is not a member of channel" in refused.document["message"]
        joined = bob.do(found["_actions"]["join"], {"channel": found})
        assert ("join" in joined["_actions"], "leave" in joined["_actions"]) == (False, True)
        assert ann.event("channel.member.joined")["name"] == "bob"
        assert bob.read(bob.user["_relays"]["joinableChannels"])["_embedded"]["channels"] == []
        assert [channel["id"] for channel in own(bob)] == [channel["id"]]
        member = {"channelId": str(channel["id"])}
        assert ann.read(f"/application/v1/users/{bob.user['id']}.channelMember.relay", **member) == {"exists": True}
        left = bob.do(joined["_actions"]["leave"], {})
        assert left["id"] == channel["id"]
        assert bob.event("me.channel.left")["id"] == channel["id"]
        assert ann.event("channel.member.left")["name"] == "bob"
        assert own(bob) == []


def own(client: StompClient) -> list[dict[str, object]]:
    found: list[dict[str, object]] = client.read(client.user["_relays"]["channels"])["_embedded"]["channels"]
    return found


def test_a_user_removed_from_a_private_channel_no_longer_gets_its_events(talk: Talk) -> None:
    refused = talk.bob.act(talk.bobs["_actions"]["leave"], {"user": {"username": "ann"}})
    assert "neither created nor moderates" in refused.document["message"]
    talk.ann.do(talk.channel["_actions"]["leave"], {"user": {"id": talk.bob.user["id"]}})
    assert talk.bob.event("user.channel.left")["id"] == talk.channel["id"]
    talk.bob.events()
    talk.ann.do(talk.channel["_actions"]["message"], {"type": "TEXT", "body": "between us"})
    assert talk.bob.events() == []
    assert "no channel" in talk.bob.read(talk.bobs["_relays"]["self"])["message"]
    assert "no channel" in talk.bob.read(talk.bobs["_relays"]["messages"])["message"]


def test_invites_reach_the_invited_user_and_the_function(talk: Talk, emulator: Emulator, client: httpx.Client) -> None:
    invited = function(client, "user.received.channel_invite")
    with client_of(emulator.url, "cy") as cy:
        answer = talk.bob.do(talk.bobs["_actions"]["invite"], {"user": {"username": "cy"}})
        assert answer["name"] == "cy"
        assert cy.event("user.channel.invited")["id"] == talk.channel["id"]
    (run,) = ended(client, invited, 1)
    assert run["result"] == {"payload": ["channel", "invitingUser", "user"]}


def test_moderators_are_added_and_removed(talk: Talk) -> None:
    bob = {"id": talk.bob.user["id"]}
    assert (
        "neither created nor moderates" in talk.bob.act(talk.bobs["_actions"]["addModerator"], bob).document["message"]
    )
    assert talk.ann.do(talk.channel["_actions"]["addModerator"], talk.bob.user)["id"] == talk.channel["id"]
    assert talk.bob.event("channel.moderator.added")["name"] == "bob"
    (found,) = talk.ann.read(talk.channel["_relays"]["moderators"] + "user.displayName,asc")["_embedded"]["users"]
    assert found["name"] == "bob"
    message = talk.say("delete me")
    assert talk.bob.do(message["_actions"]["delete"])["id"] == message["id"]
    assert talk.ann.do(talk.channel["_actions"]["deleteModerator"], bob)["id"] == talk.channel["id"]
    assert talk.bob.event("channel.moderator.deleted")["name"] == "bob"
    assert talk.ann.act(talk.channel["_actions"]["deleteModerator"], bob).document["error"] == "ResourceNotFoundError"


def test_users_blocked_from_a_channel_cannot_write_there(talk: Talk) -> None:
    record = talk.ann.do(talk.channel["_actions"]["block"], {"username": "bob"})
    assert record["user"]["name"] == "bob"
    assert talk.bob.event("channel.block_record.created") == record
    assert talk.ann.read(talk.channel["_relays"]["blockRecords"])["_embedded"]["records"] == [record]
    refused = talk.bob.act(talk.bobs["_actions"]["message"], {"type": "TEXT", "body": "hi"})
    assert refused.document["error"] == "AccessDeniedError"
    talk.ann.do(record["_actions"]["delete"])
    assert talk.bob.event("channel.block_record.deleted")["user"]["name"] == "bob"
    talk.bob.do(talk.bobs["_actions"]["message"], {"type": "TEXT", "body": "hi"})


def test_notifications_of_a_muted_channel_are_muted(talk: Talk, emulator: Emulator) -> None:
    with client_of(emulator.url, "cy") as cy:
        for state, muted in (("ON", True), ("OFF", False)):
            new = {"type": "PRIVATE", "name": f"tea-{state}", "members": [{"username": "cy"}]}
            channel = talk.ann.do(talk.ann.user["_actions"]["createChannel"], new)
            seen = cy.event("user.channel.joined")
            cy.do(seen["_actions"]["mute"], {"state": "ON"})
            cy.do(seen["_actions"]["mute"], {"state": state})
            talk.ann.do(channel["_actions"]["message"], {"type": "TEXT", "body": "hi"})
            assert cy.event("user.notification.created")["muted"] is muted


def test_a_hidden_channel_is_shown_again_after_its_next_message(talk: Talk) -> None:
    direct = talk.ann.do(
        talk.ann.user["_actions"]["createChannel"], {"type": "DIRECT", "members": [{"username": "bob"}]}
    )
    seen = talk.bob.event("user.channel.joined")
    assert talk.bob.do(seen["_actions"]["hide"])["id"] == direct["id"]
    assert [channel["id"] for channel in own(talk.bob)] == [talk.channel["id"]]
    talk.ann.do(direct["_actions"]["message"], {"type": "TEXT", "body": "hi"})
    assert talk.bob.event("user.channel.unhidden")["id"] == direct["id"]
    assert [channel["id"] for channel in own(talk.bob)] == [talk.channel["id"], direct["id"]]


def test_clearing_the_history_of_a_channel_affects_only_one_user(talk: Talk) -> None:
    talk.say("old")
    talk.bob.do(talk.bobs["_actions"]["clearHistory"])
    talk.say("new")
    relay = talk.channel["_relays"]["messages"]
    assert [message["body"] for message in talk.bob.read(relay)["_embedded"]["messages"]] == ["new"]
    assert [message["body"] for message in talk.ann.read(relay)["_embedded"]["messages"]] == ["new", "old"]


def test_custom_events_reach_the_channel_and_the_functions(talk: Talk, client: httpx.Client) -> None:
    by_user = function(client, "user.triggered.event")
    event = {"type": "wave", "properties": {"hard": True}}
    assert talk.bob.act(talk.bobs["_actions"]["triggerEvent"], event).command == "RECEIPT"
    seen = talk.ann.event("channel.event.triggered")
    assert {name: seen[name] for name in event} == event
    assert seen["user"]["name"] == "bob"
    assert talk.ann.read(seen["_relays"]["channel"])["id"] == talk.channel["id"]
    client.post(f"/v1/channels/{talk.channel['id']}/events", json=event)
    assert "user" not in talk.ann.event("channel.event.triggered")
    (run,) = ended(client, by_user, 1)
    assert run["result"] == {"payload": ["channel", "event", "user"]}


def test_changes_of_a_channel_reach_its_members(talk: Talk, client: httpx.Client) -> None:
    changed = talk.ann.do(talk.channel["_actions"]["update"], {**talk.channel, "displayName": "Tea time"})
    assert changed["displayName"] == "Tea time"
    assert talk.bob.event("channel.self.updated")["displayName"] == "Tea time"
    assert talk.bob.event("user.channel.updated")["displayName"] == "Tea time"
    client.patch(f"/v1/channels/{talk.channel['id']}", json={"properties": {"cups": 2}})
    assert talk.bob.event("channel.self.updated")["properties"] == {"cups": 2}


@pytest.mark.parametrize("by", ["client", "platform"])
def test_deletion_of_a_channel_reaches_its_members(talk: Talk, client: httpx.Client, by: str) -> None:
    assert "neither created" in talk.bob.act(talk.bobs["_actions"]["delete"]).document["message"]
    if by == "client":
        talk.ann.do(talk.channel["_actions"]["delete"])
    else:
        client.delete(f"/v1/channels/{talk.channel['id']}")
    assert talk.bob.event("channel.self.deleted")["id"] == talk.channel["id"]
    assert talk.bob.event("user.channel.deleted")["id"] == talk.channel["id"]
    assert own(talk.bob) == []


def test_channels_are_sorted_filtered_by_name_and_paged(emulator: Emulator) -> None:
    with client_of(emulator.url, "ann") as ann:
        for name in ("b", "c", "a"):
            ann.do(ann.user["_actions"]["createChannel"], {"type": "PUBLIC", "name": name})
        relay = ann.user["_relays"]["channels"].replace(".size..sort.", ".size.2.sort.name,desc")
        page = ann.read(relay)
        assert [channel["name"] for channel in page["_embedded"]["channels"]] == ["c", "b"]
        assert "prev" not in page["_relays"]
        following = ann.read(page["_relays"]["next"])
        assert [channel["name"] for channel in following["_embedded"]["channels"]] == ["a"]
        assert ann.read(following["_relays"]["prev"])["_embedded"] == page["_embedded"]
        assert (following["page"]["number"], following["page"]["totalPages"]) == (1, 2)
        named = ann.read(ann.user["_relays"]["channels"], name="c", subscribable="true")
        assert [channel["name"] for channel in named["_embedded"]["channels"]] == ["c"]
        assert "cannot sort by 'taste'" in ann.read(relay.replace("name,desc", "taste"))["message"]


def test_messages_are_paged_newest_first(talk: Talk) -> None:
    for number in range(5):
        talk.say(str(number))
    relay = talk.channel["_relays"]["messages"].replace(".size..sort.", ".size.2.sort.")
    page = talk.bob.read(relay)
    seen = [message["body"] for message in page["_embedded"]["messages"]]
    while "next" in page["_relays"]:
        page = talk.bob.read(page["_relays"]["next"])
        seen += [message["body"] for message in page["_embedded"]["messages"]]
    assert seen == ["4", "3", "2", "1", "0"]
    back = talk.bob.read(page["_relays"]["prev"])
    assert [message["body"] for message in back["_embedded"]["messages"]] == ["2", "1"]


def test_channel_creation_by_clients_can_be_disabled(emulator: Emulator, client: httpx.Client) -> None:
    client.put("/v1/application/settings", json={"guestUsers": "ENABLED", "userCreatedChannels": "DISABLED"})
    with client_of(emulator.url, "ann") as ann:
        refused = ann.act(ann.user["_actions"]["createChannel"], {"type": "PUBLIC", "name": "tea"})
        assert refused.document["error"] == "AccessDeniedError"
