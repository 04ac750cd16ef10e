"""Uploads of files as messages."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from support.calls import answered, ended, explanation, function, items, send

from ckfunc.emulator.store.database import Database

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


def upload(client: httpx.Client, to: str = "channels/1", content: bytes = PNG, **fields: Any) -> httpx.Response:
    return client.post(f"/v1/{to}/messages", files={"file": ("jane.png", content, "image/png")}, data=fields)


def stored(database: Database) -> int:
    count: int = database.value("SELECT count(*) FROM files")
    return count


def test_an_uploaded_file_can_be_downloaded(client: httpx.Client, anyone: httpx.Client, room: dict[str, int]) -> None:
    made = answered(upload(client, username="ann", groupTag="gallery", properties='{"a": {"b_c": 1}}'))
    url = made["file"].pop("url")
    assert made["file"] == {"type": "HOSTED", "name": "jane.png", "contentType": "image/png", "size": len(PNG)}
    assert (made["type"], made["user"]["name"], made["groupTag"]) == ("FILE", "ann", "gallery")
    assert made["properties"] == {"a": {"b_c": 1}}
    assert url.startswith(f"{str(client.base_url).rstrip('/')}/v1/files/")
    got = anyone.get(url)
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, PNG, "image/png")
    assert client.get(f"/v1/messages/{made['id']}").json()["file"]["url"] == url


def test_a_file_without_a_user_is_a_system_file(client: httpx.Client, room: dict[str, int]) -> None:
    made = answered(upload(client))
    assert (made["type"], made["properties"]) == ("SYSTEM_FILE", {})
    assert "user" not in made
    assert "body" not in made
    assert items(client, f"users/{room['ann']}/notifications")[0]["body"] == "File attachment"


def test_an_uploaded_file_is_accepted_and_returned_in_snake_case(client: httpx.Client, room: dict[str, int]) -> None:
    files = {"file": ("a.txt", b"hi", "text/plain")}
    made = answered(client.post("/channels/1/messages", files=files, data={"group_tag": "g", "username": "bob"}))
    assert (made["group_tag"], made["file"]["content_type"], made["user"]["display_name"]) == ("g", "text/plain", "Bob")


def test_a_file_can_be_uploaded_as_a_reply(client: httpx.Client, room: dict[str, int]) -> None:
    send(client)
    made = answered(upload(client, "threads/1", groupTag="g"))
    assert (made["nestedLevel"], made["type"], made["groupTag"]) == (1, "SYSTEM_FILE", "g")
    assert items(client, "threads/1/messages") == [made]


def test_a_file_in_a_thread_is_a_system_file_because_the_form_has_no_user(
    client: httpx.Client, room: dict[str, int]
) -> None:
    send(client)
    made = answered(upload(client, "threads/1", username="ann"))
    assert (made["type"], "user" in made) == ("SYSTEM_FILE", False)


def test_an_uploaded_file_triggers_the_sent_message_event(client: httpx.Client, room: dict[str, int]) -> None:
    function_id = function(client, "user.sent.message")
    made = answered(upload(client, username="ann"))
    (run,) = ended(client, function_id, 1)
    assert run["args"]["message"] == made


def test_empty_form_fields_are_treated_as_missing(client: httpx.Client, room: dict[str, int]) -> None:
    made = answered(upload(client, username="", groupTag=" ", properties=""))
    assert (made["type"], made["properties"]) == ("SYSTEM_FILE", {})
    assert "groupTag" not in made


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"properties": "{"}, "field 'properties': the body is not JSON"),
        ({"properties": "[]"}, "field 'properties' is an array, not an object"),
        ({"properties": json.dumps({"a": "\ud800"})}, "half of a surrogate pair"),
        ({"properties": '{"a":' * 300 + "1" + "}" * 300}, "nested too deeply"),
        ({"groupTag": "x" * 1025}, "at most 1024 are allowed"),
    ],
)
def test_an_invalid_form_is_a_400_and_stores_no_file(
    client: httpx.Client, room: dict[str, int], database: Database, fields: dict[str, str], words: str
) -> None:
    assert words in explanation(upload(client, **fields))
    assert stored(database) == 0


def test_a_form_requires_a_file_and_an_existing_sender(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    parts: Any = {"username": (None, "ann")}
    assert "no field 'file'" in explanation(client.post("/v1/channels/1/messages", files=parts))
    assert "is empty" in explanation(upload(client, content=b""))
    answer = upload(client, username="nobody")
    assert explanation(answer, 404) == "field 'username' refers to user 'nobody', who does not exist"
    assert upload(client, "channels/9").status_code == 404
    assert upload(client, "threads/9").status_code == 404
    assert stored(database) == 0


def test_a_file_is_deleted_with_its_message(client: httpx.Client, room: dict[str, int], database: Database) -> None:
    first = answered(upload(client))
    answered(upload(client, f"threads/{first['id']}"))
    other = answered(upload(client))
    answered(client.delete(f"/v1/messages/{first['id']}"))
    assert stored(database) == 1
    assert client.get(first["file"]["url"]).status_code == 404
    assert client.get(other["file"]["url"]).status_code == 200


@pytest.mark.parametrize("path", ["channels/1", "messages"])
def test_files_are_deleted_with_their_channel_and_with_all_messages(
    client: httpx.Client, room: dict[str, int], database: Database, path: str
) -> None:
    answered(upload(client))
    answered(client.delete(f"/v1/{path}"))
    assert stored(database) == 0


def test_a_message_that_only_refers_to_a_stored_file_does_not_own_it(
    client: httpx.Client, room: dict[str, int], database: Database
) -> None:
    url = answered(upload(client))["file"]["url"]
    for address in (url, url[url.index("/v1/") :]):
        file = {"url": address, "name": "x", "contentType": "image/png", "size": 1}
        made = answered(client.post("/v1/channels/1/messages", json={"type": "FILE", "file": file}))
        assert (made["file"]["type"], made["file"]["url"]) == ("EXTERNAL", url)
        answered(client.delete(f"/v1/messages/{made['id']}"))
    assert stored(database) == 1
