"""Files that clients upload over HTTP."""

from __future__ import annotations

import json

import httpx
import pytest
from support.talk import Talk

PNG = b"\x89PNG\r\n\x1a\nnot really"


def grant(talk: Talk) -> dict[str, str]:
    return {"grant": talk.bob.read(talk.bob.user["_relays"]["writeFileAccessGrant"])["grant"]}


def test_a_file_is_uploaded_and_downloaded(talk: Talk, anyone: httpx.Client) -> None:
    headers = {**grant(talk), "origin": "http://localhost:5173"}
    fields = {"groupTag": json.dumps("g1"), "properties": json.dumps({"a": 1})}
    stream = talk.bobs["_streams"]["messages"]
    answer = anyone.post(stream, files={"file": ("a.png", PNG, "image/png")}, data=fields, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    sent = answer.json()
    assert (sent["type"], sent["groupTag"], sent["properties"], sent["user"]["name"]) == ("FILE", "g1", {"a": 1}, "bob")
    assert talk.ann.event("channel.message.created") == sent
    read = talk.ann.read(talk.ann.user["_relays"]["readFileAccessGrant"])["grant"]
    assert anyone.get(f"{sent['file']['url']}?grant={read}").content == PNG


def test_files_can_be_uploaded_as_replies(talk: Talk, anyone: httpx.Client) -> None:
    parent = talk.say("picture?")
    file = {"file": ("a.txt", b"here", "text/plain")}
    sent = anyone.post(parent["_streams"]["replies"], files=file, headers=grant(talk)).json()
    assert (sent["nestedLevel"], sent["file"]["name"]) == (1, "a.txt")
    assert talk.ann.event("thread.message.created") == sent
    thread = talk.ann.do(talk.channel["_actions"]["createThread"], {"name": "files"})
    sent = anyone.post(thread["_streams"]["messages"], files=file, headers=grant(talk)).json()
    assert talk.ann.event("thread.message.created") == sent


def test_a_display_picture_is_uploaded(talk: Talk, anyone: httpx.Client) -> None:
    stream = talk.bob.user["_streams"]["displayPicture"]
    user = anyone.post(stream, files={"file": ("me.png", PNG, "image/png")}, headers=grant(talk)).json()
    assert anyone.get(user["displayPictureUrl"]).content == PNG
    assert talk.bob.event("user.self.updated") == user
    assert talk.ann.event("contact.user.updated")["displayPictureUrl"] == user["displayPictureUrl"]


@pytest.mark.parametrize("wrong", ["", "write", "write-1-x", "write--", "read-2-abc", "write-99999-abc", "é"])
def test_uploads_require_the_grant_of_an_open_session(talk: Talk, anyone: httpx.Client, wrong: str) -> None:
    stream = talk.bobs["_streams"]["messages"]
    answer = anyone.post(stream, files={"file": ("a", b"a")}, headers={"grant": wrong.encode()})
    assert answer.status_code == 403
    read = talk.bob.read(talk.bob.user["_relays"]["readFileAccessGrant"])["grant"]
    assert anyone.post(stream, files={"file": ("a", b"a")}, headers={"grant": read}).status_code == 403


def test_a_grant_is_only_valid_for_the_channels_of_its_user(talk: Talk, anyone: httpx.Client) -> None:
    private = talk.ann.do(talk.ann.user["_actions"]["createChannel"], {"type": "PRIVATE", "name": "mine"})
    answer = anyone.post(private["_streams"]["messages"], files={"file": ("a", b"a")}, headers=grant(talk))
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://localhost:5173", 200), ("http://127.0.0.1:3000", 200), ("https://evil.example", 403)],
)
def test_only_pages_of_this_machine_may_upload(talk: Talk, anyone: httpx.Client, origin: str, status: int) -> None:
    asked = {"origin": origin, "access-control-request-method": "POST", "access-control-request-headers": "grant"}
    stream = talk.bobs["_streams"]["messages"]
    answer = anyone.options(stream, headers=asked)
    assert answer.status_code == status
    assert ("access-control-allow-origin" in answer.headers) == (status == 200)
    sent = anyone.post(stream, files={"file": ("a", b"a")}, headers={**grant(talk), "origin": origin})
    assert sent.status_code == status
