"""`ckfunc invoke`: one local run of a handler's working copy, without other changes."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.commands import Command

from ckfunc.base.files import cache_dir
from ckfunc.emulator.emulator import Emulator
from ckfunc.runtime.node import bare_environment, node_executable
from ckfunc.sandbox.scripts import event_of

START = "user.attempted.start_session"
SENT = "user.sent.message"
Ckfunc = Callable[..., Any]


@pytest.fixture
def local(project: Path) -> Path:
    """The project, with the emulator as its default target."""
    manifest = project / "functions.yaml"
    manifest.write_text(manifest.read_text().replace("default_target: remote", "default_target: local"))
    return project


def write(project: Path, body: str, file: str = "start.ts") -> None:
    """Write a handler."""
    (project / "handlers" / file).write_text(textwrap.dedent(body))


def event(project: Path, document: Any) -> Path:
    file = project / "event.json"
    file.write_text(json.dumps(document))
    return file


def test_a_handler_gets_a_sample_event_by_default(ckfunc: Ckfunc, local: Path) -> None:
    ran = ckfunc("-C", local, "invoke", START)
    assert ran.code == 0, ran.err
    status, result, session = ran.out.splitlines()
    assert status.startswith("SUCCEEDED ")
    assert result.startswith('  → "Hello ')
    assert session == "session allowed"
    assert not (local / ".ckfunc" / "emulator").exists()


def test_console_output_api_calls_and_the_result_are_shown(ckfunc: Ckfunc, local: Path) -> None:
    write(
        local,
        """
        async function handleEvent(event: any, context: any) {
          console.log('one\\ntwo');
          console.error('bad');
          await context.ChatKitty.Users.createUser({ name: event.username, displayName: 'J', isGuest: false });
          return { list: ['x'.repeat(60), 'y'.repeat(60)] };
        }
        """,
    )
    ran = ckfunc("-C", local, "invoke", START, "--event", event(local, {"username": "jane"}))
    lines = ran.out.splitlines()
    assert lines[:3] == ["  log   one", "        two", "  error bad"]
    assert lines[3].startswith("SUCCEEDED")
    assert lines[4:9] == [
        "  → {",
        '      "list": [',
        f'        "{"x" * 60}",',
        f'        "{"y" * 60}"',
        "      ]",
    ]
    assert lines[10] == '  ⇢ POST /users 200 {"name": "jane", "displayName": "J", "isGuest": false}'


def test_console_output_is_shown_while_the_handler_runs(local: Path) -> None:
    write(
        local,
        """
        async function handleEvent() {
          console.log('first');
          await new Promise((done) => setTimeout(done, 60_000));
        }
        """,
    )
    with Command("-C", local, "invoke", START) as command:
        command.until("first")
        assert command.interrupt() == 130


def test_a_failure_exits_1_with_a_stack_trace_of_the_users_files(ckfunc: Ckfunc, local: Path) -> None:
    write(
        local, "type T = 1;\nfunction deep() { throw new RangeError('no luck'); }\nfunction handleEvent() { deep(); }\n"
    )
    ran = ckfunc("-C", local, "invoke", START)
    assert ran.code == 1
    assert "FAILED" in ran.out
    assert "RangeError: no luck" in ran.out
    assert "at deep (handlers/start.ts:2:" in ran.out
    assert "at handleEvent (handlers/start.ts:3:" in ran.out
    assert "session denied: no luck" in ran.out


def test_stack_traces_of_a_bundled_handler_name_the_local_files(ckfunc: Ckfunc, local: Path) -> None:
    (local / "lib").mkdir()
    (local / "lib/deep.ts").write_text(
        "export function deep(): never {\n  console.trace('here');\n  throw new Error('no');\n}\n"
    )
    write(local, "import { deep } from '../lib/deep';\nexport function handleEvent() { deep(); }\n")
    ran = ckfunc("-C", local, "invoke", START)
    assert "at deep (lib/deep.ts:3:" in ran.out
    assert "at deep (lib/deep.ts:2:" in ran.out
    assert "at handleEvent (handlers/start.ts:2:" in ran.out


def test_a_handler_with_a_syntax_error_fails_with_its_location(ckfunc: Ckfunc, local: Path) -> None:
    write(local, "function handleEvent() {\n  return (;\n}")
    ran = ckfunc("-C", local, "invoke", START)
    assert ran.code == 1
    assert "handlers/start.ts:2:" in ran.out


def test_invoke_with_json_prints_one_document(ckfunc: Ckfunc, local: Path) -> None:
    write(
        local,
        """
        async function handleEvent(event: any, context: any) {
          console.log('x');
          await context.ChatKitty.Users.checkUserExists('nobody').catch(() => {});
          if (event.username === 'bad') throw new Error('no');
          return event.username;
        }
        """,
    )
    ran = ckfunc("-C", local, "invoke", START, "--json", "--event", event(local, {"username": "jane"}))
    found = json.loads(ran.out)
    assert found.pop("durationMs") > 0
    assert found == {
        "type": START,
        "status": "SUCCEEDED",
        "args": {"username": "jane"},
        "result": {"payload": "jane"},
        "console": [{"level": "log", "text": "x"}],
        "calls": [{"method": "HEAD", "path": "/users?name=nobody", "body": None, "status": 404}],
        "callsOmitted": 0,
        "allowed": True,
        "reason": None,
    }
    ran = ckfunc("-C", local, "invoke", START, "--json", "--event", event(local, {"username": "bad"}))
    found = json.loads(ran.out)
    assert (ran.code, found["status"], found["allowed"], found["reason"]) == (1, "FAILED", False, "no")
    assert found["result"]["error"]["message"] == "no"


def test_an_event_can_come_from_standard_input(local: Path) -> None:
    command = [sys.executable, "-m", "ckfunc", "-C", str(local), "invoke", START, "--event", "-"]
    done = subprocess.run(command, input=b'\xef\xbb\xbf{"username": "j\xc3\xbcrgen"}', capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Hello jürgen" in done.stdout.decode("utf-8")


def test_a_handler_runs_with_the_runtime_of_the_target(ckfunc: Ckfunc, local: Path) -> None:
    manifest = local / "functions.yaml"
    runtime = "runtime:\n  environment: {COLOUR: red}\n  initialization_script: init.ts\n"
    target = "  other: {emulator: true, environment: {COLOUR: blue}}\n"
    manifest.write_text(
        manifest.read_text().replace("functions:", runtime + "functions:").replace("  remote:", target + "  remote:")
    )
    (local / "init.ts").write_text("export const shade = (colour: string) => `dark ${colour}`;\n")
    write(local, "declare const shade: any;\nfunction handleEvent() { return shade(process.env.COLOUR); }\n")
    assert '"dark red"' in ckfunc("-C", local, "invoke", START).out
    assert '"dark blue"' in ckfunc("-C", local, "invoke", START, "--target", "other").out


def test_a_handler_sees_the_local_emulator_data_without_changing_it(ckfunc: Ckfunc, local: Path) -> None:
    write(
        local,
        """
        async function handleEvent(event: any, context: any) {
          const { Users } = context.ChatKitty;
          await Users.createUser({ name: 'made', displayName: 'M', isGuest: false });
          return (await Users.listUsers()).data._embedded.users.map((user: any) => [user.id, user.name]);
        }
        """,
    )
    seed = local / "seed.yaml"
    seed.write_text("users: [{name: ann}, {name: bob}]")
    assert ckfunc("-C", local, "emulator", "seed", seed).code == 0
    data = local / ".ckfunc" / "emulator"
    before = {path.name: path.read_bytes() for path in data.iterdir()}
    made = event(local, {"username": "cy"})
    for _ in range(2):
        found = json.loads(ckfunc("-C", local, "invoke", START, "--json", "--event", made).out)
        assert found["result"]["payload"] == [[1, "ann"], [2, "bob"], [3, "made"]]
    assert {path.name: path.read_bytes() for path in data.iterdir()} == before
    with Emulator(data, cache=cache_dir()):
        found = json.loads(ckfunc("-C", local, "invoke", START, "--json", "--event", made).out)
        assert [row[1] for row in found["result"]["payload"]] == ["ann", "bob", "made"]


def test_mentioned_users_and_channels_exist_and_messages_trigger_no_functions(ckfunc: Ckfunc, local: Path) -> None:
    manifest = local / "functions.yaml"
    entry = f"  {SENT}:\n    handler: handlers/sent.ts\n"
    manifest.write_text(manifest.read_text().replace("targets:", entry + "targets:"))
    write(
        local,
        """
        async function handleEvent(event: any, context: any) {
          const { Channels } = context.ChatKitty;
          const { data } = await Channels.sendChannelMessage(event.channel.id, { type: 'TEXT', body: 'thanks' });
          const users = (await context.ChatKitty.Users.listUsers()).data._embedded.users;
          return [data.channelId, users.map((user: any) => user.name)];
        }
        """,
        "sent.ts",
    )
    ann = {"id": 12, "name": "ann", "displayName": "Ann", "isGuest": False}
    given = {
        "user": ann,
        "channel": {"id": 702, "type": "PUBLIC", "name": "desk"},
        "message": {"type": "TEXT", "body": "hi"},
    }
    ran = ckfunc("-C", local, "invoke", SENT, "--json", "--event", event(local, given))
    assert json.loads(ran.out)["result"] == {"payload": [702, ["ann"]]}
    assert ckfunc("-C", local, "invoke", SENT).code == 0


def test_an_event_of_a_recorded_invocation_is_read_from_the_target(ckfunc: Ckfunc, local: Path) -> None:
    assert ckfunc("-C", local, "deploy").code == 0
    for name in ("ann", "bob"):
        ckfunc("-C", local, "trigger", START, "--data", json.dumps({"username": name}))
    ids = [json.loads(line)["id"] for line in ckfunc("-C", local, "logs", "--json").out.splitlines()]
    write(local, "function handleEvent(event: any) { return ['new', event.username]; }")
    ran = ckfunc("-C", local, "invoke", START, "--from-invocation", str(ids[0]))
    assert '["new", "ann"]' in ran.out
    missing = ckfunc("-C", local, "invoke", START, "--from-invocation", "999")
    assert missing.code == 1
    assert "has no invocation 999" in missing.err
    assert len(ckfunc("-C", local, "logs", "--json").out.splitlines()) == 2


def test_verbose_triggers_and_logs_show_api_calls(ckfunc: Ckfunc, local: Path) -> None:
    write(
        local,
        """
        async function handleEvent(event: any, context: any) {
          await context.ChatKitty.Users.checkUserExists('x').catch(() => {});
        }
        """,
    )
    assert ckfunc("-C", local, "deploy").code == 0
    asked = "  ⇢ HEAD /users?name=x 404"
    data = '{"username": "jane"}'
    assert asked not in ckfunc("-C", local, "trigger", START, "--data", data).out
    assert asked in ckfunc("-C", local, "trigger", START, "--data", data, "-v").out.splitlines()
    assert asked in ckfunc("-C", local, "logs", "-v").out.splitlines()
    (entry, _) = map(json.loads, ckfunc("-C", local, "logs", "--json").out.splitlines())
    assert [call["path"] for call in entry["calls"]] == ["/users?name=x"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["user.atempted.start_session"], f"did you mean {START}?"),
        (["user.read.message"], f"functions.yaml has: {START}"),
        ([START, "--event", "x.json", "--from-invocation", "1"], "can't be used together"),
        ([START, "--event", "absent.json"], "cannot read the event"),
        ([START, "--event", "functions.yaml"], "functions.yaml is not JSON"),
        ([START, "--event", "list.json"], "not a JSON object"),
        ([START, "--event", "deep.json"], "nested too deeply"),
        ([START, "--event", "other.json"], "of type user.sent.message"),
        ([START, "--inspect", "70000"], "70000"),
        ([], "TYPE"),
    ],
)
def test_mistakes_are_reported_before_anything_runs(
    ckfunc: Ckfunc, local: Path, arguments: list[str], said: str
) -> None:
    (local / "list.json").write_text("[1]")
    (local / "deep.json").write_text("[" * 100_000)
    (local / "other.json").write_text('{"type": "user.sent.message", "event": {}}')
    ran = ckfunc("-C", local, "invoke", *arguments)
    assert ran.code == 2
    assert said in ran.out + ran.err


def test_a_type_without_a_sample_needs_an_event(ckfunc: Ckfunc, local: Path) -> None:
    manifest = local / "functions.yaml"
    manifest.write_text(manifest.read_text().replace(START, "my.own.event"))
    ran = ckfunc("-C", local, "invoke", "my.own.event")
    assert (ran.code, "pass an event: --event FILE" in ran.err) == (2, True)
    assert ckfunc("-C", local, "invoke", "my.own.event", "--event", event(local, {"username": "x"})).code == 0


@pytest.mark.parametrize(
    "document",
    [
        {"username": "jane", "authParams": {"event": {}}},
        {"type": START, "event": {"username": "jane", "authParams": {"event": {}}}},
        {"type": START, "data": {"username": "jane", "authParams": {"event": {}}}},
        {"id": 7, "args": {"username": "jane", "authParams": {"event": {}}}, "status": "FAILED", "versionNumber": 2},
        {"id": 7, "type": START, "version": 2, "args": {"username": "jane", "authParams": {"event": {}}}, "result": {}},
    ],
)
def test_an_event_is_extracted_from_the_document_around_it(document: dict[str, Any]) -> None:
    assert event_of(document, START) == {"username": "jane", "authParams": {"event": {}}}


def test_an_event_similar_to_a_document_is_not_unwrapped() -> None:
    for document in (
        {"event": {"type": "x"}},
        {"type": "x", "event": {}, "user": {}},
        {"type": 1, "data": {}},
        {"args": {}},
    ):
        assert event_of(document, START) is document


# -- debugging ---------------------------------------------------------------------------------------------------------

ATTACH = """
const find = async () => {
  for (;;) {
    try {
      return (await (await fetch(`http://127.0.0.1:${process.argv[2]}/json/list`)).json())[0].webSocketDebuggerUrl;
    } catch {
      await new Promise((done) => setTimeout(done, 20));
    }
  }
};
const socket = new WebSocket(await find());
let last = 0;
const send = (method, params = {}) => socket.send(JSON.stringify({ id: last += 1, method, params }));
const scripts = {};
let pauses = 0;
socket.onopen = () => { send('Runtime.enable'); send('Debugger.enable'); send('Runtime.runIfWaitingForDebugger'); };
socket.onmessage = ({ data }) => {
  const { method, params } = JSON.parse(data);
  if (method === 'Debugger.scriptParsed') scripts[params.scriptId] = params;
  if (method !== 'Debugger.paused') return;
  const frame = params.callFrames[0];
  const { url, sourceMapURL } = scripts[frame.location.scriptId];
  const map = sourceMapURL.startsWith('data:') ? JSON.parse(atob(sourceMapURL.split(',')[1])).sources : [];
  console.log(JSON.stringify([frame.functionName, url.split('/').at(-1).split('-')[0], map]));
  pauses += 1;
  send(['Debugger.stepOver', 'Debugger.stepInto'][pauses - 1] ?? 'Debugger.resume');
};
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def attached(port: int, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A debugger that steps into the handler and then continues."""
    program = tmp_path / "attach.mjs"
    program.write_text(ATTACH)
    with subprocess.Popen(
        [str(node_executable()), str(program), str(port)], env=bare_environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_invoke_waits_for_a_debugger_that_can_step_into_the_source_file(local: Path, tmp_path: Path) -> None:
    port = free_port()
    write(
        local,
        "type A = string;\nfunction handleEvent(event: any) {\n  const name: A = event.username;\n  return name;\n}\n",
    )
    with Command("-C", local, "invoke", START, "--inspect", str(port)) as command:
        command.until(f"waiting for a debugger at 127.0.0.1:{port}")
        with attached(port, tmp_path) as debugger:
            command.until("SUCCEEDED")
            assert command.process.wait(30) == 0
            debugger.kill()
            assert debugger.stdout is not None
            pauses = [json.loads(line) for line in debugger.stdout]
    assert pauses[-1] == ["handleEvent", "start", [(local / "handlers/start.ts").as_uri()]]


def test_ctrl_c_while_waiting_for_a_debugger_exits_cleanly(local: Path) -> None:
    port = free_port()
    with Command("-C", local, "invoke", START, "--inspect", str(port)) as command:
        command.until("step into it")
        assert command.interrupt() == 130
        assert "Traceback" not in "".join(command.said)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"http://127.0.0.1:{port}/json/list", trust_env=False)


def test_a_debugger_port_in_use_is_reported(ckfunc: Ckfunc, local: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = ckfunc("-C", local, "invoke", START, "--inspect", str(port))
    assert ran.code == 1
    assert f"127.0.0.1:{port}" in ran.err


def test_output_of_a_worker_that_is_still_writing_when_the_handler_returns_is_printed(
    ckfunc: Ckfunc, local: Path
) -> None:
    write(
        local,
        "import { Worker } from 'node:worker_threads';\n"
        "const source = `const fs = require('node:fs'); const end = Date.now() + 200; while (Date.now() < end);\n"
        "require('node:worker_threads').parentPort.on('message', (text) => {\n"
        "  fs.write(1, 'written ' + text + '\\\\n', () => 0); console.log('logged ' + text); })`;\n"
        "const worker = new Worker(source, { eval: true });\nworker.unref();\n"
        "export async function handleEvent() { worker.postMessage('late'); return 'ok'; }\n",
    )
    ran = ckfunc("-C", local, "invoke", START)
    assert ran.code == 0, ran.err
    assert "written late" in ran.out and "logged late" in ran.out
