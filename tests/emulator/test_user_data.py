"""Data of a user: secrets, sent and unread messages, deletion with the user."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ckfunc.emulator.store.database import Database

SNAKE = {"accept": "application/vnd.chatkitty+json", "content-type": "application/vnd.chatkitty+json"}


def send(client: httpx.Client, user: str | None, body: str = "hi", channel: int = 1, **more: Any) -> dict[str, Any]:
    document = {"type": "TEXT", "body": body, **more}
    if user is not None:
        document["user"] = {"username": user}
    answer = client.post(f"/v1/channels/{channel}/messages", json=document)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def read(client: httpx.Client, user: str, message: dict[str, Any]) -> None:
    client.post("/emulator/read-receipts", json={"messageId": message["id"], "username": user})


def unread(client: httpx.Client, user_id: int) -> list[int]:
    """Return the ids of a user's unread messages from pages of 2, and check them against the count."""
    found: list[int] = []
    href = f"/v1/users/{user_id}/messages?unread=true&size=2"
    while href:
        page = client.get(href).json()
        found += [message["id"] for message in page["_embedded"]["messages"]]
        href = page["_links"].get("next", {}).get("href")
    assert client.get(f"/v1/users/{user_id}/messages/unread/count").json() == {"count": len(found)}
    return found


@pytest.mark.parametrize(
    "secret",
    ["My secret is... well, I'd never tell.", None, 0, False, 10**40, [], {"camelKey": {"snake_key": [None]}}, "\0"],
)
def test_a_secret_can_be_any_json_value_and_is_returned_unchanged(
    client: httpx.Client, room: dict[str, int], secret: Any
) -> None:
    user = client.get("/v1/users/1").json()
    assert client.put("/v1/users/1/secrets/pin", json={"secret": secret}).json() == user
    assert client.get("/v1/users/1/secrets/pin").json() == {"secret": secret}
    assert client.get("/users/1/secrets/pin", headers=SNAKE).json() == {"secret": secret}
    assert client.delete("/v1/users/1/secrets/pin").json() == user
    assert client.get("/v1/users/1/secrets/pin").status_code == 404
    assert client.delete("/v1/users/1/secrets/pin").status_code == 404


def test_secrets_are_stored_by_user_and_name(client: httpx.Client, room: dict[str, int]) -> None:
    names = ["pin", "PIN", "a%2Fb%3Fc", "%F0%9F%8C%9E", "%00", "..%2f"]
    for index, name in enumerate(names):
        client.put(f"/v1/users/1/secrets/{name}", json={"secret": index})
    client.put("/v1/users/1/secrets/pin", json={"secret": "new"})
    assert client.get("/v1/users/1/secrets/pin").json() == {"secret": "new"}
    assert [client.get(f"/v1/users/1/secrets/{name}").json()["secret"] for name in names[1:]] == [1, 2, 3, 4, 5]
    assert client.get("/v1/users/2/secrets/pin").status_code == 404
    for method in ("GET", "DELETE"):
        assert client.request(method, "/v1/users/9/secrets/pin").status_code == 404
    assert client.put("/v1/users/9/secrets/pin", json={"secret": 1}).status_code == 404


def test_an_invalid_secret_is_a_400_and_a_missing_one_is_null(client: httpx.Client, room: dict[str, int]) -> None:
    for sent in ({"json": []}, {"content": b""}, {"content": b'{"secret": "\\ud800"}'}):
        assert client.put("/v1/users/1/secrets/pin", **sent).status_code == 400  # type: ignore[arg-type]  # above
    assert client.put(f"/v1/users/1/secrets/{'x' * 1025}", json={"secret": 1}).status_code == 400
    assert client.put("/v1/users/1/secrets/pin", json={}).status_code == 200
    assert client.get("/v1/users/1/secrets/pin").json() == {"secret": None}


def test_messages_sent_by_a_user_are_listed_newest_first(client: httpx.Client, room: dict[str, int]) -> None:
    client.post("/v1/channels", json={"type": "PRIVATE", "name": "q"})
    sent = [send(client, "ann", str(index), channel=1 + index % 2) for index in range(5)]
    send(client, "bob")
    send(client, None)
    page = client.get("/v1/users/1/messages", params={"size": 2}).json()
    assert page["_embedded"]["messages"] == [sent[4], sent[3]]
    assert "/v1/applications/1/users/1/messages?" in page["_links"]["next"]["href"]
    send(client, "ann", "late")  # A new message does not change the next page.
    after = client.get(page["_links"]["next"]["href"]).json()
    assert [message["body"] for message in after["_embedded"]["messages"]] == ["2", "1"]
    same = client.get("/v1/users/1/messages", params={"unread": "false", "size": 100}).json()
    assert len(same["_embedded"]["messages"]) == 6
    assert client.get("/v1/users/4/messages").json()["_embedded"] == {"messages": []}
    assert client.get("/v1/users/9/messages").status_code == 404
    assert client.get("/v1/users/1/messages", params={"unread": "maybe"}).status_code == 400


def test_messages_of_others_in_the_channels_of_a_user_are_unread_until_they_are_read(
    client: httpx.Client, room: dict[str, int]
) -> None:
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "q", "members": [{"username": "ann"}]})
    client.post("/v1/channels", json={"type": "PUBLIC", "name": "r", "members": [{"username": "dee"}]})
    mine = send(client, "ann")
    first, second = send(client, "bob"), send(client, None)
    third = send(client, "bob", channel=2)
    fourth = send(client, "cy", channel=1)
    send(client, "bob", channel=3)
    assert unread(client, 1) == [fourth["id"], third["id"], second["id"], first["id"]]
    read(client, "ann", second)
    read(client, "ann", mine)
    read(client, "bob", fourth)
    assert unread(client, 1) == [fourth["id"], third["id"], first["id"]]
    assert unread(client, 2) == [second["id"], mine["id"]]
    assert client.get("/v1/users/9/messages/unread/count").status_code == 404


def test_pages_of_unread_messages_are_stable_while_messages_arrive_and_are_read(
    client: httpx.Client, room: dict[str, int]
) -> None:
    sent = [send(client, "bob", str(index)) for index in range(6)]
    first = client.get("/v1/users/1/messages", params={"unread": "true", "size": 2}).json()
    for message in first["_embedded"]["messages"]:
        read(client, "ann", message)
    send(client, "bob", "late")
    second = client.get(first["_links"]["next"]["href"]).json()
    assert [message["body"] for message in second["_embedded"]["messages"]] == ["3", "2"]
    third = client.get(second["_links"]["next"]["href"]).json()
    assert [message["id"] for message in third["_embedded"]["messages"]] == [sent[1]["id"], sent[0]["id"]]
    assert "next" not in third["_links"]
    back = client.get(second["_links"]["self"]["href"].replace("SELF", "PREVIOUS")).json()
    assert [message["body"] for message in back["_embedded"]["messages"]] == ["late"]


def test_users_are_filtered_by_unread_messages(client: httpx.Client, room: dict[str, int]) -> None:
    message = send(client, "bob")
    read(client, "cy", message)

    def names(path: str, **params: str) -> list[str]:
        page = client.get(path, params=params).json()
        return [user["name"] for user in page["_embedded"]["users"]]

    assert names("/v1/users", unread="true") == ["ann"]
    assert names("/v1/users", unread="false", sort="name,desc") == ["dee", "cy", "bob"]
    assert names("/v1/users", unread="false", name="cy") == ["cy"]
    page = client.get("/v1/users", params={"unread": "true"}).json()
    assert "unread=true" in page["_links"]["self"]["href"]
    assert client.get("/v1/users", params={"unread": "1"}).status_code == 400


def test_users_are_filtered_by_their_properties(client: httpx.Client) -> None:
    for name, properties in (("a", {"level": 3}), ("b", {"level": "3", "vip": True}), ("c", {"vip": False})):
        client.post("/v1/users", json={"name": name, "displayName": name, "properties": properties})

    def names(*properties: str) -> list[str]:
        page = client.get("/v1/users", params=[("properties", pair) for pair in properties]).json()
        return [user["name"] for user in page["_embedded"]["users"]]

    assert names('{"level": 3}') == ["a"]
    assert names("level:3") == ["a", "b"]
    assert names("level:3", "vip:true") == ["b"]
    assert names('{"vip": false}') == ["c"]
    assert client.get("/v1/users", params={"properties": "{"}).status_code == 400
    href = client.get("/v1/users", params={"properties": "level:3", "size": 1}).json()["_links"]["next"]["href"]
    assert [user["name"] for user in client.get(href).json()["_embedded"]["users"]] == ["b"]


def test_deleting_a_user_deletes_the_data_of_the_user(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    picture = client.post("/v1/users/1/display-picture", files={"file": ("a.png", b"png", "image/png")}).json()
    client.put("/v1/users/1/secrets/pin", json={"secret": 1})
    mine, other = send(client, "ann"), send(client, "bob")
    client.post(
        "/v1/channels/1/messages", files={"file": ("f.txt", b"text", "text/plain")}, data={"username": "ann"}
    ).raise_for_status()
    reply = client.post(f"/v1/threads/{mine['id']}/messages", json={"type": "TEXT", "body": "r", "user": {"id": 2}})
    read(client, "ann", other)
    client.post("/emulator/sessions", json={"username": "ann", "channelId": 1})
    answer = client.delete("/v1/users/1")
    assert answer.json() == client.get("/v1/application").json()
    assert client.get("/v1/users/1").status_code == 404
    assert client.head("/v1/users", params={"name": "ann"}).status_code == 404
    assert client.get(f"/v1/messages/{reply.json()['id']}").status_code == 404
    assert [message["id"] for message in client.get("/v1/messages").json()["_embedded"]["messages"]] == [other["id"]]
    assert [user["name"] for user in client.get("/v1/channels/1/members").json()["_embedded"]["users"]] == ["bob", "cy"]
    assert client.get(f"/v1/messages/{other['id']}/read-receipts").json()["page"]["totalElements"] == 0
    assert client.get("/v1/chat-sessions").json()["page"]["totalElements"] == 0
    assert client.get(picture["displayPictureUrl"]).headers["content-type"] == "image/svg+xml"
    assert database.value("SELECT count(*) FROM files") == 0
    assert client.delete("/v1/users/1").status_code == 404
    assert client.post("/v1/users", json={"name": "ann", "displayName": "Ann"}).json()["id"] == 5


def test_a_direct_channel_is_deleted_with_its_last_member(client: httpx.Client, room: dict[str, int]) -> None:
    both = {"type": "DIRECT", "members": [{"username": "ann"}, {"username": "bob"}]}
    direct = client.post("/v1/channels", json=both).json()
    message = send(client, "bob", channel=direct["id"])
    created = {"type": "PUBLIC", "name": "made by ann", "creator": {"username": "ann"}}
    public = client.post("/v1/channels", json=created).json()
    client.delete("/v1/users/1")
    left = client.get(f"/v1/channels/{direct['id']}").json()
    assert [member["name"] for member in left["members"]] == ["bob"]
    assert client.get(f"/v1/messages/{message['id']}").json() == message
    assert "creator" not in client.get(f"/v1/channels/{public['id']}").json()
    alone = {"type": "DIRECT", "members": [{"username": "bob"}]}
    assert client.post("/v1/channels", json=alone).json()["id"] == direct["id"]
    client.delete("/v1/users/2")
    assert client.get(f"/v1/channels/{direct['id']}").status_code == 404
    assert client.get("/v1/channels/1").status_code == 200
