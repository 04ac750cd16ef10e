"""Pages of users, channels, messages, sessions, the runtime and requests, and the form that triggers events."""

from __future__ import annotations

import html
import json
import re
import shlex
import time

import httpx
import pytest

from ckfunc.emulator.store.database import Database

from .conftest import Deploy


@pytest.fixture
def web(client: httpx.Client, form_key: str, room: dict[str, int]) -> httpx.Client:
    """A browser that sends the key of the dashboard's pages with its forms."""
    assert room["ann"] == 1
    client.headers["x-form-key"] = form_key
    return client


def shown(web: httpx.Client, path: str) -> str:
    answer = web.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_users_are_listed_searched_created_edited_and_deleted(web: httpx.Client) -> None:
    assert ">ann</a>" in shown(web, "/ui/users")
    found = shown(web, "/ui/users?query=AN")
    assert (">ann</a>" in found, ">bob</a>" in found) == (True, False)
    made = web.post("/ui/users", data={"name": "eve", "display-name": ""})
    path = made.headers["location"]
    assert web.post("/ui/users", data={"name": "eve"}).status_code == 400
    assert web.post("/ui/users", data={"name": ""}).status_code == 400
    edited = web.post(path, data={"display-name": "Eve", "properties": '{"plan": "free"}'})
    assert edited.status_code == 303, edited.text
    number = path.rsplit("/", 1)[1]
    user = web.get(f"/v1/users/{number}").json()
    assert (user["displayName"], user["properties"]) == ("Eve", {"plan": "free"})
    web.post(path, data={"display-name": "Eve", "properties": '{"level": 1}'})
    assert web.get(f"/v1/users/{number}").json()["properties"] == {"level": 1}
    assert web.post(f"{path}/delete").headers["location"] == "/ui/users"
    assert web.get(path).status_code == 404


@pytest.mark.parametrize("given", ["", "{", "[]", "7"])
def test_properties_that_are_not_a_json_object_are_refused(web: httpx.Client, given: str) -> None:
    answer = web.post("/ui/users/1", data={"display-name": "Ann", "properties": given})
    assert answer.status_code == 400
    assert "properties" in answer.text


def test_a_form_shows_the_exact_value_that_it_saves(web: httpx.Client) -> None:
    value = {"text": "</textarea><script>\u202e\n\"'&amp;"}
    web.patch("/v1/users/1", json={"properties": value})
    text = shown(web, "/ui/users/1")
    assert "<script>\\u" not in text
    (area,) = re.findall(r'<textarea name="properties"[^>]*>(.*?)</textarea>', text, re.DOTALL)
    import html

    assert json.loads(html.unescape(area)) == value


def test_channels_are_listed_searched_created_edited_and_deleted(web: httpx.Client) -> None:
    assert '<a href="/ui/channels/1">p</a>' in shown(web, "/ui/channels")
    assert "No channels match" in shown(web, "/ui/channels?query=zzz")
    path = web.post("/ui/channels", data={"name": "news", "type": "PRIVATE"}).headers["location"]
    assert path == "/ui/channels/2"
    assert web.post(path, data={"display-name": "News", "properties": "{}"}).status_code == 303
    channel = web.get("/v1/channels/2").json()
    assert (channel["type"], channel["name"], channel["displayName"]) == ("PRIVATE", "news", "News")
    assert web.post(f"{path}/members", data={"add": "dee"}).status_code == 303
    assert ">Dee</a>" in shown(web, path)
    assert web.post(f"{path}/members", data={"add": "nobody"}).status_code == 404
    web.post(f"{path}/members", data={"remove": "dee"})
    assert "No members" in shown(web, path)
    web.post(f"{path}/delete")
    assert web.get(path).status_code == 404


def test_messages_are_searched_edited_and_deleted(web: httpx.Client) -> None:
    for name, body in (("ann", "one apple"), ("bob", "two pears"), ("ann", "three plums")):
        body_json = {"type": "TEXT", "user": {"username": name}, "body": body}
        web.post("/v1/channels/1/messages", json=body_json)

    def found(query: str) -> list[int]:
        return [int(number) for number in re.findall(r'href="/ui/messages/(\d+)"', shown(web, f"/ui/messages?{query}"))]

    assert found("") == [3, 2, 1]
    assert found("username=ann") == [3, 1]
    assert found("query=PEAR") == [2]
    assert found("channel=9") == []
    web.post("/ui/messages/2", data={"body": "two\r\npeaches", "properties": '{"a": 1}'})
    message = web.get("/v1/messages/2").json()
    assert (message["body"], message["properties"]) == ("two\npeaches", {"a": 1})
    assert "edited" in shown(web, "/ui/messages/2")
    web.post("/ui/messages/2/delete")
    assert found("") == [3, 1]


def test_a_search_of_many_messages_is_split_into_linked_pages(web: httpx.Client, database: Database) -> None:
    with database.transaction():
        database.execute(
            "INSERT INTO messages (channel_id, user_id, type, body, nested_level, properties, created_time)"
            " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150000)"
            " SELECT 1, 1, 'TEXT', iif(i IN (5, 149999), 'apple', 'pear'), 0, '{}', '2022-01-31T12:00:00.000Z' FROM n"
        )
    seen, pages, path = list[str](), list[str](), "/ui/messages?query=apple"
    while path:
        pages.append(shown(web, path))
        seen += re.findall(r'href="/ui/messages/(\d+)"', pages[-1])
        older = re.search(r'href="([^"]+)">Search older messages', pages[-1])
        path = f"/ui/messages{html.unescape(older[1])}" if older else ""
    assert (seen, len(pages)) == (["149999", "5"], 2)
    none = shown(web, "/ui/messages?query=plum")
    assert re.search(r"No match so far, searching back to message 49\d{3}\.", none) and "Search older messages" in none


def test_sessions_are_listed_and_ended(web: httpx.Client) -> None:
    assert "No sessions yet" in shown(web, "/ui/sessions")
    web.post("/ui/chat/channels/1/participants", data={"user": "1", "connect": "yes"})
    assert "Active</span>" in shown(web, "/ui/sessions")
    assert web.post("/ui/sessions/1/end").headers["location"] == "/ui/sessions"
    assert "Ended</span>" in shown(web, "/ui/sessions")
    assert "No sessions match" in shown(web, "/ui/sessions?state=ACTIVE")
    assert web.get("/ui/sessions?state=LOST").status_code == 400


def test_environment_variables_are_masked_until_they_are_revealed(web: httpx.Client) -> None:
    web.put("/v1/runtimes/nodejs/environment-variables", json={"API_TOKEN": "s3cret-1", "OTHER": "s3cret-2"})
    text = shown(web, "/ui/runtime")
    assert "API_TOKEN" in text
    assert "s3cret" not in text
    text = shown(web, "/ui/runtime?show=API_TOKEN")
    assert ("s3cret-1" in text, "s3cret-2" in text) == (True, False)


def test_requests_are_shown_with_bodies_but_without_secrets(web: httpx.Client) -> None:
    web.post("/v1/users", json={"name": "new<er>", "displayName": "N", "isGuest": False})
    web.get("/v1/users/404")
    web.put("/v1/runtimes/nodejs/environment-variables", json={"API_TOKEN": "s3cret-1"})
    web.get("/v1/runtimes/nodejs")
    assert "s3cret-1" in web.get("/v1//runtimes//nodejs/").text
    web.put("/v1/users/1/secrets/key", json="s3cret-2")
    shown(web, "/ui/users?query=x")
    text = shown(web, "/ui/requests")
    assert "/v1/users/404" in text
    assert "new&lt;er&gt;" in text
    assert "s3cret" not in text
    assert web.headers["authorization"] not in text
    assert "/ui/users?" not in text
    only = shown(web, "/ui/requests?failed=yes")
    assert ("/v1/users/404" in only, "new&lt;er&gt;" in only) == (True, False)


def test_polling_by_ckfunc_is_listed_only_if_it_fails(web: httpx.Client) -> None:
    by_ckfunc = {"user-agent": "ckfunc/1.0"}
    made = web.post("/v1/runtimes/nodejs/functions", json={"type": "user.sent.message", "name": "N"}, headers=by_ckfunc)
    polled = f"/v1/functions/{made.json()['id']}/invocations"
    for _ in range(250):
        web.get(polled, headers=by_ckfunc)
    web.get(f"{polled}?page=1")
    web.get("/v1/functions/404/invocations", headers=by_ckfunc)
    text = shown(web, "/ui/requests")
    assert re.findall(r"(GET|POST) (/v1/\S+) (\d+)", re.sub(r"<[^>]+>", "", text))[:3] == [
        ("GET", "/v1/functions/404/invocations", "404"),
        ("GET", f"{polled}?page=1", "200"),
        ("POST", "/v1/runtimes/nodejs/functions", "200"),
    ]


def test_a_request_can_be_copied_as_a_command(web: httpx.Client) -> None:
    web.post("/v1/users", json={"name": "o'neil"})
    web.get("/v1/users?size=2&name=o%27neil")
    web.put("/v1/users/1/secrets/key", json="s3cret")
    web.post("/v1/imports/users", files={"file": ("u.json", b"[]", "application/json")})
    copied = [html.unescape(command) for command in re.findall(r'data-copy="([^"]+)"', shown(web, "/ui/requests"))]
    words = [shlex.split(command)[2:] for command in copied if command.startswith("ckfunc api ")]
    assert words[:3] == [
        ["PUT", "/v1/users/1/secrets/key", "--data", "@body.json"],
        ["GET", "/v1/users?size=2&name=o%27neil"],
        ["POST", "/v1/users", "--data", '{"name":"o\'neil"}'],
    ]
    assert (
        sum(command.startswith("curl ") for command in copied) == len(words) + 1
    )  # The upload has a curl command only.


def test_the_sample_event_can_be_triggered(web: httpx.Client, deploy: Deploy) -> None:
    assert "ckfunc deploy" in shown(web, "/ui/trigger")
    deploy("user.attempted.start_session", "function handleEvent(event: any) { return event.username + '!' }")
    text = shown(web, "/ui/trigger")
    assert "&#34;username&#34;" in text
    answer = web.post("/ui/trigger", data={"type": "user.attempted.start_session", "event": '{"username": "me"}'})
    path = answer.headers["location"]
    until = time.monotonic() + 60
    while "Succeeded" not in (text := shown(web, path)):
        assert time.monotonic() < until
        time.sleep(0.02)
    assert "&#34;me!&#34;" in text
    assert web.post("/ui/trigger", data={"type": "call.ended", "event": "{}"}).status_code == 400
    assert web.post("/ui/trigger", data={"type": "user.attempted.start_session", "event": "no"}).status_code == 400
