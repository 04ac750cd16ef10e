"""`ckfunc test add --channel`: a conversation from a channel, read from a target."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.acting import Acting
from support.emulators import cold_emulator
from support.loopback import Loopback, Reply, Request, http_client, serve

from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.services import EmulatorServices
from ckfunc.sandbox.acts import Act, UploadedFile, Verb
from ckfunc.wire.jobs import read_seed

Ckfunc = Callable[..., Any]

SENT = "user.sent.message"
MANIFEST = """\
version: 1
runtime: {environment: {CODE: "${CODE}"}}
functions:
  user.attempted.start_session: {handler: handlers/start.ts}
  user.sent.message: {handler: handlers/answer.ts}
targets:
  local: {emulator: true, environment: {CODE: "4711-0815"}}
  production: {}
"""
START = """\
async function handleEvent(event: any) {
  if (event.authParams.code !== process.env.CODE) throw new Error("wrong code");
  return { known: true };
}
"""
ANSWER = """\
async function handleEvent(event: any, context: any) {
  const { channel, message } = event;
  if (message.type !== "TEXT") return "a file";
  if (!message.body.startsWith("/")) throw new Error(`unknown: ${message.body}`);
  await context.ChatKitty.Channels.sendChannelMessage(channel.id, { type: "TEXT", body: `answer to ${message.body}` });
  return { answered: message.body };
}
"""
DESK = {
    "users": [{"name": "ben@corp.test", "id": 7, "displayName": "Ben Doe"}, {"name": "silent", "id": 9}],
    "channels": [{"name": "desk", "id": 5, "members": ["ben@corp.test", "silent"]}, {"name": "empty"}],
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "project"
    (root / "handlers").mkdir(parents=True)
    (root / "functions.yaml").write_text(MANIFEST)
    (root / "handlers/start.ts").write_text(START)
    (root / "handlers/answer.ts").write_text(ANSWER)
    monkeypatch.setenv("CODE", "0815-secret")
    return root


@contextmanager
def read_only(emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """Serve an emulator as the platform, and refuse everything except GET and token requests."""

    def forwarded(request: Request) -> Reply:
        if request.method != "GET" and request.path != "/oauth/token":
            return Reply(500, {"error": "Written", "message": "this application can only be read"})
        headers = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        with http_client(emulator.url) as client:
            answer = client.request(request.method, request.path, headers=headers, content=request.body)
        return Reply(answer.status_code, answer.json())

    with serve(forwarded) as server:
        monkeypatch.setenv("CHATKITTY_API_URL", server.url)
        monkeypatch.setenv("CHATKITTY_AUTHORIZATION_URL", f"{server.url}/oauth/token")
        monkeypatch.setenv("CHATKITTY_CLIENT_ID", "emulator")
        monkeypatch.setenv("CHATKITTY_CLIENT_SECRET", "emulator")
        yield server


async def an_hour_later(services: EmulatorServices) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    services.database.now = lambda: later


def test_a_channel_becomes_a_passing_conversation_without_changing_the_target(
    ckfunc: Ckfunc, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane, ben = "jane@corp.test", "ben@corp.test"
    with cold_emulator(root / ".ckfunc" / "emulator", seed=read_seed(DESK)) as emulator:
        monkeypatch.setenv("CHATKITTY_TARGET", "local")
        assert ckfunc("-C", root, "deploy", "--target", "local", "--yes").code == 0
        users = Acting(emulator)
        for act in (
            Act(Verb.CONNECTS, jane, data={"code": "4711-0815", "displayName": "Jane"}),
            Act(Verb.CONNECTS, ben, data={"code": "4711-0815"}),
            Act(Verb.JOINS, jane, "desk"),
            Act(Verb.SAYS, ben, "desk", text="/an old message"),
            Act(Verb.SAYS, jane, "desk", text="/help me@mail.test"),
            Act(Verb.REPLIES, ben, "desk", "/help", "I am Ben Doe"),
            Act(Verb.EDITS, ben, "desk", text="never mind"),
            Act(Verb.UPLOADS, jane, "desk", text="a.png", file=UploadedFile("image/png", bytes(9))),
        ):
            users.act(act)
        emulator.within(an_hour_later)  # right after a run, it would count as a message of the function
        users.act(Act(Verb.SENDS, None, "desk", text="we close"))
        with read_only(emulator, monkeypatch) as server:
            ran = ckfunc(
                *("-C", root, "test", "add", "--target", "production"),
                *("--channel", "desk", "--last", "5", "--yes", "--name", "a talk"),
            )
            wrong = [
                ckfunc("-C", root, "test", "add", "--target", "production", "--channel", name, "--yes")
                for name in ("dask", "empty")
            ]
            calls = server.calls()
    assert ran.code == 0, ran.err
    assert all(call == "POST /oauth/token" or call.startswith("GET /v1/") for call in calls)
    assert "it passes with the working copy" in ran.err, ran
    assert [(ran.code, ran.err.splitlines()[0]) for ran in wrong] == [
        (1, "error: there is no channel 'dask'"),
        (1, "error: channel 'empty' has no messages"),
    ]
    text = (root / "tests/conversations.yaml").read_text(encoding="utf-8")
    for detail in ("corp.test", "jane", "Jane", "Ben", "mail.test", "4711"):
        assert detail not in text + ran.out + ran.err
    (case,) = yaml.safe_load(text)["cases"]
    assert case["name"] == "a talk"
    assert [user["id"] for user in case["data"]["users"]] == [7, 9, 10]
    assert case["data"]["channels"][0]["members"] == [user["name"] for user in case["data"]["users"]]
    steps = case["conversation"]
    assert [next(verb.value for verb in Verb if verb in step) for step in steps] == [
        *("connects", "says", "connects", "says", "uploads", "waits", "sends")
    ]
    says, unknown, uploads = steps[1], steps[3], steps[4]
    assert says["says"].startswith("/help address-")
    assert says["expect"]["messages"] == [{"system": True, "body": f"answer to {says['says']}"}]
    assert says["expect"]["functions"] == [{"type": SENT, "result": {"answered": says["says"]}}]
    assert unknown["expect"]["functions"][0]["error"].startswith("unknown: I am Person ")
    assert (uploads["uploads"], uploads["content_type"], uploads["size"]) == ("a.png", "image/png", 9)
    assert uploads["expect"]["functions"] == [{"type": SENT, "result": "a file"}]
