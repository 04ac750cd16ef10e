"""Members, moderators and invites of a channel."""

from __future__ import annotations

import httpx
import pytest
from support.calls import answered, ended, explanation, function, items

from ckfunc.emulator.store import sessions
from ckfunc.emulator.store.database import Database


def names(client: httpx.Client, relation: str, **params: str) -> list[str]:
    return [item["name"] for item in items(client, f"channels/1/{relation}", **params)]


@pytest.fixture
def base(client: httpx.Client) -> str:
    return f"{str(client.base_url).rstrip('/')}/v1/applications/1"


def test_memberships_have_a_creation_time_and_link_to_the_user_and_the_channel(
    client: httpx.Client, room: dict[str, int], base: str
) -> None:
    first, *others = items(client, "channels/1/memberships")
    assert len(others) == 2
    assert first.pop("createdTime") == client.get("/v1/channels/1").json()["createdTime"]
    ann = room["ann"]
    assert first == {
        "_links": {
            "user": {"href": f"{base}/users/{ann}"},
            "channel": {"href": f"{base}/channels/1"},
            "member": {"href": f"{base}/channels/1/members/{ann}"},
            "application": {"href": base},
        }
    }


def test_memberships_are_paged_and_sorted(client: httpx.Client, room: dict[str, int]) -> None:
    page = answered(client.get("/v1/channels/1/memberships", params={"size": 2, "sort": "createdTime,desc"}))
    rest = answered(client.get(page["_links"]["next"]["href"]))
    shown = page["_embedded"]["memberships"] + rest["_embedded"]["memberships"]
    assert len({member["_links"]["user"]["href"] for member in shown}) == 3
    assert "cannot sort by 'name'" in explanation(client.get("/v1/channels/1/memberships?sort=name"))


def test_adding_a_moderator_again_changes_nothing(client: httpx.Client, room: dict[str, int]) -> None:
    for _ in range(2):
        answer = client.post("/v1/channels/1/moderators", json={"username": "bob"})
        assert answered(answer) == client.get(f"/v1/users/{room['bob']}").json()
    answered(client.post("/v1/channels/1/moderators", json={"id": room["ann"]}))
    assert names(client, "moderators") == ["ann", "bob"]
    assert names(client, "moderators", sort="name,desc") == ["bob", "ann"]


def test_a_removed_moderator_stays_a_member(client: httpx.Client, room: dict[str, int]) -> None:
    client.post("/v1/channels/1/moderators", json={"username": "bob"})
    answer = client.delete(f"/v1/channels/1/moderators/{room['bob']}")
    assert answered(answer) == client.get("/v1/channels/1").json()
    assert (names(client, "moderators"), names(client, "members")) == ([], ["ann", "bob", "cy"])
    again = client.delete(f"/v1/channels/1/moderators/{room['bob']}")
    assert explanation(again, 404) == f"user {room['bob']} is not a moderator of channel 1"


def test_a_user_who_leaves_a_channel_no_longer_moderates_it(client: httpx.Client, room: dict[str, int]) -> None:
    client.post("/v1/channels/1/moderators", json={"username": "bob"})
    client.delete(f"/v1/channels/1/members/{room['bob']}")
    client.post("/v1/channels/1/members", json={"username": "bob"})
    assert names(client, "moderators") == []


def test_only_members_of_a_group_channel_can_moderate_it(client: httpx.Client, room: dict[str, int]) -> None:
    answer = client.post("/v1/channels/1/moderators", json={"username": "dee"})
    assert "only members can moderate it" in explanation(answer)
    client.post("/v1/channels", json={"type": "DIRECT", "members": [{"username": "ann"}, {"username": "bob"}]})
    answer = client.post("/v1/channels/2/moderators", json={"username": "ann"})
    assert "direct channel, which has no moderators" in explanation(answer)
    assert client.post("/v1/channels/1/moderators", json={"username": "x"}).status_code == 404
    assert client.post("/v1/channels/9/moderators", json={"username": "ann"}).status_code == 404
    assert "neither 'id' nor 'username'" in explanation(client.post("/v1/channels/1/moderators", json={}))


def test_an_invite_is_stored_listed_and_triggers_an_event(
    client: httpx.Client, room: dict[str, int], base: str
) -> None:
    function_id = function(client, "user.received.channel_invite")
    made = answered(client.post("/v1/channels/1/invites", json={"user": {"username": "dee"}}))
    assert items(client, "channels/1/invites") == [made]
    assert made["_links"] == {
        "invitee": {"href": f"{base}/users/{room['dee']}"},
        "channel": {"href": f"{base}/channels/1"},
        "application": {"href": base},
    }
    (run,) = ended(client, function_id, 1)
    assert run["args"] == {
        "user": client.get(f"/v1/users/{room['dee']}").json(),
        "channel": client.get("/v1/channels/1").json(),
    }


def test_inviting_a_user_again_replaces_the_invite(client: httpx.Client, room: dict[str, int]) -> None:
    for name in ("dee", "ann", "dee"):
        answered(client.post("/v1/channels/1/invites", json={"user": {"username": name}}))
    invitees = [item["_links"]["invitee"]["href"].rpartition("/")[2] for item in items(client, "channels/1/invites")]
    assert invitees == [str(room["ann"]), str(room["dee"])]
    page = answered(client.get("/v1/channels/1/invites", params={"size": 1, "sort": "createdTime,desc"}))
    assert page["page"]["totalElements"] == 2


def test_an_invite_requires_an_existing_user(client: httpx.Client, room: dict[str, int]) -> None:
    assert explanation(client.post("/v1/channels/1/invites", json={})) == "field 'user' is missing"
    assert "is a string" in explanation(client.post("/v1/channels/1/invites", json={"user": "dee"}))
    answer = client.post("/v1/channels/1/invites", json={"user": {"id": 99}})
    assert explanation(answer, 404) == "field 'user' refers to user 99, who does not exist"
    client.post("/v1/channels", json={"type": "DIRECT", "members": [{"username": "ann"}]})
    answer = client.post("/v1/channels/2/invites", json={"user": {"username": "dee"}})
    assert "does not accept new members" in explanation(answer)


@pytest.mark.parametrize("relation", ["memberships", "moderators", "invites", "participants"])
def test_lists_of_an_unknown_channel_are_a_404(client: httpx.Client, relation: str) -> None:
    assert explanation(client.get(f"/v1/channels/9/{relation}"), 404) == "there is no channel 9"


def test_participants_are_users_with_the_channel_open(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    assert names(client, "participants") == []
    chat = sessions.start_chat(database, sessions.open_session(database, room["bob"], "test"), 1)
    assert names(client, "participants") == ["bob"]
    sessions.end_chat(database, chat.id)
    assert names(client, "participants") == []
