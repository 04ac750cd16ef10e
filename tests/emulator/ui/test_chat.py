"""The chat page: several users in one channel, and the functions that ran."""

from __future__ import annotations

import re
import time

import httpx
import pytest

from .conftest import Deploy

PNG = b"\x89PNG\r\n\x1a\n" + b"0" * 30


@pytest.fixture
def web(client: httpx.Client, form_key: str, room: dict[str, int]) -> httpx.Client:
    """A browser on the chat page, which sends the key with its forms."""
    assert room["ann"] == 1
    client.headers["x-form-key"] = form_key
    return client


def say(web: httpx.Client, user: int, body: str, **fields: str) -> httpx.Response:
    return web.post("/ui/chat/channels/1/messages", data={"user": str(user), "body": body, **fields})


def change(web: httpx.Client, message: int, user: int, **fields: str) -> httpx.Response:
    return web.post(f"/ui/chat/messages/{message}", data={"user": str(user), **fields})


def chat(web: httpx.Client, query: str = "channel=1") -> str:
    answer = web.get(f"/ui/chat?{query}")
    assert answer.status_code == 200, answer.text
    return answer.text


def test_sample_users_can_be_added_if_there_are_no_channels(client: httpx.Client, form_key: str) -> None:
    assert "There is no channel yet" in client.get("/ui/chat").text
    assert client.post("/ui/chat/sample", data={"form-key": form_key}).headers["location"] == "/ui/chat"
    assert "There is no channel yet" not in client.get("/ui/chat").text


def test_a_message_is_shown_to_its_author_and_to_another_member(web: httpx.Client, room: dict[str, int]) -> None:
    assert say(web, room["ann"], "Hello").status_code == 303
    text = chat(web)
    assert text.count('class="text" dir="auto">Hello<') == 2
    assert text.count('<article class="cell own author">') == 1
    assert text.count('<article class="cell">') == 1
    assert "1 unread" in text
    message = web.get("/v1/messages/1").json()
    assert (message["body"], message["type"], message["user"]["name"]) == ("Hello", "TEXT", "ann")


def test_messages_of_a_seed_are_shown_in_their_order(client: httpx.Client) -> None:
    messages = [{"body": f"Message {number}"} for number in range(3)]
    channel = {"name": "lobby", "members": ["ann"], "messages": messages}
    client.post("/emulator/seed", json={"users": [{"name": "ann"}], "channels": [channel]}).raise_for_status()
    shown = re.findall(r">(Message \d)<", chat(client))
    assert shown == ["Message 0", "Message 1", "Message 2"]


def test_up_to_four_selected_users_are_shown(web: httpx.Client, room: dict[str, int]) -> None:
    text = chat(web, "channel=1&" + "&".join(f"as={user_id}" for user_id in (*room.values(), room["ann"])))
    assert "columns-4" in text
    assert "Not a member of this channel" in text
    assert web.get("/ui/chat?channel=1&as=99").status_code == 404


def test_a_user_must_join_a_channel_before_sending_messages(web: httpx.Client, room: dict[str, int]) -> None:
    assert say(web, room["dee"], "Hello").status_code == 403
    path = "/ui/chat/channels/1/participants"
    assert web.post(path, data={"user": str(room["dee"]), "join": "yes"}).status_code == 303
    assert say(web, room["dee"], "Hello").status_code == 303


def test_receipts_reactions_and_deletions_follow_the_rules_for_clients(web: httpx.Client, room: dict[str, int]) -> None:
    ann, bob = room["ann"], room["bob"]
    say(web, ann, "Hello")
    assert change(web, 1, bob, read="yes").status_code == 303
    assert re.search(r"Read by\s+<span[^>]*>Bob</span>", chat(web))
    assert "unread" not in chat(web).replace('name="unread"', "").replace("Mark as unread", "")
    change(web, 1, bob, unread="yes")
    assert "1 unread" in chat(web)
    change(web, 1, bob, react="👍")
    assert web.get("/v1/messages/1").json()["reactions"][0]["emoji"]["character"] == "👍"
    assert 'class="chip mine"' in chat(web)
    change(web, 1, bob, react=":thumbsup:")  # The same emoji again removes the reaction.
    assert not web.get("/v1/messages/1").json().get("reactions")
    assert change(web, 1, bob, delete="yes").status_code == 403
    assert change(web, 1, ann, delete="yes").status_code == 303
    assert web.get("/v1/messages/1").status_code == 404
    assert change(web, 1, ann).status_code == 404


def test_a_thread_shows_a_message_with_its_replies(web: httpx.Client, room: dict[str, int]) -> None:
    say(web, room["ann"], "Question")
    say(web, room["ann"], "Something else")
    assert say(web, room["bob"], "Answer", thread="1").status_code == 303
    text = chat(web, "channel=1&thread=1")
    assert "Replies to message 1" in text
    assert ("Question" in text, "Answer" in text, "Something else" in text) == (True, True, False)
    assert "1 reply" in chat(web)


def test_an_image_is_shown_and_another_file_is_linked(web: httpx.Client, room: dict[str, int]) -> None:
    for name, kind, content in (("a.png", "image/png", PNG), ("b.svg", "image/svg+xml", b"<svg onload='x()'/>")):
        files = {"file": (name, content, kind)}
        answer = web.post("/ui/chat/channels/1/messages", data={"user": str(room["ann"])}, files=files)
        assert answer.status_code == 303, answer.text
    text = chat(web)
    (image,) = set(re.findall(r'<img class="attachment" src="([^"]+)"', text))
    assert web.get(image).content == PNG
    assert "b.svg</a>" in text
    assert say(web, room["ann"], "  ").status_code == 400


def test_a_javascript_url_is_not_shown_as_a_link(web: httpx.Client, room: dict[str, int]) -> None:
    file = {"url": "javascript:alert(1)", "name": "click me", "contentType": "text/html", "size": 1}
    made = web.post("/v1/channels/1/messages", json={"type": "FILE", "user": {"username": "ann"}, "file": file})
    assert made.status_code == 200, made.text
    text = chat(web)
    assert "click me" in text
    assert "javascript:" not in text


def test_a_connected_user_is_present_until_disconnected(web: httpx.Client, room: dict[str, int]) -> None:
    path, user = "/ui/chat/channels/1/participants", str(room["ann"])
    assert web.post(path, data={"user": user, "connect": "yes"}).status_code == 303
    assert "In the channel" in chat(web)
    (session,) = web.get("/v1/user-sessions?state=ACTIVE").json()["_embedded"]["sessions"]
    assert session["user"]["name"] == "ann"
    assert web.post(path, data={"user": user, "disconnect": "yes"}).status_code == 303
    assert "In the channel" not in chat(web)
    assert "Online" not in chat(web)


def test_a_function_that_denies_a_session_keeps_the_user_offline(
    web: httpx.Client, room: dict[str, int], deploy: Deploy
) -> None:
    deploy("user.attempted.start_session", "function handleEvent() { throw new Error('not today') }")
    answer = web.post("/ui/chat/channels/1/participants", data={"user": str(room["ann"]), "connect": "yes"})
    assert answer.status_code == 403
    assert "not today" in answer.text
    text = chat(web)
    assert "In the channel" not in text
    assert "user.attempted.start_session" in text


def test_function_runs_are_shown_between_the_messages(web: httpx.Client, room: dict[str, int], deploy: Deploy) -> None:
    number = deploy(
        "user.sent.message",
        "function handleEvent(event: any) {\n  console.log('saw', event.message.body);\n  throw new Error('no');\n}",
    )
    say(web, room["ann"], "first")
    until = time.monotonic() + 60
    while "Failed" not in (text := chat(web)):
        assert time.monotonic() < until
        time.sleep(0.02)
    say(web, room["bob"], "second")
    text = chat(web)
    assert text.index(">first<") < text.index('id="run-1"') < text.index(">second<")
    assert "saw first" in text
    assert f"/ui/functions/{number}/versions/1#L3" in text


def test_hostile_messages_and_names_are_escaped(web: httpx.Client, room: dict[str, int]) -> None:
    hostile = "<img src=x onerror=alert(1)>\"'\u202e"
    web.patch(f"/v1/users/{room['ann']}", json={"displayName": hostile})
    say(web, room["ann"], hostile)
    text = chat(web)
    assert "<img src=x" not in text
    assert "\u202e" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


def test_forms_redirect_to_the_page_that_sent_them(web: httpx.Client, room: dict[str, int]) -> None:
    for header, given, wanted in (
        ("referer", "{}/ui/chat?channel=1&as=2", "/ui/chat?channel=1&as=2"),
        ("hx-current-url", "{}/ui/chat?thread=1", "/ui/chat?thread=1"),
        ("referer", "http://evil.example/ui/chat", "/ui/chat"),
        ("referer", "{}//evil.example", "/ui/chat"),
    ):
        base = str(web.base_url).rstrip("/")
        answer = web.post(
            "/ui/chat/channels/1/messages",
            data={"user": str(room["ann"]), "body": "x"},
            headers={header: given.format(base)},
        )
        assert answer.headers["location"] == wanted


def test_a_long_conversation_is_paged_and_stays_small(web: httpx.Client, room: dict[str, int]) -> None:
    for number in range(35):
        say(web, room["ann"], f"{number:03} " + "long " * 1000)
    text = chat(web)
    assert len(text.encode()) < 200_000
    assert "034 long" in text
    assert "003 long" not in text
    older = re.search(r'href="([^"]+)">Older messages', text)
    assert older is not None
    assert "003 long" in web.get(older[1].replace("&amp;", "&")).text
