"""The conversation of a channel of the dashboard's chat, saved as a test that passes."""

from __future__ import annotations

import html
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from emulator.conftest import sign_in
from support.emulators import cold_emulator
from support.loopback import http_client

from ckfunc.cli.app import App
from ckfunc.testing.drafts import ConversationDrafter
from ckfunc.testing.running import CaseOptions, run_tests, working_copy

MANIFEST = """\
version: 1
default_target: local
targets:
  local: {emulator: true}
functions:
  user.sent.message: {handler: handlers/answer.ts}
"""
HANDLER = """\
async function handleEvent(event: any, context: any) {
  if (event.message.body === '/help') {
    await context.ChatKitty.Channels.sendChannelMessage(event.channel.id, { type: 'TEXT', body: 'You can ask.' });
  }
  if (event.message.body === '/boom') throw new Error('no luck');
  return 'ok';
}
"""
JANE, BOB = "jane@corp.test", "bob@corp.test"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "handlers").mkdir()
    (tmp_path / "functions.yaml").write_text(MANIFEST)
    (tmp_path / "handlers/answer.ts").write_text(HANDLER)
    return tmp_path


@pytest.fixture(params=["in a project", "alone"])
def web(request: pytest.FixtureRequest, project: Path) -> Iterator[httpx.Client]:
    """Open the dashboard of an emulator that has a channel with messages of two users."""
    data = project / ".ckfunc/emulator"
    data.mkdir(parents=True)
    drafter = ConversationDrafter(project if request.param == "in a project" else None, {}, data, lambda _: None)
    with (
        cold_emulator(data, conversations=lambda: drafter) as emulator,
        http_client(emulator.url) as client,
    ):
        client.headers["authorization"] = f"Bearer {sign_in(client)}"
        client.timeout = httpx.Timeout(120)
        for name, display in ((JANE, "Jane Doe"), (BOB, "Bob Roe")):
            client.post("/v1/users", json={"name": name, "displayName": display, "isGuest": False})
        members = [{"username": JANE}, {"username": BOB}]
        client.post("/v1/channels", json={"type": "PUBLIC", "name": "support", "members": members})
        client.post("/v1/channels", json={"type": "PUBLIC", "name": "empty", "members": members})
        body = {"type": "user.sent.message", "name": "N"}
        made = client.post("/v1/runtimes/nodejs/functions", json=body).json()["id"]
        client.post(f"/v1/functions/{made}/versions", json={"handlerScript": HANDLER})
        found = re.search(r'data-form-key="([^"]+)"', client.get("/").text)
        assert found is not None
        client.headers["x-form-key"] = found[1]
        for user, text in ((1, "/help"), (2, "Jane Doe, write to me@mail.test"), (1, "/boom")):
            sent = client.post("/ui/chat/channels/1/messages", data={"user": str(user), "body": text})
            assert sent.status_code == 303, sent.text
            until = time.monotonic() + 60
            while "RUNNING" in client.get("/v1/functions/1/invocations").text:
                assert time.monotonic() < until
                time.sleep(0.02)
        yield client


def failures(project: Path) -> list[str]:
    with App({}) as app:
        app.settings.directory = project
        copy = working_copy(project, None, {}, app.workspace.bundler())
        result = run_tests(copy, app.toolchain(), CaseOptions([project / "tests"], jobs=1))
    return [miss.message for result in result.results for miss in result.misses]


@pytest.mark.parametrize("web", ["in a project"], indirect=True)
def test_a_conversation_is_added_to_the_tests_and_passes_until_a_handler_changes(
    web: httpx.Client, project: Path
) -> None:
    assert "/ui/chat/channels/1/test" in web.get("/ui/chat?channel=1").text
    assert "Add to tests/conversations.yaml" in web.get("/ui/chat/channels/1/test").text
    added = web.post("/ui/chat/channels/1/test")
    assert added.status_code == 200, added.text
    assert "ckfunc test tests/conversations.yaml --filter" in html.unescape(added.text)
    assert failures(project) == []
    assert web.post("/ui/chat/channels/1/test").status_code == 200
    cases = yaml.safe_load((project / "tests/conversations.yaml").read_text())["cases"]
    assert len({case["name"] for case in cases}) == 2
    (project / "handlers/answer.ts").write_text(HANDLER.replace("You can ask.", "Ask."))
    assert failures(project).count("the expected message is missing") == 2


def test_a_conversation_is_shown_and_downloaded_without_personal_details(web: httpx.Client, project: Path) -> None:
    shown = html.unescape(web.get("/ui/chat/channels/1/test").text)
    file = web.get("/ui/chat/channels/1/test.yaml")
    assert file.headers["content-disposition"] == 'attachment; filename="conversation-1.yaml"'
    for text in (shown, file.text):
        for detail in ("corp.test", "Jane", "Bob", "mail.test"):
            assert detail not in text
    (case,) = yaml.safe_load(file.text)["cases"]
    steps = case["conversation"]
    assert [step.get("says") for step in steps if "says" in step] == [
        "/help",
        "Person 1, write to address-5@example.com",
        "/boom",
    ]
    assert case["data"]["users"][0]["name"] == "person-1@example.com"
    assert "messages" not in case["data"]["channels"][0]
    assert steps[-1]["expect"]["functions"] == [{"type": "user.sent.message", "error": "no luck"}]
    assert not (project / "tests").exists()


@pytest.mark.parametrize("web", ["alone"], indirect=True)
def test_outside_a_project_a_conversation_can_only_be_downloaded(web: httpx.Client) -> None:
    assert "Add to" not in web.get("/ui/chat/channels/1/test").text
    refused = web.post("/ui/chat/channels/1/test")
    assert (refused.status_code, "does not run in a project" in refused.text) == (400, True)


@pytest.mark.parametrize("web", ["in a project"], indirect=True)
def test_a_conversation_that_cannot_be_saved_is_explained(web: httpx.Client, project: Path) -> None:
    assert "this channel has no messages; send some first" in web.get("/ui/chat/channels/2/test").text
    assert web.get("/ui/chat/channels/99/test").status_code == 404
    (project / "functions.yaml").write_text("version: 2\n")
    broken = web.get("/ui/chat/channels/1/test")
    assert (broken.status_code, "functions.yaml:1:" in broken.text) == (400, True)
    del web.headers["x-form-key"]
    assert web.post("/ui/chat/channels/1/test").status_code == 403
