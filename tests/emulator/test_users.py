"""Users and their properties."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

SNAKE = {"accept": "application/vnd.chatkitty+json", "content-type": "application/vnd.chatkitty+json"}


def create(client: httpx.Client, name: str = "jane@example.com", **more: Any) -> dict[str, Any]:
    answer = client.post("/v1/users", json={"name": name, "displayName": "Jane Doe", "isGuest": False, **more})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def explanation(answer: httpx.Response, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    document = answer.json()
    assert set(document) == {"error", "message", "explanation", "timestamp"}
    text: str = document["explanation"]
    return text


def test_a_created_user_has_every_field_that_the_schema_requires(client: httpx.Client) -> None:
    made = create(client, properties={"favoriteNumber": 42})
    base = f"{client.base_url}".rstrip("/") + "/v1/applications/1"
    assert made == {
        "id": 1,
        "type": "PERSON",
        "name": "jane@example.com",
        "displayName": "Jane Doe",
        "displayPictureUrl": f"{str(client.base_url).rstrip('/')}/v1/picture/Jane+Doe",
        "isGuest": False,
        "presence": {"status": "UNAVAILABLE", "online": False},
        "callStatus": "AVAILABLE",
        "properties": {"favoriteNumber": 42},
        "_links": {
            "self": {"href": f"{base}/users/1"},
            "channels": {"href": f"{base}/users/1/channels"},
            "notifications": {"href": f"{base}/users/1/notifications"},
            "displayPicture": {"href": f"{base}/users/1/display-picture"},
            "application": {"href": base},
        },
    }
    assert client.get("/v1/users/1").json() == made
    assert client.get(made["_links"]["self"]["href"]).json() == made


def test_users_are_accepted_and_returned_in_snake_case_except_for_is_guest(client: httpx.Client) -> None:
    body = {"name": "bob", "display_name": "Bob", "is_guest": True, "properties": {"camelKey": 1, "snake_key": 2}}
    made = client.post("/users", json=body, headers=SNAKE).json()
    assert made["display_name"] == "Bob"
    assert made["isGuest"] is True
    assert "is_guest" not in made
    assert made["display_picture_url"].endswith("/v1/picture/Bob")
    assert made["properties"] == body["properties"]
    assert client.get(f"/v1/users/{made['id']}").json()["displayName"] == "Bob"


@pytest.mark.parametrize("spelling", ["isGuest", "is_guest", "guest"])
def test_the_guest_field_is_accepted_in_every_spelling(client: httpx.Client, spelling: str) -> None:
    made = client.post("/v1/users", json={"name": "g", "displayName": "G", spelling: True}).json()
    assert made["isGuest"] is True


def test_a_user_is_not_a_guest_by_default(client: httpx.Client) -> None:
    assert client.post("/v1/users", json={"name": "g", "displayName": "G"}).json()["isGuest"] is False


def test_a_duplicate_user_name_is_a_400_that_names_it(client: httpx.Client) -> None:
    create(client)
    answer = client.post("/v1/users", json={"name": "jane@example.com", "displayName": "J", "isGuest": False})
    assert explanation(answer) == "field 'name' is 'jane@example.com', but another user already has that name"
    assert answer.json()["error"] == "ClientError"


def test_a_head_request_reports_without_a_body_if_a_user_exists(client: httpx.Client) -> None:
    create(client, "a&b c")
    found = client.head("/v1/users", params={"name": "a&b c"})
    missing = client.head("/users", params={"name": "nobody"})
    unnamed = client.head("/v1/users")
    assert [answer.status_code for answer in (found, missing, unnamed)] == [200, 404, 400]
    assert found.content == missing.content == b""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "field 'name' is missing"),
        ([], "user is an array, not an object"),
        ({"name": 1, "displayName": "x"}, "field 'name' is an integer, not a string"),
        ({"name": None, "displayName": "x"}, "field 'name' is null, not a string"),
        ({"name": " ", "displayName": "x"}, "field 'name' is empty"),
        ({"name": "x" * 1025, "displayName": "x"}, "field 'name' has 1025 characters; at most 1024 are allowed"),
        ({"name": "x"}, "field 'displayName' is missing"),
        ({"name": "x", "displayName": "x", "isGuest": "yes"}, "field 'isGuest' is a string, not a boolean"),
        ({"name": "x", "displayName": "x", "isGuest": 1}, "field 'isGuest' is an integer, not a boolean"),
        ({"name": "x", "displayName": "x", "properties": []}, "field 'properties' is an array, not an object"),
    ],
)
def test_an_invalid_user_is_a_400_that_names_the_field(client: httpx.Client, body: Any, words: str) -> None:
    assert explanation(client.post("/v1/users", json=body)) == words
    assert client.get("/v1/users").json()["page"]["totalElements"] == 0


@pytest.mark.parametrize("user_id", ["2", "0", "-1", "x", "1.0", str(2**63), "9" * 5000, "%00", "1%2F2", "%ED%A0%80"])
def test_an_unknown_or_invalid_user_id_is_a_404_or_a_400(client: httpx.Client, user_id: str) -> None:
    create(client)
    answer = client.get(f"/v1/users/{user_id}")
    assert answer.status_code in (400, 404), answer.text
    assert user_id not in ("2", "0") or answer.json()["error"] == "ResourceNotFoundError"


def test_users_are_listed_in_pages_with_links(client: httpx.Client) -> None:
    for index in range(7):
        create(client, f"user{index}")
    page = client.get("/v1/users", params={"size": 3, "page": 1}).json()
    assert [user["name"] for user in page["_embedded"]["users"]] == ["user3", "user4", "user5"]
    assert page["page"] == {"size": 3, "totalElements": 7, "totalPages": 3, "number": 1}
    assert set(page["_links"]) == {"first", "self", "next", "last"}
    after = client.get(page["_links"]["next"]["href"]).json()
    assert [user["name"] for user in after["_embedded"]["users"]] == ["user6"]
    assert "next" not in after["_links"]


def test_users_are_sorted_by_several_criteria(client: httpx.Client) -> None:
    for name, shown in (("a", "X"), ("b", "Y"), ("c", "X")):
        create(client, name, displayName=shown)
    params = [("sort", "displayName,desc"), ("sort", "name,desc")]
    page = client.get("/v1/users", params=params).json()
    assert [user["name"] for user in page["_embedded"]["users"]] == ["b", "c", "a"]
    snake = client.get("/users", params={"sort": "display_name"}).json()
    assert [user["name"] for user in snake["_embedded"]["users"]] == ["a", "c", "b"]


def test_an_unknown_sort_key_is_a_400(client: httpx.Client) -> None:
    assert "cannot sort by 'shoeSize'" in explanation(client.get("/v1/users", params={"sort": "shoeSize"}))


def test_users_are_filtered_by_their_exact_name(client: httpx.Client) -> None:
    for name in ("jane", "jane2", "Jane"):
        create(client, name)
    page = client.get("/v1/users", params={"name": "jane"}).json()
    assert [user["name"] for user in page["_embedded"]["users"]] == ["jane"]
    assert "name=jane" in page["_links"]["self"]["href"]
    assert client.get("/v1/users", params={"name": "nobody"}).json()["_embedded"] == {"users": []}


@pytest.mark.parametrize("media_type", ["application/json+merge-patch", "application/merge-patch+json", None])
def test_a_patch_changes_only_the_given_fields(client: httpx.Client, media_type: str | None) -> None:
    made = create(client, properties={"keep": 1, "drop": 2, "deep": {"a": 1, "b": 2}})
    patch = {
        "displayName": "J",
        "isGuest": True,
        "presence": {"status": "AWAY", "online": True},
        "properties": {"drop": None, "deep": {"b": 3, "c": [None]}, "snake_key": 4},
        "unknown": 1,
    }
    headers = {} if media_type is None else {"content-type": media_type}
    changed = client.patch("/v1/users/1", json=patch, headers=headers).json()
    assert changed == client.get("/v1/users/1").json()
    assert changed == {
        **made,
        "displayName": "J",
        "displayPictureUrl": made["displayPictureUrl"].replace("Jane+Doe", "J"),
        "isGuest": True,
        "presence": {"status": "AWAY", "online": False},
        "properties": {"keep": 1, "deep": {"a": 1, "b": 3, "c": [None]}, "snake_key": 4},
    }


def test_a_patch_is_accepted_in_snake_case(client: httpx.Client) -> None:
    create(client)
    changed = client.patch("/users/1", json={"display_name": "J", "is_guest": True}, headers=SNAKE).json()
    assert (changed["display_name"], changed["isGuest"]) == ("J", True)


def test_a_patch_without_a_body_changes_nothing(client: httpx.Client) -> None:
    made = create(client)
    assert client.patch("/v1/users/1").json() == made
    assert client.patch("/v1/users/1", json={}).json() == made


def test_null_removes_properties_but_not_required_fields(client: httpx.Client) -> None:
    create(client, properties={"a": 1})
    for name in ("displayName", "isGuest", "presence"):
        answer = client.patch("/v1/users/1", json={name: None})
        assert explanation(answer) == f"field {name!r} is null, but it cannot be removed"
    assert client.patch("/v1/users/1", json={"properties": None}).json()["properties"] == {}


def test_a_patch_of_an_unknown_user_is_a_404(client: httpx.Client) -> None:
    assert "there is no user 9" in explanation(client.patch("/v1/users/9", json={}), 404)


@pytest.mark.parametrize(
    "name", ["nul\0in it", "emoji 🌞", "'; DROP TABLE users; --", "a/b?c#d%", "ß" * 1024, "\u202e"]
)
def test_any_text_can_be_a_name(client: httpx.Client, name: str) -> None:
    made = create(client, name, displayName=name, properties={name: name})
    assert (made["name"], made["properties"]) == (name, {name: name})
    assert client.head("/v1/users", params={"name": name}).status_code == 200
    assert client.get("/v1/users", params={"name": name}).json()["page"]["totalElements"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "\\ud800", "displayName": "x"}',
        b'{"name": "x", "displayName": "\\udfff"}',
        b'{"name": "x", "displayName": "x", "properties": {"\\ud800": 1}}',
        b'{"name": "x", "displayName": "x", "properties": {"a": NaN}}',
        b"\xff",
        b"{",
        b"",
        b'{"name": "' + b"x" * 3_000_000 + b'"}',
        b"[" * 100_000,
        b'{"a":' * 900 + b"1" + b"}" * 900,
    ],
)
def test_invalid_text_or_json_is_a_400(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/v1/users", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text
    assert answer.json()["explanation"]


@pytest.mark.parametrize("depth", [50, 200, 400, 600, 700, 800, 900, 950, 980, 990, 1000, 1500, 3000, 20_000])
def test_properties_of_any_depth_are_either_stored_or_refused(client: httpx.Client, depth: int) -> None:
    nested = '{"a":' * depth + "1" + "}" * depth
    body = f'{{"name": "x", "displayName": "x", "properties": {nested}}}'
    made = client.post("/v1/users", content=body, headers={"content-type": "application/json"})
    if made.status_code == 200:
        assert client.get("/v1/users/1").status_code == 200
        patched = client.patch("/v1/users/1", content=f'{{"properties": {nested}}}')
        assert patched.status_code in (200, 400), patched.text
        assert client.get("/v1/users").status_code == 200
    else:
        assert "nested too deeply" in explanation(made)


def test_numbers_of_any_size_in_properties_are_stored_exactly(client: httpx.Client) -> None:
    properties = {"huge": 10**400, "tiny": 1e-300, "negative": -(2**70), "empty": "", "null": None}
    assert create(client, properties=properties)["properties"] == properties
    assert client.get("/v1/users/1").json()["properties"] == properties
