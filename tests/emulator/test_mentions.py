"""Mentions of users and channels in messages."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.calls import answered, ended, function, items, send

from ckfunc.emulator.store import sessions
from ckfunc.emulator.store.database import Database


@pytest.fixture
def rooms(client: httpx.Client, room: dict[str, int]) -> dict[str, int]:
    """Add the public channel 2 with the member dee, and the private channel 3 with the members ann and bob."""
    for kind, name, members in (("PUBLIC", "q", ["dee"]), ("PRIVATE", "secret", ["ann", "bob"])):
        body = {"type": kind, "name": name, "members": [{"username": member} for member in members]}
        answered(client.post("/v1/channels", json=body))
    return room


def notified(client: httpx.Client, rooms: dict[str, int]) -> dict[str, list[str]]:
    """Return the types of the notifications of each user, newest first."""
    return {
        name: [item["data"]["type"] for item in items(client, f"users/{user_id}/notifications")]
        for name, user_id in rooms.items()
    }


def without_links(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "_links"}


def test_a_mentioned_user_is_shown_with_the_positions_in_the_text(client: httpx.Client, rooms: dict[str, int]) -> None:
    made = send(client, "🌞 <@bob>, hi <@bob>!", user={"username": "ann"})
    bob = without_links(client.get(f"/v1/users/{rooms['bob']}").json())
    # Positions count UTF-16 units, as JavaScript does.
    assert made["mentions"] == [
        {"type": "USER", "tag": "<@bob>", "startPosition": 3, "endPosition": 9, "user": bob},
        {"type": "USER", "tag": "<@bob>", "startPosition": 14, "endPosition": 20, "user": bob},
    ]
    assert client.get(f"/v1/messages/{made['id']}").json() == made
    assert items(client, "channels/1/messages") == [made]


def test_a_mentioned_channel_is_shown_without_its_messages(client: httpx.Client, rooms: dict[str, int]) -> None:
    made = send(client, "see <#q>", user={"username": "ann"})
    (mention,) = made["mentions"]
    assert mention["channel"] == without_links(client.get("/v1/channels/2").json())
    assert (mention["type"], mention["tag"], mention["startPosition"], mention["endPosition"]) == (
        "CHANNEL",
        "<#q>",
        4,
        8,
    )


@pytest.mark.parametrize("text", ["<@nobody>", "@bob", "<@>", "<@ bob>", "<#x>", "<@bob", "<@bo\nb>", "<@BOB>"])
def test_an_invalid_mention_is_plain_text(client: httpx.Client, rooms: dict[str, int], text: str) -> None:
    made = send(client, text, user={"username": "ann"})
    assert "mentions" not in made
    assert notified(client, rooms)["bob"] == ["USER:SENT:MESSAGE"]


def test_editing_a_text_updates_its_mentions(client: httpx.Client, rooms: dict[str, int]) -> None:
    made = send(client, "<@bob>", user={"username": "ann"})
    path = f"/v1/messages/{made['id']}"
    edited = answered(client.patch(path, json={"body": "<@cy>"}))
    assert [mention["user"]["name"] for mention in edited["mentions"]] == ["cy"]
    assert "mentions" not in answered(client.patch(path, json={"body": "nobody"}))


def test_a_mention_is_removed_when_its_channel_is_deleted(client: httpx.Client, rooms: dict[str, int]) -> None:
    made = send(client, "<#q> <@bob>", user={"username": "ann"})
    answered(client.delete("/v1/channels/2"))
    shown = client.get(f"/v1/messages/{made['id']}").json()
    assert [mention["tag"] for mention in shown["mentions"]] == ["<@bob>"]


def test_an_ambiguous_channel_name_mentions_the_public_channel(client: httpx.Client, rooms: dict[str, int]) -> None:
    answered(client.post("/v1/channels", json={"type": "PUBLIC", "name": "secret"}))
    made = send(client, "<#secret>", user={"username": "ann"})
    assert made["mentions"][0]["channel"]["type"] == "PUBLIC"


def test_only_the_first_hundred_mentions_of_a_text_are_recognized(client: httpx.Client, rooms: dict[str, int]) -> None:
    made = send(client, "<@bob>" * 5000, user={"username": "ann"})
    assert len(made["mentions"]) == 100


def test_a_web_address_in_a_text_is_shown_as_a_link(client: httpx.Client, rooms: dict[str, int]) -> None:
    made = send(client, "🌞 (see https://example.com/a?b=c_d#e). http://x, https://")
    assert made["links"] == [
        {"source": "https://example.com/a?b=c_d#e", "startPosition": 8, "endPosition": 37},
        {"source": "http://x", "startPosition": 40, "endPosition": 48},
    ]
    assert "links" not in send(client, "no address: https:// and ://")


def test_every_user_is_notified_once_for_the_most_specific_reason(client: httpx.Client, rooms: dict[str, int]) -> None:
    send(client, "<@bob> <#q> <@ann>", user={"username": "ann"})
    assert notified(client, rooms) == {
        "ann": [],
        "bob": ["USER:MENTIONED:USER"],
        "cy": ["USER:SENT:MESSAGE"],
        "dee": ["USER:MENTIONED:CHANNEL"],
    }
    (mine,) = items(client, f"users/{rooms['bob']}/notifications")
    assert mine["title"] == "Ann mentioned you"
    assert mine["data"]["mentionedUser"] == client.get(f"/v1/users/{rooms['bob']}").json()
    assert mine["data"]["message"]["mentions"][0]["user"]["name"] == "bob"
    (theirs,) = items(client, f"users/{rooms['dee']}/notifications")
    assert theirs["title"] == "Ann mentioned q"
    assert theirs["data"]["mentionedChannel"] == client.get("/v1/channels/2").json()
    assert theirs["channel"]["id"] == 1


def test_users_who_cannot_see_a_private_channel_are_not_notified(client: httpx.Client, rooms: dict[str, int]) -> None:
    send(client, "<@dee> <#p> <@bob>", to="channels/3", user={"username": "ann"})
    assert notified(client, rooms) == {"ann": [], "bob": ["USER:MENTIONED:USER"], "cy": [], "dee": []}


def test_the_author_of_a_message_is_notified_of_replies(client: httpx.Client, rooms: dict[str, int]) -> None:
    first = send(client, "first", user={"username": "dee"})
    reply = send(client, "reply", to=f"threads/{first['id']}", user={"username": "ann"})
    assert {name: types[:1] for name, types in notified(client, rooms).items()} == {
        "ann": ["USER:SENT:MESSAGE"],
        "bob": ["USER:SENT:MESSAGE"],
        "cy": ["USER:SENT:MESSAGE"],
        "dee": ["USER:REPLIED_TO:MESSAGE"],
    }
    (shown,) = items(client, f"users/{rooms['dee']}/notifications")
    assert shown["title"] == "Ann replied to your message"
    assert shown["data"]["message"] == reply
    assert shown["data"]["parent"] == client.get(f"/v1/messages/{first['id']}").json()


def test_a_user_who_replies_to_their_own_message_is_not_notified(client: httpx.Client, rooms: dict[str, int]) -> None:
    first = send(client, "first", user={"username": "dee"})
    send(client, "reply", to=f"threads/{first['id']}", user={"username": "dee"})
    assert notified(client, rooms)["dee"] == []


def test_a_mention_in_a_system_message_is_notified_as_a_normal_message(
    client: httpx.Client, rooms: dict[str, int]
) -> None:
    first = send(client, "first", user={"username": "dee"})
    made = send(client, "<@bob>", to=f"threads/{first['id']}")
    assert made["mentions"][0]["user"]["name"] == "bob"
    assert notified(client, rooms)["bob"][0] == "SYSTEM:SENT:MESSAGE"
    assert notified(client, rooms)["dee"] == []


def test_a_user_with_the_channel_open_is_not_notified_of_a_mention(
    client: httpx.Client, rooms: dict[str, int], database: Database
) -> None:
    chat = sessions.start_chat(database, sessions.open_session(database, rooms["bob"], None), 1)
    send(client, "<@bob>", user={"username": "ann"})
    assert [len(types) for types in notified(client, rooms).values()] == [0, 0, 1, 0]
    sessions.end_chat(database, chat.id)
    send(client, "<@bob>", user={"username": "ann"})
    assert notified(client, rooms)["bob"] == ["USER:MENTIONED:USER"]


def test_a_mention_triggers_the_received_notification_event(client: httpx.Client, rooms: dict[str, int]) -> None:
    function_id = function(client, "user.received.notification")
    send(client, "<#q>", to="channels/2", user={"username": "ann"})
    (run,) = ended(client, function_id, 1)
    assert run["args"]["user"]["name"] == "dee"
    assert run["args"]["notification"] == items(client, f"users/{rooms['dee']}/notifications")[0]
