"""Documents of the wire, read into the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from support import wire

from ckfunc.base.secrets import revealed
from ckfunc.model.chat import NewMessage, NotificationType, User
from ckfunc.wire import applications, channels, links, messages, users
from ckfunc.wire.links import Links, application_id_in
from ckfunc.wire.reading import Malformed, required, resource

LINKS = Links("http://127.0.0.1:4310", 7)
TIME = "2022-01-31T12:00:00.000Z"
USER = {
    "id": 1,
    "type": "PERSON",
    "name": "ann",
    "displayName": "Ann",
    "isGuest": False,
    "displayPictureUrl": "http://127.0.0.1:4310/v1/picture/Ann",
    "presence": {"status": "AWAY", "online": True},
    "callStatus": "IN_CALL",
    "properties": {},
}
TEXT = {
    "id": 5,
    "type": "TEXT",
    "channelId": 2,
    "user": USER,
    "body": "hi",
    "nestedLevel": 1,
    "properties": {},
    "createdTime": TIME,
    "groupTag": "g",
    "lastEditedTime": TIME,
    "repliesCount": 0,
}
PUBLIC = {"id": 2, "type": "PUBLIC", "name": "p", "displayName": "P", "properties": {}, "createdTime": TIME}
NOTIFICATION = {
    "id": 9,
    "title": "t",
    "body": "b",
    "data": {"type": "USER:SENT:MESSAGE", "message": TEXT},
    "createdTime": TIME,
    "_links": {"recipient": {"href": "http://127.0.0.1:4310/v1/applications/7/users/1"}},
}
INVOCATION = {"id": 1, "versionNumber": 1, "status": "RUNNING", "args": {}, "result": {}, "createdTime": TIME}
RUNTIME = {"id": 1, "version": "v1", "dependencies": [], "environmentVariables": {}}
FUNCTION = {"id": 1, "type": "call.ended", "enabled": True, "currentVersionNumber": 3}


@pytest.mark.parametrize(
    ("read", "document", "words"),
    [
        (users.read_user, None, "user is null, not an object"),
        (users.read_user, 1.5, "user is a number, not an object"),
        (users.read_user, {**USER, "id": True}, "field 'id' is a boolean, not an integer"),
        (users.read_user, {**USER, "id": 2**63}, "field 'id' is an integer of more than 64 bits"),
        (users.read_user, {**USER, "id": -(2**63) - 1}, "more than 64 bits"),
        (users.read_user, {**USER, "name": "\udc00"}, "field 'name' contains half of a surrogate pair"),
        (users.read_user, {**USER, "type": "ROBOT"}, "field 'type' is 'ROBOT', not one of PERSON, BOT"),
        (users.read_user, {**USER, "presence": []}, "field 'presence' is an array, not an object"),
        (channels.read_channel, {**PUBLIC, "createdTime": "now"}, "field 'createdTime' is 'now', not a time"),
        (channels.read_channel, {**PUBLIC, "type": "DIRECT"}, "field 'members' is missing"),
        (messages.read_message, {**TEXT, "type": "VIDEO"}, "field 'type' is 'VIDEO', not one of TEXT, FILE"),
        (messages.read_message, {**TEXT, "user": None}, "field 'user' is null, not an object"),
        (wire.read_notification, {**NOTIFICATION, "_links": {}}, "no link to its recipient"),
        (wire.read_notification, {**NOTIFICATION, "data": None}, "notification data is null"),
        (
            wire.read_notification,
            {**NOTIFICATION, "_links": {"recipient": {"href": "x/²"}}},
            "no link to its recipient",
        ),
        (
            applications.read_application,
            {"id": 1, "key": "k", "createdTime": "x"},
            "field 'createdTime' is 'x', not a time",
        ),
        (applications.read_settings, {"guestUsers": "ON", "userCreatedChannels": "ENABLED"}, "'ON', not ENABLED or"),
        (applications.read_invocation, {**INVOCATION, "status": "LOST"}, "field 'status' is 'LOST', not one of"),
        (applications.read_environment, {"A": 1}, "variable 'A' is not a string"),
        (applications.read_dependencies, {}, "the dependencies are not a list"),
        (applications.read_environment, [], "the environment variables are not an object"),
        (applications.read_new_function, {"type": " ", "name": "n"}, "field 'type' is empty"),
        (lambda page: links.read_page(page, "users", users.read_user), {"page": 1}, "field 'page' is an integer"),
        (lambda page: links.read_page(page, "users", users.read_user), {}, "field '_links' is missing"),
        (lambda page: links.read_page(page, "users", users.read_user), {"_links": {}}, "field 'self' is missing"),
        (
            lambda page: wire.read_cursor_page(page, "users", users.read_user),
            {"page": {"size": 1}, "_links": {"next": {"href": "/x?start=a&next=1"}}},
            "a cursor that is no number",
        ),
    ],
)
def test_an_invalid_document_is_refused_with_the_name_of_the_field(
    read: Callable[[Any], Any], document: Any, words: str
) -> None:
    with pytest.raises(Malformed) as refused:
        read(document)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("read", "write", "document"),
    [
        (users.read_user, users.write_embedded_user, USER),
        (messages.read_message, messages.write_embedded_message, TEXT),
    ],
)
def test_every_optional_field_is_read_and_written(read: Any, write: Any, document: Any) -> None:
    assert write(read(document), LINKS) == document


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("USER:MENTIONED:CHANNEL", {"mentionedChannel": PUBLIC}),
        ("USER:MENTIONED:USER", {"mentionedUser": USER}),
        ("USER:REPLIED_TO:MESSAGE", {"parent": {**TEXT, "id": 4}}),
    ],
)
def test_each_kind_of_notification_keeps_its_subject(kind: str, more: dict[str, Any]) -> None:
    document = {**NOTIFICATION, "readTime": TIME, "data": {"type": kind, "message": TEXT, **more}}
    read = wire.read_notification(document)
    written = channels.write_notification(read, LINKS)
    assert read.data.type is NotificationType(kind)
    assert written["readTime"] == TIME
    assert wire.read_notification(written) == read
    name = next(iter(more))
    assert written["data"][name]["id"] == more[name]["id"]
    assert "_links" in written["data"][name]


def test_an_invocation_detail_may_have_no_duration_yet() -> None:
    for duration in (None, 12.5):
        document = {"id": 1, "console": [{"level": "info", "text": "x"}], "durationMs": duration}
        written = {**document, "calls": [], "callsOmitted": 0}
        assert applications.write_detail(applications.read_detail(document)) == written


def test_the_calls_of_a_run_are_read_with_unchanged_bodies() -> None:
    call = {"method": "POST", "path": "/users", "body": {"display_name": "x", "someThing": None}, "status": 201}
    document = {"id": 1, "console": [], "durationMs": 1.0, "calls": [call], "callsOmitted": 3}
    read = applications.read_detail(document)
    assert (read.calls[0].body, read.calls_omitted) == (call["body"], 3)
    assert applications.write_detail(read) == document
    for wrong in ("text", {"method": "GET", "path": "/x"}):
        with pytest.raises(Malformed):
            applications.read_detail({**document, "calls": [wrong]})


def test_a_function_without_a_name_is_named_after_its_type() -> None:
    assert applications.read_function(FUNCTION).name == "call.ended"
    described = applications.read_function({**FUNCTION, "name": "n", "description": "d"})
    assert applications.write_function(described, 1, "v1", LINKS)["description"] == "d"
    new = applications.read_new_function({"type": "x", "name": "n", "description": "d"})
    assert applications.write_new_function(new)["description"] == "d"


def test_the_application_of_a_runtime_is_found_in_its_links_or_its_environment() -> None:
    linked = {**RUNTIME, "_links": {"self": {"href": "https://x/v1/applications/42/runtimes/nodejs"}}}
    listed = {**RUNTIME, "_links": [{"rel": "self", "href": "https://x/v1/applications/43"}]}
    told = {**RUNTIME, "environment_variables": {"CHATKITTY_APPLICATION_ID": "44"}, "_links": {"a": 1}}
    del told["environmentVariables"]
    found = [applications.read_runtime(document).application_id for document in (linked, listed, told, RUNTIME)]
    assert found == [42, 43, 44, None]
    assert application_id_in({"_links": "x"}) is None


def test_an_empty_page_may_have_no_list() -> None:
    numbers = {"size": 5, "totalElements": 0, "totalPages": 0, "number": 0}
    page = links.read_page({"page": numbers}, "users", users.read_user)
    assert page.items == ()
    assert links.write_page("users", page, [], "/users", []) == {
        "_embedded": {"users": []},
        "_links": {"self": {"href": "/users?page=0&size=5"}},
        "page": numbers,
    }


@pytest.mark.parametrize(
    ("relations", "number", "total_elements", "total_pages"),
    [
        ({"self": "/users"}, 0, 1, 1),
        ({"self": "/users", "next": "/users?page=1&size=1"}, 0, 2, 2),
        ({"self": "/users?page=3&size=1", "next": "/users?page=4&size=1", "last": "/users?page=8&size=1"}, 3, 9, 9),
        ({"self": "/users?page=8&size=1", "last": "/users?page=8&size=1"}, 8, 9, 9),
        ({"self": "/users?page=x", "next": ""}, 0, 1, 1),
    ],
)
@pytest.mark.parametrize("block", [{}, {"page": None}, {"page": {"size": 1}}])
def test_links_give_the_numbers_that_a_page_does_not_have(
    relations: dict[str, str], number: int, total_elements: int, total_pages: int, block: dict[str, Any]
) -> None:
    linked = {relation: {"href": href} for relation, href in relations.items()}
    page = links.read_page({"_embedded": {"users": [USER]}, "_links": linked, **block}, "users", users.read_user)
    assert (page.number, page.size, page.total_elements, page.total_pages) == (number, 1, total_elements, total_pages)


def test_values_of_the_environment_that_are_not_text_are_read_as_json() -> None:
    document = {**RUNTIME, "environmentVariables": {"A": 5, "B": True, "C": "x", "D": {"e": 1}}}
    assert revealed(applications.read_runtime(document).environment) == {
        "A": "5",
        "B": "true",
        "C": "x",
        "D": '{"e": 1}',
    }


def test_an_empty_cursor_page_has_no_cursor() -> None:
    empty = {
        "_embedded": {"messages": []},
        "_links": {"self": {"href": "/m?size=5&relation=SELF"}},
        "page": {"size": 5},
    }
    page = wire.read_cursor_page(empty, "messages", messages.read_message)
    assert (page.start, page.next, page.has_next) == (None, None, False)
    assert links.write_cursor_page("messages", page, [], "/m") == empty


def test_links_of_a_page_include_the_query_of_the_list() -> None:
    numbers = {"size": 1, "totalElements": 3, "totalPages": 3, "number": 1}
    page = links.read_page({"page": numbers, "_embedded": {"users": [USER]}}, "users", users.read_user)
    written = links.write_page("users", page, [], "/users", [("name", "a&b"), ("sort", "id,desc")])["_links"]
    assert list(written) == ["first", "self", "next", "last"]
    assert written["last"] == {"href": "/users?name=a%26b&sort=id%2Cdesc&page=2&size=1"}


def test_a_reference_by_id_takes_precedence_over_a_name() -> None:
    assert wire.write_reference(users.read_reference({"id": 0, "username": "ann"})) == {"id": 0}


def test_pictures_of_any_display_name_have_a_url() -> None:
    user = User(1, "a", "Jürgen & Ü/?#\0 🌞+")
    address = users.write_user(user, LINKS)["displayPictureUrl"]
    assert address == "http://127.0.0.1:4310/v1/picture/J%C3%BCrgen+%26+%C3%9C%2F%3F%23%00+%F0%9F%8C%9E%2B"


def test_a_new_message_is_text_or_a_file_from_the_system_or_a_user() -> None:
    read = messages.read_new_message
    file = {"url": "u", "name": "n", "contentType": "t", "size": 1, "type": "HOSTED"}
    bodies: list[dict[str, Any]] = [{"type": "TEXT", "body": "x"}, {"type": "FILE", "file": file}]
    kinds = [read({**body, **who}).type for body in bodies for who in ({}, {"user": {"id": 1}})]
    assert kinds == ["SYSTEM_TEXT", "TEXT", "SYSTEM_FILE", "FILE"]
    sent = read({**bodies[1], "user": {"username": "a"}, "groupTag": "g", "properties": {"a": 1}})
    assert sent.file is not None
    assert sent.file.type == "EXTERNAL"
    assert read(wire.write_new_message(sent)) == sent
    assert isinstance(sent, NewMessage)


def test_a_new_channel_survives_a_round_trip() -> None:
    body = {
        "type": "PRIVATE",
        "name": "n",
        "displayName": "N",
        "creator": {"id": 1},
        "members": [{"username": "a"}],
        "properties": {"b": 2},
    }
    assert wire.write_new_channel(channels.read_new_channel(body)) == body


def test_types_without_a_name_are_described_in_errors() -> None:
    with pytest.raises(Malformed, match="not bytes"):
        required({"a": 1}, "a", bytes)
    with pytest.raises(Malformed, match="is bytes"):
        resource(b"", "thing")
