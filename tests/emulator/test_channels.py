"""Channels and their members."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest


def user(client: httpx.Client, name: str) -> int:
    made = client.post("/v1/users", json={"name": name, "displayName": name.title(), "isGuest": False})
    assert made.status_code == 200, made.text
    found: int = made.json()["id"]
    return found


@pytest.fixture
def people(client: httpx.Client) -> dict[str, int]:
    return {name: user(client, name) for name in ("ann", "bob", "cy")}


def create(client: httpx.Client, **body: Any) -> dict[str, Any]:
    answer = client.post("/v1/channels", json=body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def explanation(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    text: str = answer.json()["explanation"]
    return text


def members(client: httpx.Client, channel_id: int) -> list[str]:
    page = client.get(f"/v1/channels/{channel_id}/members").json()
    return [user["name"] for user in page["_embedded"]["users"]]


def test_a_group_channel_has_every_field_that_the_schema_requires(client: httpx.Client) -> None:
    made = create(client, type="PUBLIC", name="general", displayName="General", properties={"a": 1})
    base = f"{str(client.base_url).rstrip('/')}/v1/applications/1"
    created = made.pop("createdTime")
    assert created.endswith("Z")
    assert made == {
        "id": 1,
        "type": "PUBLIC",
        "name": "general",
        "displayName": "General",
        "properties": {"a": 1},
        "_links": {
            "self": {"href": f"{base}/channels/1"},
            **{
                name: {"href": f"{base}/channels/1/{name}"}
                for name in ("participants", "messages", "events", "memberships", "members", "moderators")
            },
            "application": {"href": base},
        },
    }
    assert client.get("/v1/channels/1").json() == {**made, "createdTime": created}


def test_a_direct_channel_has_members_but_no_name(client: httpx.Client, people: dict[str, int]) -> None:
    made = create(client, type="DIRECT", members=[{"username": "ann"}, {"id": people["bob"]}], name="ignored")
    assert [member["name"] for member in made["members"]] == ["ann", "bob"]
    assert not {"name", "displayName"} & set(made)
    assert set(made["_links"]) == {"self", "participants", "messages", "events", "application"}
    assert "_links" not in made["members"][0]


def test_a_channel_without_a_name_gets_a_random_one(client: httpx.Client) -> None:
    made = create(client, type="PRIVATE")
    assert uuid.UUID(made["name"])
    assert made["displayName"] == made["name"]
    assert create(client, type="PRIVATE")["id"] != made["id"]


@pytest.mark.parametrize("kind", ["PUBLIC", "PRIVATE"])
def test_creating_a_channel_of_the_same_type_and_name_returns_the_existing_one(client: httpx.Client, kind: str) -> None:
    made = create(client, type=kind, name="general", displayName="General")
    assert create(client, type=kind, name="general", displayName="Other", properties={"a": 1}) == made
    other = create(client, type="PUBLIC" if kind == "PRIVATE" else "PRIVATE", name="general")
    assert other["id"] != made["id"]


def test_creating_a_direct_channel_of_the_same_members_returns_the_existing_one(
    client: httpx.Client, people: dict[str, int]
) -> None:
    made = create(client, type="DIRECT", members=[{"username": "ann"}, {"username": "bob"}])
    again = create(client, type="DIRECT", members=[{"id": people["bob"]}, {"username": "ann"}, {"username": "bob"}])
    assert again == made
    wider = create(client, type="DIRECT", members=[{"username": name} for name in people])
    assert wider["id"] != made["id"]


def test_the_creator_of_a_channel_is_shown_and_becomes_a_member(client: httpx.Client, people: dict[str, int]) -> None:
    made = create(client, type="PRIVATE", creator={"username": "cy"}, members=[{"id": people["ann"]}])
    assert made["creator"]["name"] == "cy"
    assert "_links" not in made["creator"]
    assert members(client, made["id"]) == ["ann", "cy"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "field 'type' is missing"),
        ({"type": "OPEN"}, "field 'type' is 'OPEN', not one of DIRECT, PUBLIC, PRIVATE"),
        ({"type": "DIRECT"}, "field 'members' is missing"),
        ({"type": "DIRECT", "members": []}, "field 'members' is empty"),
        ({"type": "DIRECT", "members": {}}, "field 'members' is an object, not an array"),
        ({"type": "DIRECT", "members": [{"id": n} for n in range(11)]}, "at most 10 are allowed"),
        ({"type": "PUBLIC", "members": [{"id": 1}] * 10_001}, "at most 10000 are allowed"),
        ({"type": "PUBLIC", "members": [7]}, "entry 0 of 'members' is an integer, not an object"),
        ({"type": "PUBLIC", "members": [{}]}, "entry 0 of 'members' has neither 'id' nor 'username'"),
        ({"type": "PUBLIC", "members": [{"id": "1"}]}, "field 'id' is a string, not an integer"),
        ({"type": "PUBLIC", "members": [{"id": True}]}, "field 'id' is a boolean, not an integer"),
        ({"type": "PUBLIC", "members": [{"id": 2**63}]}, "field 'id' is an integer of more than 64 bits"),
        ({"type": "PUBLIC", "creator": "ann"}, "field 'creator' is a string, not an object"),
        ({"type": "PUBLIC", "name": 1}, "field 'name' is an integer, not a string"),
        ({"type": "PUBLIC", "name": ""}, "field 'name' is empty"),
        ({"type": "PUBLIC", "properties": "x"}, "field 'properties' is a string, not an object"),
    ],
)
def test_an_invalid_channel_is_a_400_that_names_the_field(client: httpx.Client, body: Any, words: str) -> None:
    assert words in explanation(client.post("/v1/channels", json=body))
    assert client.get("/v1/channels").json()["page"]["totalElements"] == 0


def test_a_reference_to_an_unknown_user_is_a_404_and_creates_no_channel(client: httpx.Client) -> None:
    for body, words in (
        ({"members": [{"username": "x"}]}, "entry 0 of 'members' refers to user 'x', who does not exist"),
        ({"creator": {"id": 5}}, "field 'creator' refers to user 5, who does not exist"),
    ):
        assert explanation(client.post("/v1/channels", json={"type": "PUBLIC", **body}), 404) == words
    assert client.get("/v1/channels").json()["page"]["totalElements"] == 0


def test_the_creator_counts_towards_the_most_members_of_a_direct_channel(client: httpx.Client) -> None:
    ids = [user(client, f"u{index}") for index in range(11)]
    body = {"type": "DIRECT", "creator": {"id": ids[10]}, "members": [{"id": user_id} for user_id in ids[:10]]}
    assert "at most 10 members" in explanation(client.post("/v1/channels", json=body))


def test_channels_are_filtered_by_type_members_and_time(client: httpx.Client, people: dict[str, int]) -> None:
    public = create(client, type="PUBLIC", name="p", members=[{"username": "ann"}])
    direct = create(client, type="DIRECT", members=[{"username": "ann"}, {"username": "bob"}])

    def ids(**params: Any) -> list[int]:
        page = client.get("/v1/channels", params=params).json()
        return [channel["id"] for channel in page["_embedded"]["channels"]]

    assert ids() == [public["id"], direct["id"]]
    assert ids(type="DIRECT") == [direct["id"]]
    assert ids(type="PRIVATE") == []
    assert ids(members=["ann"]) == [public["id"], direct["id"]]
    assert ids(members=["ann", "bob"]) == [direct["id"]]
    assert ids(members=["nobody"]) == []
    assert ids(startTime="2020-01-01T00:00:00Z") == [public["id"], direct["id"]]
    assert ids(endTime="2020-01-01T00:00:00Z") == []
    assert "not one of" in explanation(client.get("/v1/channels", params={"type": "x"}))
    assert "'endTime'" in explanation(client.get("/v1/channels", params={"endTime": "yesterday"}))


def test_pages_of_channels_keep_their_filters_in_the_links(client: httpx.Client) -> None:
    for name in "abc":
        create(client, type="PUBLIC", name=name)
    create(client, type="PRIVATE", name="hidden")
    page = client.get("/v1/channels", params={"type": "PUBLIC", "size": 2, "sort": "name,desc"}).json()
    assert [channel["name"] for channel in page["_embedded"]["channels"]] == ["c", "b"]
    after = client.get(page["_links"]["next"]["href"]).json()
    assert [channel["name"] for channel in after["_embedded"]["channels"]] == ["a"]
    assert after["page"] == {"size": 2, "totalElements": 3, "totalPages": 2, "number": 1}


def test_a_channel_is_patched_like_a_user(client: httpx.Client, people: dict[str, int]) -> None:
    made = create(client, type="PUBLIC", name="p", properties={"a": 1, "b": 2})
    changed = client.patch("/v1/channels/1", json={"displayName": "P", "name": "other", "properties": {"b": None}})
    assert changed.json() == {**made, "displayName": "P", "properties": {"a": 1}}
    assert client.get("/v1/channels/1").json() == changed.json()
    direct = create(client, type="DIRECT", members=[{"username": "ann"}])
    answer = client.patch(f"/v1/channels/{direct['id']}", json={"displayName": "x"})
    assert "a direct channel has no name" in explanation(answer)


def test_members_are_added_once_listed_and_removed(client: httpx.Client, people: dict[str, int]) -> None:
    made = create(client, type="PUBLIC", name="p")
    for reference in ({"username": "bob"}, {"id": people["ann"]}, {"username": "bob"}):
        assert client.post("/v1/channels/1/members", json=reference).json() == made
    assert members(client, 1) == ["ann", "bob"]
    assert client.delete(f"/v1/channels/1/members/{people['ann']}").json() == made
    assert members(client, 1) == ["bob"]


def test_page_links_of_members_lead_to_the_requested_list(client: httpx.Client, people: dict[str, int]) -> None:
    create(client, type="PUBLIC", name="p", members=[{"username": name} for name in people])
    page = client.get("/v1/channels/1/members", params={"size": 2, "sort": "name,desc"}).json()
    assert [user["name"] for user in page["_embedded"]["users"]] == ["cy", "bob"]
    assert "/v1/applications/1/channels/1/members?sort=name%2Cdesc&page=1&size=2" in page["_links"]["next"]["href"]
    after = client.get(page["_links"]["next"]["href"]).json()
    assert [user["name"] for user in after["_embedded"]["users"]] == ["ann"]


def test_membership_of_an_unknown_user_or_channel_is_a_404(client: httpx.Client, people: dict[str, int]) -> None:
    create(client, type="PUBLIC", name="p")
    add = client.post("/v1/channels/1/members", json={"username": "x"})
    assert explanation(add, 404) == "the body refers to user 'x', who does not exist"
    assert explanation(client.post("/v1/channels/9/members", json={"id": 1}), 404) == "there is no channel 9"
    assert explanation(client.delete("/v1/channels/1/members/99"), 404) == "there is no user 99"
    assert "is not a member" in explanation(client.delete(f"/v1/channels/1/members/{people['ann']}"), 404)
    assert "neither 'id' nor 'username'" in explanation(client.post("/v1/channels/1/members", json={}))


def test_members_of_a_direct_channel_cannot_be_added_or_removed(client: httpx.Client, people: dict[str, int]) -> None:
    made = create(client, type="DIRECT", members=[{"username": "ann"}, {"username": "bob"}])
    assert "direct channel" in explanation(client.post("/v1/channels/1/members", json={"username": "cy"}))
    assert client.post("/v1/channels/1/members", json={"username": "ann"}).json() == made
    assert "direct channel" in explanation(client.delete(f"/v1/channels/1/members/{people['ann']}"))


def test_the_channels_of_a_user_are_those_with_the_user_as_a_member(
    client: httpx.Client, people: dict[str, int]
) -> None:
    create(client, type="PUBLIC", name="p", members=[{"username": "ann"}])
    create(client, type="PUBLIC", name="q")
    create(client, type="DIRECT", members=[{"username": "ann"}, {"username": "bob"}])
    page = client.get(f"/v1/users/{people['ann']}/channels").json()
    assert [channel["id"] for channel in page["_embedded"]["channels"]] == [1, 3]
    assert client.get("/v1/users/99/channels").status_code == 404


def test_channels_are_accepted_and_returned_in_snake_case(client: httpx.Client, people: dict[str, int]) -> None:
    headers = {"accept": "application/vnd.chatkitty+json", "content-type": "application/vnd.chatkitty+json"}
    body = {"type": "PUBLIC", "name": "p", "display_name": "P", "creator": {"username": "ann"}}
    made = client.post("/channels", json=body, headers=headers).json()
    assert made["display_name"] == "P"
    assert made["creator"]["display_name"] == "Ann"
    assert "created_time" in made


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (["team:red"], ["a", "b"]),
        (["level:3"], ["a", "c"]),
        (['level:"3"'], ["c"]),
        (["open:true"], ["a"]),
        (["open:1"], ["b"]),
        (["team:red", "level:3"], ["a"]),
        (['{"team": "red"}'], ["a", "b"]),
        (['{"level": 3}'], ["a"]),
        (['{"place": {"floor": 2}}'], ["b"]),
        (['{"place": {"floor": 2, "room": 1}}'], []),
        (['{"tags": ["x", "y"]}'], ["c"]),
        (["{}"], ["a", "b", "c", "d"]),
        (["url:https://x"], ["d"]),
        (["none:null"], ["d"]),
        (["other:1"], []),
        ([""], ["a", "b", "c", "d"]),
    ],
)
def test_channels_are_filtered_by_their_properties(client: httpx.Client, asked: list[str], found: list[str]) -> None:
    create(client, type="PUBLIC", name="a", properties={"team": "red", "level": 3, "open": True})
    create(client, type="PUBLIC", name="b", properties={"team": "red", "open": 1, "place": {"floor": 2, "door": "n"}})
    create(client, type="PUBLIC", name="c", properties={"level": "3", "tags": ["x", "y"]})
    create(client, type="PUBLIC", name="d", properties={"url": "https://x", "none": None})
    page = client.get("/v1/channels", params={"properties": asked, "size": 10}).json()
    assert [channel["name"] for channel in page["_embedded"]["channels"]] == found
    assert client.get(page["_links"]["self"]["href"]).json() == page


@pytest.mark.parametrize("asked", ["team", ":red", '{"team"', '{"a": NaN}', '{"a":' * 300 + "1" + "}" * 300])
def test_an_invalid_properties_filter_is_a_400(client: httpx.Client, asked: str) -> None:
    assert "query parameter 'properties'" in explanation(client.get("/v1/channels", params={"properties": asked}))


def test_deleting_a_channel_returns_the_application_and_deletes_everything_in_it(
    client: httpx.Client, people: dict[str, int]
) -> None:
    create(client, type="PUBLIC", name="a", members=[{"username": "ann"}, {"username": "bob"}])
    create(client, type="PUBLIC", name="b", members=[{"username": "ann"}])
    for channel in (1, 2):
        body = {"type": "TEXT", "body": "<#a>", "user": {"username": "cy"}}
        assert client.post(f"/v1/channels/{channel}/messages", json=body).status_code == 200
    client.post("/v1/channels/1/moderators", json={"username": "ann"})
    client.post("/v1/channels/1/invites", json={"user": {"username": "cy"}})
    answer = client.delete("/v1/channels/1")
    assert answer.status_code == 200
    assert answer.json() == client.get("/v1/application").json()
    assert explanation(client.get("/v1/channels/1"), 404) == "there is no channel 1"
    assert explanation(client.delete("/v1/channels/1"), 404) == "there is no channel 1"
    assert explanation(client.get("/v1/channels/-1"), 404) == "there is no channel -1"
    assert [message["channelId"] for message in client.get("/v1/messages").json()["_embedded"]["messages"]] == [2]
    left = client.get(f"/v1/users/{people['bob']}/notifications").json()["_embedded"]["notifications"]
    assert left == []  # Notifications about the channel are deleted, including that of the mention.
    assert create(client, type="PUBLIC", name="a")["id"] == 3
