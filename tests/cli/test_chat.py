"""`ckfunc chat`, with a real emulator: in a pipe, on a terminal, and while the emulator is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli.conftest import Ckfunc
from support.calls import answered, function, items, send
from support.emulators import cold_emulator
from support.json_outputs import require_documented
from support.killable import Killable
from support.terminals import on_terminal

from ckfunc.chat.client import ChannelChoice, ChatClient
from ckfunc.chat.connection import ChatLogin
from ckfunc.chat.events import ChatEvent, MessageEvent, SessionEvent

pytestmark = pytest.mark.usefixtures("measured_children")
posix = pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
SEED = {
    "users": [{"name": "jane"}, {"name": "bob"}],
    "channels": [
        {"name": "support", "members": ["jane", "bob"], "messages": [{"user": "bob", "body": "earlier"}]},
        {"name": "lobby"},
        {"name": "secret", "type": "PRIVATE", "members": ["bob"]},
    ],
}


@dataclass(frozen=True)
class World:
    """An emulator with two users and three channels."""

    url: str
    http: httpx.Client

    def chat(self, *args: str, lines: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        """Send lines to a chat through a pipe."""
        command = [sys.executable, "-m", "ckfunc", "chat", "--url", self.url, *args]
        return subprocess.run(
            command, input=lines, capture_output=True, encoding="utf-8", check=False, timeout=100, **options
        )

    def events(self, *args: str, lines: str = "", **options: Any) -> list[dict[str, Any]]:
        """Send lines to a chat through a pipe, and return the events."""
        done = self.chat(*args, "--json", lines=lines, **options)
        assert (done.returncode, done.stderr) == (0, "")
        found = [json.loads(line) for line in done.stdout.splitlines()]
        require_documented("chat", *found)
        return found


@pytest.fixture
def world() -> Iterator[World]:
    with cold_emulator(None) as emulator, httpx.Client(base_url=emulator.url, trust_env=False, timeout=30) as client:
        token = client.post("/oauth/token", auth=("emulator", "emulator"), data={"grant_type": "client_credentials"})
        client.headers["authorization"] = f"Bearer {token.json()['access_token']}"
        answered(client.post("/emulator/seed", json=SEED))
        yield World(emulator.url, client)


def of(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["event"] == kind]


def test_each_line_of_a_pipe_is_a_message_or_a_command(world: World, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("some text")
    first = "hello\n\n//slash\n/react tada\n/file note.txt\n/who\n/read\nlast without an end"
    found = world.events("--as", "jane", "--channel", "support", lines=first, cwd=tmp_path)
    messages = of(found, "message")
    assert [(message["user"], message["earlier"], message.get("body")) for message in messages] == [
        ("bob", True, "earlier"),
        ("jane", False, "hello"),
        ("jane", False, "/slash"),
        ("jane", False, None),
        ("jane", False, "last without an end"),
    ]
    assert messages[3]["file"]["name"] == "note.txt"
    assert httpx.get(messages[3]["file"]["url"], trust_env=False).text == "some text"
    reaction = {"event": "reaction", "user": "jane", "emoji": "🎉", "messageId": messages[0]["id"], "removed": False}
    assert of(found, "reaction") == [reaction]
    assert of(found, "members")[0]["users"] == [{"name": "jane", "online": True}, {"name": "bob", "online": False}]
    assert of(found, "read") == [{"event": "read", "user": "jane", "messageId": messages[0]["id"], "unread": False}]
    own, theirs = messages[1]["id"], messages[0]["id"]
    second = f"/reply {theirs} yes\n/edit {own} changed\n/delete {own}\n/unreact 🎉 {theirs}\n"
    found = world.events("--as", "jane", "--channel", "1", "-n", "0", lines=second)
    assert [(message["change"], message.get("parentId"), message["body"]) for message in of(found, "message")] == [
        ("sent", theirs, "yes"),
        ("edited", None, "changed"),
        ("deleted", None, "changed"),
    ]
    assert of(found, "reaction")[0]["removed"] is True


def test_an_invalid_line_is_reported_and_the_other_lines_are_sent(world: World, tmp_path: Path) -> None:
    lines = "/nope\n/file missing.txt\n/react 👍 999\n/edit 1 mine\nstill here\n"
    done = world.chat("--as", "jane", "--channel", "support", "-q", lines=lines, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "error: there is no command /nope",
        "hint: /help lists the commands; // begins a message with /",
        "error: cannot send missing.txt: No such file or directory",
        "error: there is no message 999",
        "error: message 1 was not sent by 'jane'",
    ]
    assert done.stdout.splitlines()[-1].endswith("jane: still here")


def test_messages_from_others_are_printed_on_one_line_with_escapes(world: World) -> None:
    send(world.http, "two\nlines \x1b[31m\u202e", user={"username": "bob"})
    done = world.chat("--as", "jane", "--channel", "support", "-n", "1")
    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert line.endswith("bob: two\\nlines \\u001b[31m\\u202e")
    assert done.stderr.endswith("connected as jane to support (channel 1)\n")


@pytest.mark.slow
def test_function_runs_are_shown_before_the_chat_ends(world: World) -> None:
    script = """\
async function handleEvent(event: any, context: any) {
  if (event.message.body === "fail") throw new Error("I cannot");
  await new Promise((done) => setTimeout(done, 700));
  await context.ChatKitty.Channels.sendChannelMessage(event.channel.id, { type: "TEXT", body: "Thank you" });
}
"""
    function(world.http, "user.sent.message", script)
    done = world.chat("--as", "jane", "--channel", "support", "-n", "0", lines="hello\nfail\n")
    assert done.returncode == 0, done.stderr
    shown = done.stdout
    assert "system: Thank you" in shown
    assert shown.count("user.sent.message v1 SUCCEEDED ") == 1
    assert "user.sent.message v1 FAILED " in shown
    assert " ms  Error: I cannot\n" in shown
    again = world.events("--as", "jane", "--channel", "support", "-n", "0", lines="fail\n")
    (run,) = [function_event for function_event in of(again, "function") if function_event["status"] != "RUNNING"]
    assert (run["type"], run["status"], run["durationMs"] > 0) == ("user.sent.message", "FAILED", True)


@pytest.mark.slow
def test_a_denied_session_shows_the_reason_and_functions_get_parameters(world: World) -> None:
    script = """\
async function handleEvent(event: any) {
  if (event.authParams.token !== "a=b") throw new Error("wrong token: " + Object.keys(event.authParams));
}
"""
    function(world.http, "user.attempted.start_session", script)
    denied = world.chat("--as", "jane", "--param", "tokn=s3cret")
    assert denied.returncode == 1
    assert denied.stdout == ""
    assert denied.stderr == (
        "error: the session of 'jane' was denied: wrong token: tokn\n"
        "hint: `ckfunc logs user.attempted.start_session` shows the runs of the function that decides\n"
    )
    allowed = world.chat("--as", "jane", "--param", "token=a=b", "--channel", "support")
    assert allowed.returncode == 0
    assert "user.attempted.start_session v1 SUCCEEDED" in allowed.stdout
    assert "a=b" not in allowed.stdout + allowed.stderr


@pytest.mark.slow
def test_a_channel_is_opened_joined_or_created(world: World) -> None:
    assert of(world.events("--as", "jane"), "session")[0]["channelId"] == 1
    joined = world.events("--as", "jane", "--channel", "lobby", lines="in the lobby\n")
    assert [message["body"] for message in of(joined, "message")] == ["in the lobby"]
    created = world.events("--as", "guest", "--channel", "brand new", "--create", lines="first\n")
    assert [message["body"] for message in of(created, "message")] == ["first"]
    for channel in ("secret", "3"):
        refused = world.chat("--as", "jane", "--channel", channel)
        assert refused.returncode == 1
        assert f"error: there is no channel '{channel}' that 'jane' can see\n" in refused.stderr
    assert "did you mean support?" in world.chat("--as", "jane", "--channel", "suport").stderr


def test_no_message_is_missed_while_the_chat_opens(world: World) -> None:
    bobs = world.url.replace("127.0.0.1", "localhost")
    with httpx.Client(base_url=bobs, headers=world.http.headers, trust_env=False) as client:
        for number in range(5):
            seen: list[ChatEvent] = []
            chat = ChatClient(ChatLogin("jane"), ChannelChoice("support", history=number % 2), seen.append)  # type: ignore[arg-type]
            first = send(client, "before")["id"]
            stop = threading.Event()
            sent: list[int] = []

            def talk(stop: threading.Event = stop, sent: list[int] = sent) -> None:
                while not stop.is_set():
                    sent.append(send(client, "again")["id"])

            thread = threading.Thread(target=talk)
            thread.start()
            try:
                chat.open(world.url)
                time.sleep(0.05)
            finally:
                stop.set()
                thread.join()
            chat.settle()
            chat.disconnect()
            ids = [event.message.id for event in seen if isinstance(event, MessageEvent)]
            assert ids[-1] == sent[-1]
            known = [first, *sent]
            assert ids == known[known.index(ids[0]) :]
            assert any(isinstance(event, SessionEvent) for event in seen)


@posix
def test_two_users_chat_on_terminals(world: World) -> None:
    with (
        on_terminal("--no-color", "chat", "--url", world.url, "--as", "jane", "--channel", "support") as jane,
        on_terminal("--no-color", "chat", "--url", world.url, "--as", "bob", "--channel", "support") as bob,
    ):
        jane.until(r"jane> ")
        bob.until(r"bob> ")
        jane.press("helo\x7f\x7fllo ünï")
        bob.until(r"jane is typing  bob> ")
        jane.press("\n")
        jane.until(r"jane: hello ünï\r\n")
        bob.until(r"jane: hello ünï\r\n")
        bob.press("/react 👍\n")
        jane.until(r"bob reacted 👍 to \[\d+\]")
        bob.press("\x04")
        assert bob.process.wait(timeout=30) == 0
        jane.until(r"bob is offline")
        jane.press("/quit\n")
        assert jane.process.wait(timeout=30) == 0


@posix
def test_ctrl_c_ends_the_session(world: World) -> None:
    with on_terminal("--no-color", "chat", "--url", world.url, "--as", "jane", "--channel", "support") as jane:
        jane.until(r"jane> ")
        assert items(world.http, "user-sessions") != []
        jane.process.send_signal(signal.SIGINT)
        assert jane.process.wait(timeout=30) == 130
    assert [item["state"] for item in items(world.http, "user-sessions")] == ["ENDED"]


@pytest.fixture
def local(project: Path) -> Path:
    """The project, with the emulator as its default target and data for it."""
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    (project / ".ckfunc/emulator").mkdir(parents=True)
    (project / "seed.yaml").write_text(json.dumps(SEED))
    return project


def emulator_of(project: Path) -> Killable:
    return Killable(project / ".ckfunc/emulator", "--seed", str(project / "seed.yaml"))


@posix
def test_the_chat_reconnects_after_the_emulator_is_killed(local: Path) -> None:
    emulator = emulator_of(local)
    try:
        with on_terminal("--no-color", "-C", local, "chat", "--as", "jane", "--channel", "support") as jane:
            jane.until(r"connected as jane to support")
            jane.until(r"jane> ")
            emulator.kill()
            jane.until(r"disconnected from the emulator")
            jane.press("written meanwhile\n")
            emulator = emulator_of(local)
            jane.until(r"connected again as jane")
            jane.until(r"jane: written meanwhile\r\n")
            jane.press("and more\n")
            jane.until(r"jane: and more\r\n")
            jane.press("\x04")
            assert jane.process.wait(timeout=30) == 0
    finally:
        emulator.kill()


@posix
@pytest.mark.slow
def test_the_chat_ends_if_its_channel_no_longer_exists_after_a_restart(ckfunc: Ckfunc, local: Path) -> None:
    emulator = emulator_of(local)
    try:
        with on_terminal("--no-color", "-C", local, "chat", "--as", "jane", "--channel", "support") as jane:
            jane.until(r"jane> ")
            emulator.kill()
            jane.until(r"disconnected from the emulator")
            assert ckfunc("-C", local, "emulator", "reset", "--yes").code == 0
            (local / "seed.yaml").write_text("users: [{name: jane}]\n")
            emulator = emulator_of(local)
            jane.until(r"error: the chat cannot continue: there is no channel 1 that 'jane' can see")
            assert jane.process.wait(timeout=30) == 1
    finally:
        emulator.kill()


@pytest.mark.slow
def test_a_pipe_fails_if_the_emulator_dies_before_all_replies(ckfunc: Ckfunc, local: Path) -> None:
    forever = "async function handleEvent() { await new Promise((done) => setTimeout(done, 9000)); }\n"
    (local / "handlers/start.ts").write_text(forever)
    manifest = local / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("user.attempted.start_session", "user.sent.message"))
    emulator = emulator_of(local)
    try:
        assert ckfunc("-C", local, "deploy").code == 0
        command = [sys.executable, "-m", "ckfunc", "-C", str(local), "chat", "--as", "jane", "--channel", "support"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as chat:
            assert chat.stdin is not None and chat.stdout is not None and chat.stderr is not None
            chat.stdin.write(b"hello\n")
            chat.stdin.close()
            while b"user.sent.message v1 RUNNING" not in (line := chat.stdout.readline()):
                assert line
            emulator.kill()
            assert chat.wait(timeout=60) == 1
            problem = b"error: the connection to the emulator was lost before everything was answered\n"
            assert chat.stderr.read().endswith(problem)
    finally:
        emulator.kill()


@pytest.mark.slow
def test_a_pipe_fails_if_it_ends_while_the_emulator_is_down(local: Path) -> None:
    emulator = emulator_of(local)
    try:
        command = [sys.executable, "-m", "ckfunc", "-C", str(local), "chat", "--as", "jane", "--channel", "support"]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as chat:
            assert chat.stdin is not None and chat.stderr is not None
            while b"connected as jane" not in (line := chat.stderr.readline()):
                assert line
            emulator.kill()
            while b"disconnected from the emulator" not in (line := chat.stderr.readline()):
                assert line
            chat.stdin.write(b"too late\n")
            chat.stdin.close()
            assert chat.wait(timeout=60) == 1
            assert b"error: the emulator has gone before everything was sent\n" in chat.stderr.read()
    finally:
        emulator.kill()


def test_the_chat_ends_when_its_output_pipe_is_closed(world: World) -> None:
    send(world.http, "one")
    command = [sys.executable, "-m", "ckfunc", "chat", "--url", world.url, "--as", "jane", "--channel", "support"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 0


def test_a_chat_without_an_emulator_is_refused_with_a_hint(ckfunc: Ckfunc, project: Path, tmp_path: Path) -> None:
    def refused(*args: str | Path) -> str:
        ran = ckfunc(*args)
        assert ran.code in (1, 2)
        assert ran.out == ""
        return str(ran.err)

    assert refused("-C", project, "chat", "--as", "jane", "--target", "local").startswith(
        "error: the project's emulator is not running\nhint: start it in another terminal"
    )
    assert "target 'remote' is the real platform" in refused("-C", project, "chat", "--as", "jane")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project / "functions.yaml").unlink()
    assert "or pass the address of an emulator with --url" in refused("-C", elsewhere, "chat", "--as", "jane")
    assert "is not on this machine" in refused("chat", "--as", "jane", "--url", "https://api.chatkitty.com")
    assert "--url is not the address of an emulator" in refused("chat", "--as", "jane", "--url", "http://example.com")
    assert "no emulator answers at http://127.0.0.1:9" in refused("chat", "--as", "jane", "--url", "http://127.0.0.1:9")
    assert "--as is missing" in refused("chat")
    assert "--as takes the name of a user" in refused("chat", "--as", "a\nb")
    assert "--as takes the name of a user" in refused("chat", "--as", "a\u202eb")
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert "no emulator answers" in refused("chat", "--as", family, "--url", "http://127.0.0.1:9")
    assert "--param takes KEY=VALUE" in refused("chat", "--as", "a", "--param", "token")
    assert "--create needs --channel" in refused("chat", "--as", "a", "--create")
