"""Test cases that the dashboard drafts for runs."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
from cli.conftest import MANIFEST, written
from support.calls import function
from support.emulators import cold_emulator
from support.loopback import http_client
from testing.files import read

from ckfunc.testing.drafts import draft_case

START = "user.attempted.start_session"
SCRIPT = "function handleEvent(event: any) { console.log('hi'); return { token: event.token, text: event.text } }"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return written(tmp_path / "project", {"functions.yaml": MANIFEST, "handlers/start.ts": SCRIPT})


@pytest.fixture
def web(root: Path) -> Iterator[httpx.Client]:
    """A client of the project's emulator, in which the function has run once."""
    with cold_emulator(None, draft_case=partial(draft_case, root, {})) as emulator, http_client(emulator.url) as client:
        login = {"grant_type": "client_credentials"}
        token = client.post("/oauth/token", auth=("emulator", "emulator"), data=login).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        client.put("/v1/runtimes/nodejs/environment-variables", json={"KEY": "the-k3y-of-the-test"})
        function(client, "some.event", SCRIPT)
        data = {"token": "the-k3y-of-the-test", "text": '</pre><script>"\u202e', "link": f"{emulator.url}/v1/users/1"}
        client.post("/emulator/trigger", json={"type": "some.event", "data": data}).raise_for_status()
        yield client


def copied(page: str) -> list[str]:
    """Return the texts that the page's buttons copy."""
    return [html.unescape(command) for command in re.findall(r'data-copy="([^"]*)"', page)]


def test_a_run_is_shown_as_the_case_that_test_add_writes(web: httpx.Client, tmp_path: Path) -> None:
    assert 'href="/ui/invocations/1/test"' in web.get("/ui/invocations/1").text
    page = web.get("/ui/invocations/1/test")
    assert page.status_code == 200
    command, case = copied(page.text)
    assert command == "ckfunc test add --invocation 1 --target local"
    assert "k3y" not in page.text
    assert "replaced by" in page.text
    assert "<script>" not in page.text.partition("<main")[2]
    (tmp_path / "cases").mkdir()
    (read_back,) = read(tmp_path / "cases", f"cases:\n{case.replace('some.event', START)}")
    assert (read_back.name, read_back.event["text"]) == ("invocation 1", '</pre><script>"\u202e')
    assert list(read_back.environment) == ["KEY"]
    assert read_back.event["link"] == f"{str(web.base_url).rstrip('/')}/v1/users/1"


@pytest.mark.parametrize(
    ("targets", "option"),
    [
        ("targets: {dev: {emulator: true}, live: {}}\ndefault_target: dev\n", ""),
        ("targets: {live: {}, dev-2: {emulator: true}}\ndefault_target: live\n", " --target dev-2"),
        ("targets: {live: {}, here: {emulator: true}}\n", " --target here"),
        ("", " --target local"),
        ("targets: [\n", ""),
    ],
)
def test_the_command_selects_the_emulator(web: httpx.Client, root: Path, targets: str, option: str) -> None:
    manifest = "version: 1\nfunctions:\n  user.attempted.start_session: {handler: handlers/start.ts}\n"
    (root / "functions.yaml").write_text(manifest + targets)
    assert copied(web.get("/ui/invocations/1/test").text)[0] == f"ckfunc test add --invocation 1{option}"


def test_a_run_that_is_nested_too_deeply_or_does_not_exist_cannot_be_drafted(web: httpx.Client) -> None:
    deep = "x"
    for _ in range(60):
        deep = [deep]  # type: ignore[assignment]
    web.post("/emulator/trigger", json={"type": "some.event", "data": {"text": deep}}).raise_for_status()
    answer = web.get("/ui/invocations/2/test")
    assert answer.status_code == 400
    assert "nested too deeply" in answer.text
    assert web.get("/ui/invocations/77/test").status_code == 404


def test_an_emulator_without_a_project_offers_no_drafts() -> None:
    with cold_emulator(None) as emulator, http_client(emulator.url) as client:
        login = {"grant_type": "client_credentials"}
        token = client.post("/oauth/token", auth=("emulator", "emulator"), data=login).json()["access_token"]
        client.headers["authorization"] = f"Bearer {token}"
        function(client, "some.event", SCRIPT)
        client.post("/emulator/trigger", json={"type": "some.event", "data": {}})
        assert "/ui/invocations/1/test" not in client.get("/ui/invocations/1").text
        assert client.get("/ui/invocations/1/test").status_code == 404
