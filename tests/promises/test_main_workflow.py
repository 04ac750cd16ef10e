"""The main workflow on the embedded emulator: deploy, trigger and logs, in real Node."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.commands import Command

TYPE = "user.attempted.start_session"


@pytest.fixture
def local(project: Path) -> Path:
    """The project, with the emulator as its default target."""
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    return project


def test_a_project_can_be_deployed_and_triggered_and_its_log_read(ckfunc: Callable[..., Any], local: Path) -> None:
    planned = ckfunc("-C", local, "diff", "--exit-code")
    assert planned.code == 3
    assert "Plan: 1 to create" in planned.out
    deployed = ckfunc("-C", local, "deploy")
    assert deployed.code == 0
    assert "1 created" in deployed.out
    assert ckfunc("-C", local, "diff", "--exit-code").code == 0
    ran = ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane", "authParams": {}}')
    assert ran.code == 0
    assert "Hello jane" in ran.out
    assert "session allowed" in ran.out
    logged = ckfunc("-C", local, "logs", "--json")
    (line,) = logged.out.splitlines()
    entry = json.loads(line)
    assert (entry["type"], entry["status"], entry["result"]) == (TYPE, "SUCCEEDED", {"payload": "Hello jane"})


def test_an_embedded_emulator_waits_for_functions_that_an_event_triggers(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    (local / "handlers/start.ts").write_text("""
        async function handleEvent(event: any, context: any) {
          const { data: user } = await context.ChatKitty.Users.createUser({ name: event.username, displayName: "J" });
          const { data: channel } = await context.ChatKitty.Channels.createChannel({ type: "PUBLIC", name: "desk" });
          await context.ChatKitty.Channels.addChannelMember(channel.id, { id: user.id });
          await context.ChatKitty.Channels.sendChannelMessage(channel.id, { type: "TEXT", body: "welcome" });
        }""")
    (local / "handlers/notify.ts").write_text("""
        async function handleEvent() {
          await new Promise((done) => setTimeout(done, 1500));
          return "told";
        }""")
    manifest = local / "functions.yaml"
    entry = "  user.received.notification:\n    handler: handlers/notify.ts\n"
    manifest.write_text(manifest.read_text().replace("targets:", entry + "targets:"))
    assert ckfunc("-C", local, "deploy").code == 0
    ran = ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}')
    assert ran.code == 0, ran.out + ran.err
    last = json.loads(ckfunc("-C", local, "logs", "--json", "user.received.notification").out)
    assert (last["status"], last["result"]) == ("SUCCEEDED", {"payload": "told"})


def test_a_function_that_throws_denies_the_session_and_exits_1(ckfunc: Callable[..., Any], local: Path) -> None:
    (local / "handlers/start.ts").write_text(
        "function handleEvent(event: any) {\n  console.log('about to refuse');\n  throw new Error('not you');\n}\n"
    )
    assert ckfunc("-C", local, "deploy").code == 0
    ran = ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}')
    assert ran.code == 1
    assert "session denied" in ran.out
    assert "Error: not you" in ran.out
    assert ":3:9" in ran.out
    assert "about to refuse" in ran.out
    failed = ckfunc("-C", local, "logs", "--status", "failed", "-n", "5")
    assert "not you" in failed.out
    assert ckfunc("-C", local, "logs", "--status", "succeeded").out == ""


def test_a_syntax_error_is_reported_with_its_location_and_nothing_is_deployed(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    (local / "handlers/start.ts").write_text("function handleEvent(event: any) {\n  return 1 +;\n}\n")
    ran = ckfunc("-C", local, "deploy")
    assert ran.code == 1
    assert "handlers/start.ts:2:13: " in ran.err
    assert ckfunc("-C", local, "logs").code == 0
    assert ckfunc("-C", local, "diff", "--exit-code").code == 3


def test_an_event_can_be_read_from_a_file_or_standard_input(
    ckfunc: Callable[..., Any], local: Path, tmp_path: Path
) -> None:
    assert ckfunc("-C", local, "deploy").code == 0
    event = tmp_path / "event.json"
    event.write_text('{"username": "from a file"}')
    assert "Hello from a file" in ckfunc("-C", local, "trigger", TYPE, "--data", f"@{event}").out
    answered = ckfunc("-C", local, "--json", "trigger", TYPE, "--data", f"@{event}")
    assert json.loads(answered.out)["invocation"]["result"] == {"payload": "Hello from a file"}


def test_an_event_without_a_function_exits_0(ckfunc: Callable[..., Any], local: Path) -> None:
    ran = ckfunc("-C", local, "trigger", "call.ended")
    assert ran.code == 0
    assert "nothing ran" in ran.err


def test_an_event_cannot_be_fired_on_the_real_platform(ckfunc: Callable[..., Any], project: Path) -> None:
    ran = ckfunc("-C", project, "trigger", TYPE)
    assert ran.code == 1
    assert "--target local" in ran.err


def test_a_protected_target_needs_yes_without_a_terminal(ckfunc: Callable[..., Any], local: Path) -> None:
    manifest = local / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("{emulator: true}", "{emulator: true, protected: true}"))
    refused = ckfunc("-C", local, "deploy")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert ckfunc("-C", local, "diff", "--exit-code").code == 3
    assert ckfunc("-C", local, "deploy", "--yes").code == 0
    assert ckfunc("-C", local, "diff", "--exit-code").code == 0


def test_diff_and_deploy_can_print_json(ckfunc: Callable[..., Any], local: Path) -> None:
    planned = json.loads(ckfunc("-C", local, "--json", "diff").out)
    assert planned["summary"]["create"] == 1
    report = json.loads(ckfunc("-C", local, "deploy", "--json").out)
    assert report["ok"] is True
    assert report["items"][0]["new_version"] == 1


posix = pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")


@posix
def test_watch_deploys_on_save_streams_logs_and_exits_cleanly(ckfunc: Callable[..., Any], local: Path) -> None:
    handler = local / "handlers/start.ts"
    good = handler.read_text()
    with ExitStack() as commands:
        emulator = commands.enter_context(Command("-C", local, "emulator", "--port", "0"))
        emulator.until("ready http://127.0.0.1:")  # otherwise the watch might start its own
        watch = commands.enter_context(Command("-C", local, "watch"))
        watch.until("1 created")
        handler.write_text(good.replace("Hello", "Good day"))
        watch.until("v1 → v2")
        assert "Good day jane" in ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}').out
        watch.until("Good day jane")
        # A broken handler is reported with its location and not deployed.
        handler.write_text("function handleEvent(event: any) {\n  return 1 +;\n}\n")
        watch.until("handlers/start.ts:2:13")
        assert "Good day" in ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}').out
        # An invalid manifest is reported, and the watch continues after it is fixed.
        manifest = local / "functions.yaml"
        text = manifest.read_text()
        handler.write_text(good)
        watch.until("v2 → v3")
        manifest.write_text(text + "nonsense: 1\n")
        watch.until("nonsense")
        manifest.write_text(text.replace("handler: handlers/start.ts", "handler: handlers/other.ts"))
        (local / "handlers/other.ts").write_text(good.replace("Hello", "Howdy"))
        watch.until("v3 → v4")
        assert "Howdy jane" in ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}').out
        # Touching a file or saving the same content deploys nothing.
        (local / "handlers/other.ts").write_text(good.replace("Hello", "Howdy"))
        assert watch.interrupt() == 130
        assert "Traceback" not in "".join(watch.said)
        assert "v4 → v5" not in "".join(watch.said)
        assert emulator.interrupt() == 0
        assert "Traceback" not in "".join(emulator.said)


@posix
def test_logs_follow_prints_new_invocations_and_exits_130(ckfunc: Callable[..., Any], local: Path) -> None:
    with Command("-C", local, "emulator", "--port", "0") as emulator:
        emulator.until("ready")
        assert ckfunc("-C", local, "deploy").code == 0
        with Command("-C", local, "logs", "-f", TYPE) as logs:
            logs.until("following")
            time.sleep(0.3)  # the line is printed before the first poll, which finds the older invocations
            ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}')
            logs.until("Hello jane")
            assert logs.interrupt() == 130
            assert "Traceback" not in "".join(logs.said)


@posix
def test_a_closed_pipe_ends_the_command_quietly(ckfunc: Callable[..., Any], local: Path) -> None:
    assert ckfunc("-C", local, "deploy").code == 0
    for _ in range(3):
        ckfunc("-C", local, "trigger", TYPE, "--data", '{"username": "jane"}')
    logs = shlex.join([sys.executable, "-m", "ckfunc", "-C", str(local), "logs", "--json"])
    line = f"{logs} | head -n 1; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


@posix
def test_an_emulator_on_a_port_in_use_fails_with_a_hint(
    ckfunc: Callable[..., Any], local: Path, tmp_path: Path
) -> None:
    with Command("-C", local, "emulator", "--port", "0") as emulator:
        port = emulator.until("ready").strip().rpartition(":")[2]
        taken = ckfunc("-C", local, "emulator", "--ephemeral", "--port", port)
        assert taken.code == 1
        assert port in taken.err
        again = ckfunc("-C", local, "emulator", "--port", "0")
        assert again.code == 1
        assert "http://127.0.0.1:" in again.err
        assert "hint: " in again.err


def test_a_handler_without_handle_event_is_refused_before_anything_is_written(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    (local / "handlers/start.ts").write_text("export const nothing = 1;\n")
    ran = ckfunc("-C", local, "deploy")
    assert ran.code == 1
    assert "handlers/start.ts:1:1: " in ran.err
    assert "handleEvent" in ran.err


@posix
@pytest.mark.slow
def test_watch_waits_for_an_unreachable_platform_and_then_deploys(local: Path) -> None:
    handler = local / "handlers/start.ts"
    good = handler.read_text()
    with Command("-C", local, "emulator", "--port", "0") as first:
        port = first.until("ready").strip().rpartition(":")[2]
        with Command("-C", local, "watch", "--no-logs") as watch:
            watch.until("1 created")
            assert first.interrupt() == 0
            handler.write_text(good.replace("Hello", "Later"))
            watch.until("trying again in")
            with Command("-C", local, "emulator", "--port", port) as second:
                second.until("ready")
                watch.until("v1 → v2")
                assert watch.interrupt() == 130
                assert second.interrupt() == 0


@posix
def test_watch_waits_for_a_deleted_handler_to_reappear(local: Path) -> None:
    handler = local / "handlers/start.ts"
    good = handler.read_text()
    with Command("-C", local, "watch", "--no-logs") as watch:
        watch.until("1 created")
        handler.unlink()
        watch.until("functions.yaml:4:14: ")
        watch.until("Waiting for changes")
        temporary = local / "handlers/start.ts.tmp"
        temporary.write_text(good.replace("Hello", "Back"))
        temporary.replace(handler)
        watch.until("v1 → v2")
        assert watch.interrupt() == 130


@posix
def test_watch_does_not_switch_to_a_parent_project_if_the_manifest_disappears(
    ckfunc: Callable[..., Any], local: Path
) -> None:
    inner = local / "inner"
    assert ckfunc("init", inner).code == 0
    with Command("-C", inner, "watch", "--no-logs") as watch:
        watch.until("1 created")
        (inner / "functions.yaml").rename(inner / "away.yaml")
        watch.until(f"there is no functions.yaml in {inner}")
        watch.until("Waiting for changes")
        (inner / "away.yaml").rename(inner / "functions.yaml")
        watch.until("no changes to deploy")
        assert watch.interrupt() == 130
    assert "v1 → v2" not in "".join(watch.said)
