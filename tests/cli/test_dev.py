"""`ckfunc dev`: emulator, watch and logs together, on a terminal with its keys, and in a pipe."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from cli.conftest import Ckfunc
from support.json_outputs import require_documented
from support.terminals import Running, in_pipe, on_terminal, started

pytestmark = pytest.mark.usefixtures("measured_children")
TYPE = "user.attempted.start_session"
GRANT = {"grant_type": "client_credentials"}
HANDLER = "async function handleEvent(event: any) {{ console.log('{word} ' + event.username); return 'ok'; }}\n"


@pytest.fixture
def project(project: Path) -> Path:
    (project / "handlers/start.ts").write_text(HANDLER.format(word="hello"))
    return project


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
def test_dev_deploys_on_save_and_a_key_fires_the_last_event_again(project: Path) -> None:
    with on_terminal("-C", project, "dev", "--port", "0") as dev:
        url = dev.until(r"ready (http://127\.0\.0\.1:\d+)")[1]
        dev.until(r"local .{0,20}1 function at \d\d:\d\d:\d\d.*r again · c clear · q quit")
        dev.press("r")  # nothing has run yet, so this fires a sample
        dev.until(r"firing .{0,12}user\.attempted\.start_session \(a sample\)")
        dev.until(r"hello \S+@")
        dev.until(rf"✓.{{0,8}} {re.escape(TYPE)} [\d.]+ ms")
        event = {"type": TYPE, "data": {"username": "jane", "authParams": {}}}
        assert httpx.post(f"{url}/emulator/trigger", json=event, timeout=30).is_success
        dev.until(r"hello jane")
        (project / "handlers/start.ts").write_text(HANDLER.format(word="goodbye"))
        dev.until(r"v1 → v2")
        dev.until("q quit")
        time.sleep(0.3)
        dev.press("r")
        dev.until(r"goodbye jane")
        (project / "handlers/start.ts").write_text("async function handleEvent( {")
        dev.until(r"error: ")
        dev.until(r"✗ [^\n]*(parse|script)")
        dev.press("c")
        dev.until(r"\x1b\[2J")
        dev.press("q")
        assert dev.process.wait(timeout=30) == 0


def test_the_working_copy_is_deployed_again_after_a_restore_or_reset(project: Path) -> None:
    def functions(url: str) -> list[int]:
        answer = httpx.post(f"{url}/oauth/token", auth=("emulator", "emulator"), data=GRANT)
        headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        found = httpx.get(f"{url}/v1/runtimes/nodejs/functions", headers=headers).json()
        return [function["currentVersionNumber"] for function in found.get("_embedded", {}).get("functions", [])]

    def eventually(url: str, versions: list[int]) -> None:
        until = time.monotonic() + 60
        while (found := functions(url)) != versions:
            assert time.monotonic() < until, found
            time.sleep(0.05)

    with in_pipe("-C", project, "dev", "--port", "0") as dev:
        url = dev.until(r"ready (http://127\.0\.0\.1:\d+)")[1]
        eventually(url, [1])
        assert httpx.put(f"{url}/emulator/snapshots/one").is_success
        (project / "handlers/start.ts").write_text(HANDLER.format(word="goodbye"))
        eventually(url, [2])
        assert httpx.post(f"{url}/emulator/snapshots/one/restore", timeout=60).is_success
        eventually(url, [2])
        event = {"type": TYPE, "data": {"username": "jane", "authParams": {}}}
        assert httpx.post(f"{url}/emulator/trigger", json=event, timeout=60).is_success
        dev.until(r"goodbye jane")
        assert httpx.post(f"{url}/emulator/reset", timeout=60).is_success
        eventually(url, [1])


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
def test_the_status_line_fits_the_terminal_width_and_always_shows_the_keys(project: Path) -> None:
    import fcntl
    import struct
    import termios

    with on_terminal("-C", project, "dev", "--port", "0") as dev:

        def resize(columns: int) -> None:
            fcntl.ioctl(dev.handle, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            dev.process.send_signal(signal.SIGWINCH)  # the terminal sends it only to its own session

        dev.until(r"1 function at \d\d:\d\d:\d\d.*\? keys · t choose · r again · c clear · q quit")
        for columns, keys in ((60, "? keys · r again · q quit"), (50, "? keys · q quit"), (20, "? keys"), (4, "?")):
            resize(columns)
            found = dev.until(rf"\x1b\[(?:2K|J)([^\r\n]*{re.escape(keys)}[^\r\n]*)")[1]
            shown = re.sub(r"\x1b\[[0-9;]*m", "", found)
            assert len(shown) < columns and shown.endswith(keys)
        resize(120)
        dev.until(r"t choose · r again · c clear · q quit")
        dev.press("q")
        assert dev.process.wait(timeout=30) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
@pytest.mark.slow
def test_a_key_shows_the_help_and_another_key_selects_an_event(project: Path) -> None:
    manifest = project / "functions.yaml"
    manifest.write_text(
        manifest.read_text().replace("targets:", "  user.sent.message: {handler: handlers/sent.ts}\ntargets:")
    )
    (project / "handlers/sent.ts").write_text("async function handleEvent() { console.log('was sent'); }\n")
    with on_terminal("-C", project, "dev", "--port", "0") as dev:
        dev.until(r"2 functions at")
        dev.press("?")
        dev.until(r"t\S*  choose an event to fire")
        dev.press("t")
        dev.until(
            rf"1\S*  {re.escape(TYPE)}\S*  \S*a sample.*2\S*  user\.sent\.message.*a sample.*1-2 choose · Esc cancel"
        )
        dev.press("\x1b[C")  # an arrow key: neither `c` nor a choice
        dev.until(r"nothing fired")
        dev.press("t2")
        dev.until(r"firing \S*user\.sent\.message")
        dev.until(r"was sent")
        dev.until(r"✓\S* user\.sent\.message")
        dev.press("t")
        dev.until(r"1\S*  user\.sent\.message.*2\S*  user\.attempted.*3\S*  user\.sent\.message.*1-3 choose")
        dev.press("1")
        dev.until(r"was sent")
        dev.press("q")
        assert dev.process.wait(timeout=30) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
def test_ctrl_c_ends_dev_and_restores_the_terminal(project: Path) -> None:
    import termios

    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    process = started(["-C", project, "dev", "--port", "0"], stdin=theirs, stdout=theirs, stderr=theirs)
    try:
        dev = Running(process, ours)
        dev.until(r"q quit")
        until = time.monotonic() + 30
        while termios.tcgetattr(theirs)[3] == before[3]:  # keys are read soon after they are shown
            assert time.monotonic() < until
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130
        assert termios.tcgetattr(theirs) == before
        assert "Traceback" not in dev.shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
@pytest.mark.parametrize("number", [15, 1])
@pytest.mark.slow
def test_raw_terminal_mode_returns_after_suspension_and_ends_on_a_signal(project: Path, number: int) -> None:
    import termios

    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    process = started(["-C", project, "dev", "--port", "0"], stdin=theirs, stdout=theirs, stderr=theirs)
    try:
        dev = Running(process, ours)
        dev.until(r"no changes|created")
        dev.until(r"q quit")
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        termios.tcsetattr(theirs, termios.TCSANOW, before)  # as a shell does after Ctrl-Z
        process.send_signal(signal.SIGCONT)
        until = time.monotonic() + 30
        while termios.tcgetattr(theirs)[3] == before[3]:
            assert time.monotonic() < until
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(timeout=30) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
def test_the_status_line_shows_no_keys_without_input_and_is_removed_at_exit(project: Path) -> None:
    ours, theirs = os.openpty()
    process = started(["-C", project, "dev", "--port", "0"], stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs)
    try:
        dev = Running(process, ours)
        said = dev.until(r"created.*1 function at \d\d:\d\d:\d\d[^\n]*$")[0]
        assert "quit" not in said
        process.send_signal(signal.SIGINT)
        dev.until(r"\r\x1b\[2K\s*$")
        assert process.wait(timeout=30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_manifest_errors_are_reported_before_anything_starts(ckfunc: Ckfunc, project: Path) -> None:
    (project / "functions.yaml").write_text("version: 1\n")
    refused = ckfunc("-C", project, "dev", "--port", "0")
    assert refused.code == 1 and "there is nothing to deploy" in refused.err and refused.out == ""


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal is a POSIX pseudo terminal here")
def test_the_url_of_the_project_page_is_printed(project: Path) -> None:
    (project / "web").mkdir()
    (project / "web" / "index.html").write_text("<title>Chat</title>", encoding="utf-8")
    with on_terminal("-C", project, "dev", "--port", "0") as dev:
        url = dev.until(r"ready (http://127\.0\.0\.1:\d+)")[1]
        dev.until(rf"chat: .{{0,8}}{re.escape(url)}/web/")
        assert httpx.get(f"{url}/web/", timeout=30).text == "<title>Chat</title>"


def test_dev_prints_plain_lines_in_a_pipe(project: Path) -> None:
    with in_pipe("-C", project, "dev", "--port", "0") as dev:
        url = dev.until(r"^ready (http://127\.0\.0\.1:\d+)\n")[1]
        dev.until(r"1 created")
        event = {"type": TYPE, "data": {"username": "jane", "authParams": {}}}
        assert httpx.post(f"{url}/emulator/trigger", json=event, timeout=30).is_success
        said = dev.until(r".*hello jane")[0]
        assert "\x1b" not in said and "q quit" not in said
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(timeout=30) == 130


def test_the_types_are_updated_with_the_manifest(ckfunc: Ckfunc, project: Path) -> None:
    assert ckfunc("-C", project, "types").code == 0
    manifest, types = project / "functions.yaml", project / ".ckfunc/types"
    with in_pipe("-C", project, "dev", "--port", "0") as dev:
        dev.until(r"1 created")
        manifest.write_text(f"{manifest.read_text()}runtime:\n  environment: {{GREETING: hello}}\n")
        dev.until(r"variable GREETING")
        until = time.monotonic() + 30
        while not any("GREETING" in path.read_text() for path in types.glob("*.d.ts")):
            assert time.monotonic() < until
            time.sleep(0.05)


def test_dev_with_json_prints_one_object_per_event(project: Path) -> None:
    with in_pipe("-C", project, "dev", "--port", "0", "--json") as dev:
        lines = iter(lambda: json.loads(dev.until(r"[^\n]*\n")[0]), None)
        ready, report = next(lines), next(lines)
        url = ready["ready"]
        assert report["ok"] is True
        event = {"type": TYPE, "data": {"username": "jane", "authParams": {}}}
        assert httpx.post(f"{url}/emulator/trigger", json=event, timeout=30).is_success
        ended = next(entry for entry in lines if entry["status"] != "RUNNING")  # a slow run is shown before its end too
        assert ended["result"] == {"payload": "ok"}
    require_documented("dev", ready, report, ended)
    require_documented("watch", report, ended)


def test_dev_uses_an_emulator_that_is_already_running(ckfunc: Ckfunc, project: Path) -> None:
    with in_pipe("-C", project, "emulator", "--port", "0") as emulator:
        url = emulator.until(r"ready (\S+)\n")[1]
        with in_pipe("-C", project, "dev") as dev:
            assert dev.until(r"ready (\S+)\n")[1] == url
            dev.until(r"1 created")
        (project / "seed.yaml").write_text("users: []\n")
        refused = ckfunc("-C", project, "dev", "--seed", project / "seed.yaml")
        assert refused.code == 2 and "already running" in refused.err


def test_a_target_on_the_real_platform_is_refused(ckfunc: Callable[..., Any], project: Path) -> None:
    refused = ckfunc("-C", project, "dev", "--target", "remote")
    assert refused.code == 2 and "target 'remote' is the real platform" in refused.err


@pytest.mark.skipif(sys.platform == "win32", reason="the browser is a shell script")
@pytest.mark.parametrize("command", ["dev", "emulator"])
def test_the_open_option_opens_the_dashboard_in_the_browser(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    with in_pipe("-C", project, command, "--port", "0", "--open") as running:
        url = running.until(r"ready (http://127\.0\.0\.1:\d+)")[1]
        until = time.monotonic() + 60
        while not opened.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
    assert opened.read_text() == f"{url}/\n"


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be sent signals on Windows")
@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGHUP", marks=pytest.mark.slow)])
@pytest.mark.parametrize("command", ["dev", pytest.param("watch", marks=pytest.mark.slow)])
def test_a_signal_ends_dev_and_watch_cleanly(project: Path, command: str, name: str) -> None:
    port = ["--port", "0"] if command == "dev" else []
    with in_pipe("-C", project, "--target", "local", command, *port) as running:
        running.until(rf"{re.escape(TYPE)}.* created")
        assert (project / ".ckfunc/emulator/address.json").exists()
        running.process.send_signal(signal.Signals[name])
        assert running.process.wait(timeout=30) == 0
    assert not (project / ".ckfunc/emulator/address.json").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be sent signals on Windows")
def test_signals_end_runs_in_progress_and_may_be_repeated(project: Path, ckfunc: Ckfunc) -> None:
    (project / "handlers/start.ts").write_text(
        "async function handleEvent() { await new Promise((resolve) => setTimeout(resolve, 6000)); }"
    )
    with in_pipe("-C", project, "--target", "local", "dev", "--port", "0") as dev:
        url = dev.until(r"ready (http://127\.0\.0\.1:\d+)")[1]
        dev.until(rf"{re.escape(TYPE)}.* created")
        event = {"type": TYPE, "data": {"username": "jane"}}
        with ThreadPoolExecutor(1) as others:
            others.submit(httpx.post, f"{url}/emulator/trigger", json=event, timeout=30)
            dev.until("RUNNING")
            for _ in range(3):  # as from a terminal that is closed, and from its shell
                dev.process.send_signal(signal.SIGHUP)
                time.sleep(0.1)
            assert dev.process.wait(timeout=30) == 0
    assert "SUCCEEDED" not in ckfunc("-C", project, "--target", "local", "logs", "--json").out
