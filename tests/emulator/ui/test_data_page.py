"""The data page: seeds in YAML or JSON, snapshots, and deletion of all data."""

from __future__ import annotations

import html
import json
import re

import httpx
import pytest

SEED = {
    "users": [{"name": "ann"}, {"name": "b\u202eob"}],
    "channels": [{"name": "desk", "members": ["ann"], "messages": [{"user": "ann", "body": "</textarea><script>"}]}],
}


@pytest.fixture
def web(client: httpx.Client, form_key: str) -> httpx.Client:
    """A browser that sends the key of the dashboard's pages with its forms."""
    client.headers["x-form-key"] = form_key
    return client


def test_the_example_seed_can_be_added_unchanged(web: httpx.Client) -> None:
    found = re.search(r'<textarea name="seed"[^>]*>(.*?)</textarea>', web.get("/ui/data").text, re.DOTALL)
    assert found is not None
    added = web.post("/ui/data", data={"seed": html.unescape(found[1])})
    assert "Added: 2 users, 1 channel, 2 members, 2 messages." in added.text
    assert web.get("/v1/channels/1").json()["name"] == "support"
    assert (
        "Added: nothing, because all of it exists." in web.post("/ui/data", data={"seed": html.unescape(found[1])}).text
    )


def test_an_uploaded_seed_is_added_instead_of_the_text(web: httpx.Client) -> None:
    files = {"file": ("seed.json", json.dumps(SEED).encode(), "application/json")}
    answer = web.post("/ui/data", data={"seed": "users: [{name: other}]"}, files=files)
    assert "Added: 2 users, 1 channel, 1 member, 1 message." in answer.text
    assert [user["name"] for user in web.get("/v1/users").json()["_embedded"]["users"]] == ["ann", "b\u202eob"]
    assert web.post("/ui/data", files={"seed": (None, "users: [{name: other}]")}).status_code == 200


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        ("users:\n  - {nam: ann}\n", "seed:2:6: users[0].nam: a user has no field &#39;nam&#39;"),
        ("users: [", "the indentation and the quotes around here"),
        ("channels: [{name: a, members: [nobody]}]", "nobody"),
        ("- 1", "the seed is an array, not an object"),
    ],
)
def test_a_mistake_in_a_seed_is_explained_and_nothing_is_added(web: httpx.Client, seed: str, message: str) -> None:
    answer = web.post("/ui/data", data={"seed": seed})
    assert answer.status_code == 400, answer.text
    assert message in answer.text
    assert web.get("/v1/users").json()["page"]["totalElements"] == 0
    assert web.post("/ui/data", files={"file": ("x", b"\xff\xfe", "text/plain")}).status_code == 400


def test_adding_a_seed_requires_the_form_key(anyone: httpx.Client) -> None:
    assert anyone.post("/ui/data", data={"seed": "users: [{name: ann}]"}).status_code == 403


def test_snapshots_are_saved_restored_and_deleted(web: httpx.Client) -> None:
    web.follow_redirects = True
    assert "No snapshots." in web.get("/ui/data").text
    shown = web.post("/ui/data/snapshots", data={"name": "empty"})
    assert "Saved snapshot empty." in shown.text
    assert "Replace all data with empty" in shown.text
    refused = web.post("/ui/data/snapshots", data={"name": "empty"})
    assert (refused.status_code, "snapshot &#39;empty&#39; already exists" in refused.text) == (400, True)
    assert web.post("/ui/data/snapshots", data={"name": "empty", "replace": "yes"}).status_code == 200
    web.post("/ui/data", data={"seed": "users: [{name: ann}]"})
    shown = web.post("/ui/data/snapshots/empty/restore")
    assert "Restored snapshot empty." in shown.text
    assert web.get("/v1/users").json()["page"]["totalElements"] == 0
    assert "Deleted snapshot empty." in web.post("/ui/data/snapshots/empty/delete").text
    assert web.post("/ui/data/snapshots/empty/restore").status_code == 404


def test_all_data_is_deleted(web: httpx.Client) -> None:
    web.post("/ui/data", data={"seed": "users: [{name: ann}]"})
    shown = web.post("/ui/data/reset", follow_redirects=True)
    assert "Deleted all data." in shown.text
    assert web.get("/v1/users").json()["page"]["totalElements"] == 0


@pytest.mark.parametrize("path", ["snapshots", "snapshots/one/restore", "snapshots/one/delete", "reset"])
def test_forms_for_all_data_require_the_form_key(anyone: httpx.Client, path: str) -> None:
    assert anyone.post(f"/ui/data/{path}", data={"name": "one"}).status_code == 403
    assert anyone.get("/emulator/snapshots").json() == {"snapshots": []}
