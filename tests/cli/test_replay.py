"""`ckfunc replay`: recorded invocations, run again by the deployed version and by the working copy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.commands import process_of
from support.loopback import Reply, serve
from support.recorded import Recorded, recorded, rows_of

from ckfunc.cli.app import App
from ckfunc.deploy.gates import GateOutcome
from ckfunc.model.triggers import TRIGGERS
from ckfunc.replay.target import Replayed, replay_functions
from ckfunc.replay.verdict import ReplayVerdict
from ckfunc.scaffold.templates import sample_event

TYPE = "user.sent.message"
Ckfunc = Callable[..., Any]


def replayed(app: App, **more: Any) -> Replayed:
    return replay_functions(
        app.client(), app.project(), app.toolchain(), now=app.clock.now(), secrets=app.secrets, **more
    )


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Return a context manager that makes a project with recorded runs and yields its directory and target."""

    @contextmanager
    def made(
        deployed: Mapping[str, str] | str,
        working: Mapping[str, str] | str,
        rows: Mapping[str, Sequence[Mapping[str, Any]]] | Sequence[Mapping[str, Any]],
        *,
        manifest: str = "",
        **options: Any,
    ) -> Iterator[tuple[Path, Recorded]]:
        scripts = {TYPE: deployed} if isinstance(deployed, str) else deployed
        here = {TYPE: working} if isinstance(working, str) else working
        lists = rows if isinstance(rows, Mapping) else {TYPE: rows}
        (tmp_path / "handlers").mkdir(exist_ok=True)
        lines = ["version: 1", "functions:"]
        for name, script in here.items():
            (tmp_path / f"handlers/{name}.ts").write_text(script)
            lines += [f"  {name}:", f"    handler: handlers/{name}.ts"]
        (tmp_path / "functions.yaml").write_text("\n".join(lines) + f"\n{manifest}")
        with recorded(scripts, lists, **options) as target:
            for name, value in target.environ().items():
                monkeypatch.setenv(name, value)
            yield tmp_path, target

    return made


def read_only(target: Recorded) -> bool:
    calls = target.server.calls()
    return all(call == "POST /oauth/token" or call.startswith("GET /v1/") for call in calls) and len(calls) > 3


def messages(count: int) -> list[dict[str, Any]]:
    """Return events with ids that a sandbox would not assign."""
    text = json.dumps(sample_event(TYPE)).replace('"channelId": 1', '"channelId": 702')
    events = [json.loads(text) for _ in range(count)]
    for number, event in enumerate(events):
        event["message"] |= {"id": 880_000 + number, "body": f"message {number}"}
        event["channel"] |= {"id": 702, "lastReceivedMessage": event["message"]}
        for user in (event["user"], event["message"]["user"], event["channel"]["creator"]):
            user["id"] = 5501
    return events


PLAIN = """\
async function handleEvent(event: any, context: any) {
  const { data: channel } = await context.ChatKitty.Channels.retrieveChannel(event.channel.id);
  const { data: user } = await context.ChatKitty.Users.retrieveUser(event.user.id);
  const { data: sent } = await context.ChatKitty.Channels.sendChannelMessage(channel.id, {
    type: 'TEXT', body: 'Thank you!',
  });
  return { channel: channel.name, user: user.displayName, sent: sent.id, body: event.message.body };
}
"""

TIMELY = """\
const crypto = require('node:crypto');
const instance = crypto.randomUUID();
const started = Date.now();
let count = 0;
async function handleEvent(event: any, context: any) {
  count += 1;
  const words = ['Hello', 'Hi', 'Good day', 'Welcome'];
  const word = words[Math.floor(Math.random() * words.length)];
  const [{ data: channel }, { data: user }] = await Promise.all([
    context.ChatKitty.Channels.retrieveChannel(event.channel.id),
    context.ChatKitty.Users.retrieveUser(event.user.id),
  ]);
  if (Math.random() < 0.5) {
    await context.ChatKitty.Channels.sendChannelMessage(channel.id, {
      type: 'TEXT', body: `${word}, it is ${new Date().toISOString().slice(0, 19)}`, groupTag: crypto.randomUUID(),
    });
  }
  if (Math.random() < 0.2) throw new Error(`no luck at ${Date.now()}`);
  const name = `guest-${Math.random()}`;
  const { data: made } = await context.ChatKitty.Users.createUser({ name, displayName: word });
  if (Math.random() < 0.05) return null;
  context.ChatKitty.Channels.addChannelMember(channel.id, { id: made.id });
  const at = Math.floor(Date.now() / 1000);
  return { instance, up: Date.now() - started, word, made: made.id, at, id: user.id, count };
}
"""


@pytest.mark.parametrize("handler", [PLAIN, TIMELY])
@pytest.mark.slow
def test_replaying_200_invocations_of_an_unchanged_handler_finds_no_differences(
    ckfunc: Ckfunc, at: Any, handler: str
) -> None:
    with at(handler, handler, rows_of(messages(200))) as (root, target):
        ran = ckfunc("-C", root, "replay", TYPE, "--last", "200", "--exit-code", "--json")
        assert ran.code == 0, ran.out
        assert read_only(target)
    found = json.loads(ran.out)
    assert (found["replayed"], found["different"], found["ok"]) == (200, 0, True)
    assert found["equal"] + found["failedBoth"] + found["noisy"] == 200
    assert found["equal"] > 100


PLANTED = """\
async function handleEvent(event: any, context: any) {
  const { planted } = event;
  await context.ChatKitty.Users.createUser({ name: `u${Date.now()}`, displayName: 'U' });
  const at = `${new Date().toISOString()} ${Math.random()}`;
  CALL
  THROW
  return { keys: Object.keys(event).sort(), at, RESULT };
}
"""
BEFORE = PLANTED.replace("CALL", "").replace("THROW", "").replace("RESULT", "is: 'as ever'")
AFTER = (
    PLANTED.replace("CALL", "if (planted === 'call') await context.ChatKitty.Users.listUsers();")
    .replace("THROW", "if (planted === 'throw') event.nothing.there = 1;")
    .replace("RESULT", "is: planted === 'result' ? 'another' : 'as ever'")
)


@pytest.mark.slow
def test_regressions_are_found_for_every_trigger_type_with_a_sample(at: Any) -> None:
    types = [trigger.type for trigger in TRIGGERS]
    rows = {name: rows_of([{**sample_event(name), "planted": kind} for kind in KINDS]) for name in types}
    with at(dict.fromkeys(types, BEFORE), dict.fromkeys(types, AFTER), rows) as (root, target):
        with App(os.environ) as app:
            app.settings.directory = root
            found = replayed(app)
        assert read_only(target)
    assert set(found.replays) == set(types)
    for name, replay in found.replays.items():
        verdicts = [each.verdict for each in replay.compared]
        assert verdicts == [ReplayVerdict.EQUAL, *[ReplayVerdict.DIFFERENT] * 3], (name, replay)
        places = [{change.pattern[:2] for change in each.changes} for each in replay.compared]
        assert places[1] == {("result", "is")}
        assert places[2] == {("calls", "GET /users")}
        assert places[3] == {("status",), ("result",), ("error",)}
    assert not found.ok
    outcome = found.gate_outcome
    assert f"{TYPE}: result.is differs in 1 of 4" in outcome.details
    assert len(outcome.details) == 17 * 5
    assert outcome.summary.startswith("68 replayed, 17 equal, 51 different: user.attempted.start_session, ")


def test_undeployed_and_unselected_functions_are_not_replayed(at: Any) -> None:
    types = (TYPE, "user.read.message", "call.ended")
    rows = {name: rows_of([{"n": 1}]) for name in types}
    with at(dict.fromkeys(types[:2], SIMPLE), dict.fromkeys(types, SIMPLE), rows) as (root, _), App(os.environ) as app:
        app.settings.directory = root
        every, some = replayed(app), replayed(app, types=["call.ended", TYPE], last=5)
    assert set(every.replays) == set(types[:2])
    assert set(some.replays) == {TYPE}
    assert some.gate_outcome == GateOutcome(True, "1 replayed, 1 equal, 0 different", [])


KINDS = ("none", "result", "call", "throw")


def test_differences_are_shown_and_exit_3_with_exit_code(ckfunc: Ckfunc, at: Any) -> None:
    with at(PLAIN, PLAIN.replace("Thank you!", "Thanks."), rows_of(messages(3))) as (root, target):
        shown = ckfunc("-C", root, "replay", TYPE)
        coded = ckfunc("-C", root, "replay", TYPE, "--exit-code", "--json", "--jobs", "2")
        assert read_only(target)
    assert (shown.code, coded.code) == (0, 3)
    assert '~ POST /channels/702/messages: body.body: "Thank you!" → "Thanks."' in shown.out
    assert shown.out.endswith("3 replayed, 0 equal, 3 different\n")
    assert f"{TYPE}: deployed v12 against handlers/{TYPE}.ts\n" in shown.err
    document = json.loads(coded.out)
    assert {
        "target": "default",
        "type": TYPE,
        "deployed": 12,
        "handler": f"handlers/{TYPE}.ts",
    }.items() <= document.items()
    assert document["invocations"][0]["changes"] == [
        {
            "path": "calls[2].body.body",
            "call": "POST /channels/702/messages",
            "before": "Thank you!",
            "after": "Thanks.",
        }
    ]


SIMPLE = "function handleEvent(event: any) { return event.n; }"


def test_a_single_invocation_can_be_replayed_by_id(ckfunc: Ckfunc, at: Any) -> None:
    rows = [{**row, "versionNumber": 12} for row in rows_of([{"n": 5}, {"n": 6}])]
    with at(SIMPLE, SIMPLE.replace("event.n", "event.n + 1"), rows) as (root, target):
        ran = ckfunc("-C", root, "replay", "4002", "--json", "--exit-code")
        assert read_only(target)
    assert ran.code == 3, ran.err
    document = json.loads(ran.out)
    assert (document["type"], [invocation["id"] for invocation in document["invocations"]]) == (TYPE, [4002])
    assert document["invocations"][0]["changes"] == [{"path": "result", "before": 6, "after": 7}]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], [4001, 4003, 4004, 4006]),
        (["--last", "2"], [4004, 4006]),
        (["--failed"], [4003, 4006]),
        pytest.param(["--failed", "--last", "1"], [4006], marks=pytest.mark.slow),
        (["--since", "2024-05-01T13:06:44Z"], [4004, 4006]),
        (["--since", "1m"], []),
    ],
)
def test_the_newest_finished_invocations_are_replayed(
    ckfunc: Ckfunc, at: Any, options: list[str], ids: list[int]
) -> None:
    rows = rows_of([{"n": number} for number in range(6)])
    failed = rows_of([{"n": number} for number in range(6)], status="FAILED")
    running = rows_of([{"n": number} for number in range(6)], status="RUNNING")
    mixed = [rows[0], running[1], failed[2], rows[3], running[4], failed[5]]
    with at(SIMPLE, SIMPLE, mixed) as (root, _):
        ran = ckfunc("-C", root, "replay", TYPE, "--json", *options)
    assert ran.code == 0, ran.err
    assert [invocation["id"] for invocation in json.loads(ran.out)["invocations"]] == ids


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["call.ended"], 2, "functions.yaml has no function of type 'call.ended'"),
        ([TYPE, "--since", "someday"], 2, "invalid --since value 'someday'"),
        ([TYPE, "--last", "0"], 2, "must be a whole number of at least 1, not 0"),
        (["user.read.message"], 1, "the application has no function of type 'user.read.message'"),
        (["4001"], 1, "target 'default' has no invocation 4001"),
        (["4001", "--last", "3"], 2, "an id selects one invocation"),
    ],
)
def test_a_replay_that_cannot_run_is_explained(
    ckfunc: Ckfunc, at: Any, arguments: list[str], code: int, said: str
) -> None:
    with at({TYPE: SIMPLE}, {TYPE: SIMPLE, "user.read.message": SIMPLE}, []) as (root, _):
        ran = ckfunc("-C", root, "replay", *arguments)
    assert ran.code == code
    assert said in ran.err


@pytest.mark.slow
def test_each_side_runs_with_its_own_packages_environment_and_init_script(ckfunc: Ckfunc, at: Any) -> None:
    source = "function handleEvent() { return [process.env.WORD, process.env.CHATKITTY_APPLICATION_ID, prefix()]; }"
    rows = rows_of([{"n": 1}])
    options = {"environment": {"WORD": "deployed-word"}, "initialization_script": "exports.prefix = () => 'old';"}
    manifest = 'runtime:\n  environment: {WORD: "working-word"}\n'
    with at(source, source, rows, manifest=manifest, **options) as (root, _):
        ran = ckfunc("-C", root, "replay", TYPE)
        assert ran.code == 0, ran.err
        document = json.loads(ckfunc("-C", root, "replay", TYPE, "--json").out)
    assert "1 different" in ran.out
    assert [change["path"] for change in document["invocations"][0]["changes"]] == ["result[0]"]
    for text in (ran.out, ran.err, json.dumps(document)):
        assert "deployed-word" not in text
        assert "working-word" not in text
    assert "••••" in ran.out


@pytest.mark.parametrize(
    "options", [["-v"], *(pytest.param(arguments, marks=pytest.mark.slow) for arguments in ([], ["-q"], ["--json"]))]
)
def test_environment_and_client_secrets_are_never_shown(ckfunc: Ckfunc, at: Any, options: list[str]) -> None:
    start = "user.attempted.start_session"
    leak = """async function handleEvent(event: any, context: any) {
      const { SECRET } = process.env;
      await context.ChatKitty.Users.createUser({ name: SECRET + 'x', displayName: event.authParams.password });
      throw new Error(`${SECRET}: ${JSON.stringify(event)}`);
    }"""
    rows = {start: rows_of([{"username": "jane", "authParams": {"password": "hunter-2-hunter"}}] * 2)}
    scripts = {start: "function handleEvent() { return 1; }"}
    for deployed, working in ((scripts, {start: leak}), ({start: leak}, scripts)):
        with at(deployed, working, rows, environment={"SECRET": "canary/secret value"}) as (root, _):
            ran = ckfunc("-C", root, "replay", start, *options)
            assert ran.code == 0
            for secret in ("canary", "hunter-2", "the-s3cret", "the-token"):
                assert secret not in ran.out + ran.err
            assert "2 different" in ran.out or '"different": 2' in ran.out


def test_handlers_cannot_reach_other_servers_without_the_network_option(ckfunc: Ckfunc, at: Any) -> None:
    with serve(lambda _request: Reply(body={"ok": True})) as other:
        source = f"""async function handleEvent() {{
          const found = await fetch('{other.url}/charge', {{ method: 'POST' }});
          return (await found.json()).ok;
        }}"""
        with at(source, source, rows_of([{"n": 1}] * 2)) as (root, _):
            kept = ckfunc("-C", root, "replay", TYPE)
            assert other.requests == []
            let = ckfunc("-C", root, "replay", TYPE, "--network")
            assert len(other.requests) == 4
    where = other.url.removeprefix("http://")
    assert f"2 invocations tried to reach {where}: allow it with --network" in kept.out
    assert "2 failed on both sides" in kept.out
    assert "2 replayed, 2 equal" in let.out


def test_a_handler_with_a_syntax_error_is_a_difference(ckfunc: Ckfunc, at: Any) -> None:
    with at(SIMPLE, "function handleEvent( { return 1 }", rows_of([{"n": 1}])) as (root, _):
        ran = ckfunc("-C", root, "replay", TYPE, "--exit-code")
    assert ran.code == 3
    assert "SyntaxError" in ran.out


@pytest.mark.slow
def test_invocations_on_the_emulator_can_be_replayed(ckfunc: Ckfunc, at: Any) -> None:
    start = "user.attempted.start_session"
    manifest = "targets:\n  local: {emulator: true}\n"
    source = "function handleEvent(event: any) { return 'Hello ' + event.username; }"
    with at({start: source}, {start: source}, [], manifest=manifest) as (root, _):
        assert ckfunc("-C", root, "deploy").code == 0
        for name in ("jane", "john"):
            assert ckfunc("-C", root, "trigger", start, "--data", json.dumps({"username": name})).code == 0
        same = ckfunc("-C", root, "replay", start, "--exit-code")
        (root / f"handlers/{start}.ts").write_text(source.replace("Hello", "Hi"))
        other = ckfunc("-C", root, "replay", start, "--exit-code")
        logged = ckfunc("-C", root, "logs", "--json").out.splitlines()
    assert same.code == 0
    assert "reproduced 2 of 2 recorded results" in same.out
    assert other.code == 3
    assert '~ result: "Hello jane" → "Hi jane"' in other.out
    assert len(logged) == 2


@pytest.mark.slow
def test_ctrl_c_ends_a_replay_immediately_with_130(at: Any) -> None:
    source = "async function handleEvent() { await new Promise((done) => setTimeout(done, 300)); }"
    with at(source, source, rows_of([{"n": 1}] * 100)) as (root, _):
        command = [sys.executable, "-m", "ckfunc", "-C", str(root), "-v", "replay", TYPE, "--last", "100"]
        with process_of(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        ) as process:
            assert process.stderr is not None
            for line in process.stderr:
                if "5 of 100" in line:
                    break
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "100 of 100" not in err
