"""`ckfunc test` and `ckfunc test add`, with real handlers in real Node."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from support.commands import process_of
from support.loopback import Reply, serve
from support.recorded import recorded as recorded_by
from support.recorded import rows_of

from ckfunc.cli.app import App
from ckfunc.testing.running import run_tests, working_copy

TYPE = "user.attempted.start_session"
SENT = "user.sent.message"

START = """\
let runs = 0;
(globalThis as any).seen ??= 0;
async function handleEvent(event: any, context: any) {
  runs += 1;
  (globalThis as any).seen += 1;
  console.log(`hello ${event.username}`);
  if (event.authParams?.code === process.env.CODE) throw new Error(`denied: ${event.username}`);
  const { page } = (await context.ChatKitty.Users.listUsers()).data;
  const now = event.timed ? Date.now() : 0;
  return { runs, seen: (globalThis as any).seen, users: page.totalElements, now, greeting: process.env.GREETING };
}
"""

ANSWER = """\
import { shout } from "./lib/words";
async function handleEvent(event: any, context: any) {
  if (event.message.body === "boom") shout(null as any);
  const body = shout(event.message.body);
  await context.ChatKitty.Channels.sendChannelMessage(event.channel.id, { type: "TEXT", body });
  return { body, token: event.message.properties?.token };
}
"""

WORDS = "export function shout(text: string): string {\n  return text.toUpperCase();\n}\n"

MANIFEST = f"""\
version: 1
runtime:
  environment: {{CODE: "4711", GREETING: good morning, MISSING: "${{MISSING}}"}}
functions:
  {TYPE}: {{handler: handlers/start.ts}}
  {SENT}: {{handler: handlers/answer.ts}}
targets:
  local: {{emulator: true, environment: {{MISSING: here}}}}
  remote: {{}}
default_target: remote
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "handlers/lib").mkdir(parents=True)
    (root / "tests").mkdir()
    (root / "functions.yaml").write_text(MANIFEST)
    (root / "handlers/start.ts").write_text(START)
    (root / "handlers/answer.ts").write_text(ANSWER)
    (root / "handlers/lib/words.ts").write_text(WORDS)
    return root


def write(root: Path, text: str, name: str = "start.yaml") -> None:
    (root / "tests" / name).write_text(text)


PASSING = f"""\
type: {TYPE}
environment: {{GREETING: good evening}}
cases:
  - name: begins with nobody
    event: {{username: ann, timed: true, authParams: {{}}}}
    now: "2020-02-02T02:02:02Z"
    expect: {{result: {{runs: 1, seen: 1, users: 0, now: 1580608922000, greeting: good evening}}}}
  - name: begins with two
    data: {{users: [{{name: ann}}, {{name: ben}}]}}
    event: {{username: ann, timed: true, authParams: {{}}}}
    environment: {{GREETING: good night}}
    expect:
      result: {{runs: 1, seen: 1, users: 2, now: 1768469400000, greeting: good night}}
      calls: [{{method: GET, path: /users, status: 200}}]
      other_calls: false
  - name: denied
    event: {{username: eve, authParams: {{code: "4711"}}}}
    expect: {{error: "denied: eve", error_matches: "^denied", console: hello eve, calls: []}}
"""

MESSAGES = f"""\
type: {SENT}
cases:
  - name: answered where it was asked
    event:
      user: {{id: 70, name: ann}}
      channel: {{id: 900, type: PUBLIC, name: desk}}
      message: {{id: 5000, body: hi}}
    expect:
      result: {{body: HI}}
      calls: [{{method: POST, path: /channels/900/messages, body: {{body: HI}}, status: 200}}]
  - name: a sample does
    sample: true
    expect: {{result_includes: {{body: "HELLO, IS ANYBODY THERE?"}}}}
"""


def test_each_case_has_its_own_data_clock_environment_and_process(ckfunc: Callable[..., Any], root: Path) -> None:
    write(root, PASSING)
    write(root, MESSAGES, "answer.yaml")
    for jobs in (1, 3):
        ran = ckfunc("-C", root, "test", "--jobs", jobs)
        assert ran.code == 0, ran.out + ran.err
        lines = [re.sub(r" +[\d.]+ m?s$", "", line) for line in ran.out.splitlines()]
        assert lines[:-1] == [
            "tests/answer.yaml",
            "  ✓ answered where it was asked",
            "  ✓ a sample does",
            "tests/start.yaml",
            "  ✓ begins with nobody",
            "  ✓ begins with two",
            "  ✓ denied",
            "",
        ]
        assert ran.out.splitlines()[-1].startswith("5 passed in ")
    assert not (root / ".ckfunc/emulator").exists()


FAILING = f"""\
type: {SENT}
cases:
  - name: wrong in every way
    sample: true
    event: {{message: {{body: hi}}}}
    expect:
      result: {{body: HO, token: null}}
      console: never said
      calls: [{{method: POST, path: /channels/1/messages, body: {{body: HO}}}}]
  - {{name: throws, sample: true, event: {{message: {{body: boom}}}}}}
  - {{name: was to throw, sample: true, expect: {{error: boom}}}}
  - {{name: not now, sample: true, skip: waits for the new API}}
"""


def test_failures_are_shown_with_differences_console_output_and_stack_traces(
    ckfunc: Callable[..., Any], root: Path
) -> None:
    write(root, FAILING)
    ran = ckfunc("-C", root, "test")
    assert ran.code == 1
    assert "  ○ not now (skipped: waits for the new API)" in ran.out
    assert "✗ tests/start.yaml:3 › wrong in every way\n  the result differs\n    - expected  + actual" in ran.out
    assert '    -   "body": "HO",\n' in ran.out
    assert '    +   "body": "HI"\n' in ran.out
    assert "  it did not print 'never said'" in ran.out
    assert "  POST /channels/1/messages was made with a different body" in ran.out
    assert "expected success, but it failed: TypeError: Cannot read properties of null" in ran.out
    assert "handlers/lib/words.ts:2:" in ran.out
    assert "handlers/answer.ts:3:" in ran.out
    assert "expected failure, but it succeeded (expected error: boom)" in ran.out
    assert ran.out.splitlines()[-1].startswith("3 failed, 1 skipped in ")
    quiet = ckfunc("-C", root, "test", "-q", "--filter", "THROWS")
    assert quiet.code == 1
    assert quiet.out.startswith("✗ tests/start.yaml:")
    assert "was to throw" not in quiet.out


def test_results_can_be_printed_as_json_and_junit(ckfunc: Callable[..., Any], root: Path, tmp_path: Path) -> None:
    write(root, FAILING)
    ran = ckfunc("-C", root, "--json", "test", "--junit", tmp_path / "report.xml")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert {name: found[name] for name in ("ok", "passed", "failed", "skipped", "leftOut")} == {
        **{"ok": False, "passed": 0, "failed": 3, "skipped": 1, "leftOut": 0}
    }
    wrong, throws, _, skipped = found["cases"]
    assert [miss["what"] for miss in wrong["failures"]] == ["result", "console", "calls"]
    assert wrong["calls"][0]["path"] == "/channels/1/messages"
    assert (throws["status"], throws["error"]["name"]) == ("FAILED", "TypeError")
    assert (skipped["verdict"], skipped["reason"]) == ("skipped", "waits for the new API")
    top = ET.fromstring((tmp_path / "report.xml").read_text(encoding="utf-8"))
    assert (top.get("tests"), top.get("failures"), top.get("errors"), top.get("skipped")) == ("4", "3", "0", "1")
    (suite,) = top
    assert (suite.get("name"), [testcase.get("name") for testcase in suite]) == (
        "tests/start.yaml",
        ["wrong in every way", "throws", "was to throw", "not now"],
    )
    failure = suite[1].find("failure")
    assert failure is not None and "handlers/lib/words.ts:2:" in (failure.text or "")
    assert suite[3].find("skipped") is not None


def test_an_unwritable_report_is_an_error_after_the_results(
    ckfunc: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    write(root, FAILING)
    (tmp_path / "file").touch()
    for option, path in (("--junit", "file/report.xml"), ("--lcov", "file/lcov.info"), ("--junit", "x" * 300)):
        ran = ckfunc("-C", root, "test", "--filter", "not now", option, tmp_path / path)
        assert ran.code == 1
        assert "1 skipped" in ran.out
        assert re.match(r"error: cannot write .*: .*\nhint: choose another path, or check its permissions\n$", ran.err)
    if sys.platform != "win32":
        (tmp_path / "link").symlink_to(os.devnull)
        assert ckfunc("-C", root, "test", "--filter", "not now", "--junit", tmp_path / "link").code == 0
        assert (tmp_path / "link").is_symlink()


def test_only_skips_other_cases_and_is_refused_in_ci(
    root: Path, ckfunc: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(
        root,
        f"type: {TYPE}\ncases:\n  - {{name: a, event: {{}}}}\n  - {{name: b, event: {{username: x}}, only: true}}\n",
    )
    app = App({})
    app.settings.directory = root
    with app:
        tested = run_tests(working_copy(root, None, app.environ, app.workspace.bundler()), app.toolchain())
    assert (tested.ok, tested.tally.passed, tested.tally.left_out) == (True, 1, 1)
    assert str(tested.tally) == "1 passed, 1 left out by `only`"
    monkeypatch.setenv("CI", "1")
    refused = ckfunc("-C", root, "test")
    assert (refused.code, "`only`" in refused.err) == (1, True)


CONVERSATION = f"""\
cases:
  - name: ann asks
    data: {{users: [{{name: ben}}], channels: [{{name: desk, members: [ben]}}]}}
    environment: {{CODE: "1"}}
    conversation:
      - {{user: ann, connects: {{code: "1"}}, expect: {{error: "denied: ann"}}}}
      - user: ann
        connects: {{code: "2"}}
        expect: {{functions: [{{type: {TYPE}, result_includes: {{runs: 2, users: 1}}, calls: [{{path: /users}}]}}]}}
      - {{user: ann, joins: desk}}
      - user: ann
        says: hi
        expect:
          messages: [{{system: true, body: HI}}]
          functions: [{{type: {SENT}, result: {{body: HI}}}}]
          notifications: [{{user: ben, body: hi}}, {{user: ben, body: HI}}, {{user: ann, body: HI}}]
      - {{waits: 1d}}
      - {{user: ann, says: boom, expect: {{messages: [{{system: true, body: BOOM}}]}}}}
  - name: begins anew
    sample: true
    type: {SENT}
    event: {{message: {{body: hi}}}}
    expect: {{result_includes: {{body: HI}}}}
"""


def test_a_failed_conversation_shows_its_transcript_up_to_the_failed_step(
    ckfunc: Callable[..., Any], root: Path
) -> None:
    write(root, CONVERSATION)
    ran = ckfunc("-C", root, "test", "--jobs", 1)
    assert ran.code == 1, ran.out + ran.err
    report = ran.out[ran.out.index("\n✗ ") :]
    assert report.startswith("\n✗ tests/start.yaml:2 › ann asks\n  09:30:00  ann connects\n")
    assert "            message   system in desk: HI\n" in report
    assert "            notified  ben: ann sent a message: hi\n" in report
    assert "  09:30:04  1d pass\n  09:30:04  ann in desk: boom\n" in report
    assert "at shout (handlers/lib/words.ts:2:15)" in report
    assert f"  ✗ step 6, line 18: {SENT} failed: TypeError: Cannot read" in report
    assert "    system: BOOM                         | no messages\n" in report
    assert report.splitlines()[-1].startswith("1 passed, 1 failed in ")
    assert max(map(len, report.splitlines())) <= 80
    found = json.loads(ckfunc("-C", root, "--json", "test", "--filter", "conversation").out)
    (case,) = found["cases"]
    assert [step["line"] for step in case["steps"]] == [6, 7, 10, 11, 17, 18]


@pytest.mark.parametrize(
    ("files", "args", "told"),
    [
        ({}, (), "there are no test files in tests/"),
        ({"start.yaml": PASSING}, ("--filter", "nothing like it"), "no case has 'nothing like it'"),
        ({"start.yaml": PASSING}, ("tests/other.yaml",), "does not exist"),
        ({"start.yaml": "cases:\n  - {nam: a}\n"}, (), "tests/start.yaml has 4 mistakes"),
    ],
)
def test_a_run_without_cases_is_explained_and_exits_1(
    ckfunc: Callable[..., Any], root: Path, files: dict[str, str], args: tuple[str, ...], told: str
) -> None:
    for name, text in files.items():
        write(root, text, name)
    ran = ckfunc("-C", root, "test", *args)
    assert (ran.code, ran.out) == (1, "")
    assert told in ran.err
    assert "hint: " in ran.err or "start.yaml:2:" in ran.err


def test_a_handler_with_a_syntax_error_fails_its_cases(ckfunc: Callable[..., Any], root: Path) -> None:
    (root / "handlers/start.ts").write_text("async function handleEvent( {\n")
    write(root, f"type: {TYPE}\ncases:\n  - {{name: a, event: {{}}}}\n")
    ran = ckfunc("-C", root, "test")
    assert ran.code == 1
    assert "SyntaxError" in ran.out


def test_cases_cannot_reach_other_servers_unless_they_allow_it(ckfunc: Callable[..., Any], root: Path) -> None:
    (root / "handlers/start.ts").write_text(
        "async function handleEvent(e: any) { return (await fetch(e.url)).status; }\n"
    )
    with serve(lambda _: Reply(200, b"{}")) as server:
        event = f"event: {{url: '{server.url}/x'}}"
        cases = [
            f"{{name: kept away, {event}, expect: {{status: FAILED}}}}",
            f"{{name: let out, network: true, {event}}}",
        ]
        write(root, f"type: {TYPE}\ncases: [{', '.join(cases)}]\n")
        ran = ckfunc("-C", root, "test")
    assert ran.code == 0, ran.out


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is a signal")
def test_ctrl_c_ends_the_running_cases(root: Path) -> None:
    (root / "handlers/start.ts").write_text(
        "async function handleEvent() { console.log('now'); await new Promise((done) => setTimeout(done, 9000)); }\n"
    )
    slow = f"type: {TYPE}\ncases:\n  - {{name: quick, event: {{}}, skip: true}}\n"
    write(root, slow + "".join(f"  - {{name: slow {number}, event: {{}}}}\n" for number in range(4)))
    command = [sys.executable, "-m", "ckfunc", "-C", str(root), "test"]
    with process_of(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline() == b"tests/start.yaml\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=8)  # a case takes longer
    assert process.returncode == 130, err
    assert b"Traceback" not in err and b"slow" not in out


# -- test add ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(ckfunc: Callable[..., Any], root: Path) -> Iterator[Path]:
    """The project, with four invocations in its local emulator."""
    local = ("-C", root, "--target", "local")
    assert ckfunc(*local, "deploy").code == 0
    events = [
        (TYPE, {"username": "ann", "authParams": {"code": "not the one", "name": "Ann Other"}}),
        (TYPE, {"username": "eve", "authParams": {"code": "4711"}}),
        (
            SENT,
            {
                "user": {"id": 1, "name": "ann"},
                "channel": {"id": 7, "type": "PUBLIC", "name": "desk"},
                "message": {"body": "x"},
            },
        ),
    ]
    for trigger_type, event in events:
        ckfunc(*local, "trigger", trigger_type, "--data", json.dumps(event))
    return root


def ids(ckfunc: Callable[..., Any], root: Path) -> dict[str, int]:
    listed = [json.loads(line) for line in ckfunc("-C", root, "--target", "local", "--json", "logs").out.splitlines()]
    return {invocation["args"].get("username") or invocation["type"]: invocation["id"] for invocation in listed}


def test_a_recorded_invocation_becomes_a_passing_case(ckfunc: Callable[..., Any], recorded: Path) -> None:
    known = ids(ckfunc, recorded)
    local = ("-C", recorded, "--target", "local")
    first = ckfunc(*local, "test", "add", "--invocation", known["eve"], "--yes")
    assert first.code == 0, first.err
    file = recorded / "tests/user-attempted-start-session.yaml"
    text = file.read_text()
    assert "4711" not in text + first.out + first.err
    assert "redacted event.authParams.code" in first.err
    assert "it passes with the working copy" in first.err
    (case,) = yaml.safe_load(text)["cases"]
    assert (case["expect"], case["environment"]) == ({"error": "denied: eve"}, {"CODE": "0001"})
    file.write_text(text.replace("cases:\n", "cases: # all of them\n"))
    before = file.read_text()
    second = ckfunc(*local, "test", "add", TYPE, "--invocation", known["ann"], "--name", "ann comes in", "--yes")
    assert second.code == 0, second.err
    assert file.read_text().startswith(before)
    assert "Ann Other" not in file.read_text() + second.out + second.err
    again = ckfunc(*local, "test", "add", "--invocation", known["eve"], "--yes")
    assert 'name: "invocation ' in file.read_text() and "(2)" in again.out
    ran = ckfunc("-C", recorded, "test")
    assert ran.code == 0, ran.out
    assert "✓ ann comes in" in ran.out


def test_a_case_is_written_only_after_confirmation(ckfunc: Callable[..., Any], recorded: Path) -> None:
    known = ids(ckfunc, recorded)
    shown = ckfunc("-C", recorded, "--target", "local", "test", "add", "--invocation", known["eve"])
    assert shown.code == 2
    assert "there is no terminal; nothing was changed" in shown.err
    assert "denied: eve" in shown.out
    assert list((recorded / "tests").iterdir()) == []


def test_a_new_case_that_fails_is_reported(ckfunc: Callable[..., Any], recorded: Path) -> None:
    known = ids(ckfunc, recorded)
    (recorded / "handlers/answer.ts").write_text("async function handleEvent() {\n  return 7;\n}\n")
    ran = ckfunc("-C", recorded, "--target", "local", "--json", "test", "add", "--invocation", known[SENT], "--yes")
    found = json.loads(ran.out)
    assert (found["verdict"], found["written"]) == ("failed", True)
    assert Path(found["file"]).name == "user-sent-message.yaml"
    told = ckfunc("-C", recorded, "--target", "local", "test", "add", "--invocation", known[SENT], "--yes")
    assert "it fails with the working copy" in told.err


def test_an_invocation_that_cannot_become_a_case_is_reported(ckfunc: Callable[..., Any], recorded: Path) -> None:
    local = ("-C", recorded, "--target", "local")
    missing = ckfunc(*local, "test", "add", "--invocation", 999)
    assert (missing.code, "target 'local' has no invocation 999" in missing.err) == (1, True)
    of_other = ckfunc(*local, "test", "add", SENT, "--invocation", ids(ckfunc, recorded)["eve"])
    assert (of_other.code, "has no invocation" in of_other.err) == (1, True)
    unknown = ckfunc(*local, "test", "add", "user.read.message", "--invocation", 1)
    assert "no function of type user.read.message" in unknown.err
    no_yaml = ckfunc(*local, "test", "add", "--invocation", 1, "--file", "x.json")
    assert no_yaml.code == 2
    write(recorded, "cases: [", "broken.yaml")
    broken = ckfunc(*local, "test", "add", "--invocation", ids(ckfunc, recorded)["eve"], "--file", "tests/broken.yaml")
    assert (broken.code, "tests/broken.yaml" in broken.err) == (1, True)


def test_a_case_from_a_real_application_needs_only_reads_and_has_no_secrets(
    ckfunc: Callable[..., Any], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "canary-5f2c"
    event = {
        "user": {"id": 70, "name": "ann", "displayName": "Ann"},
        "channel": {"id": 900, "type": "PUBLIC", "name": "desk"},
        "message": {
            "id": 5000,
            "type": "TEXT",
            "body": f"tell nobody: {secret}",
            "properties": {"token": "canary-token"},
        },
    }
    payload = {"body": f"TELL NOBODY: {secret.upper()}", "token": "canary-token"}
    rows = rows_of([event] * 950, payload=payload)
    with recorded_by({SENT: ANSWER}, {SENT: rows}, environment={"SHOUTED": secret.upper(), "SAID": secret}) as target:
        for name, value in target.environ().items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("MISSING", "a canary too")
        wanted = rows[123]["id"]
        ran = ckfunc("-C", root, "test", "add", "--invocation", wanted, "--yes", "-v")
        assert ckfunc("-C", root, "test", "add", "--invocation", rows[-1]["id"] + 1).code == 1
        calls = target.server.calls()
    assert ran.code == 0, ran.err
    assert all(call == "POST /oauth/token" or call.startswith("GET /v1/") for call in calls)
    assert 3 < len(calls) < 20
    text = (root / "tests/user-sent-message.yaml").read_text()
    everything = text + ran.out + ran.err
    assert "canary" not in everything.lower()
    (case,) = yaml.safe_load(text)["cases"]
    assert case["event"]["message"]["body"] == "tell nobody: redacted-2"
    assert case["expect"]["result"]["token"] == "redacted-1"
    assert case["name"] == f"invocation {wanted}"
