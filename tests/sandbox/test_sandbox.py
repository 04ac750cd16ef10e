"""Handlers run in emulators of this process, whose data is restored between runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ckfunc.base.secrets import Secret
from ckfunc.cli.app import App
from ckfunc.emulator.emulator import Emulator
from ckfunc.emulator.options import EmulatorOptions
from ckfunc.emulator.store.seeds import SeedRefused
from ckfunc.model.application import ConsoleLine, Status
from ckfunc.model.execution import Determinism, Limits
from ckfunc.model.job import Seed
from ckfunc.model.project import Script
from ckfunc.sandbox.sandbox import MOST_PROCESSES, NoHandler, Sandbox
from ckfunc.sandbox.scripts import Conditions, Ran, Scripts, Toolchain
from ckfunc.wire.jobs import read_seed

TYPE = "user.sent.message"
START = "user.attempted.start_session"
NOTIFIED = "user.received.notification"
MAKE_USER = """
async function handleEvent(event: any, context: any) {
  const name = event.name ?? 'made';
  return (await context.ChatKitty.Users.createUser({ name, displayName: name, isGuest: false })).data.id;
}
"""
LIST_USERS = """
async function handleEvent(event: any, context: any) {
  const { data } = await context.ChatKitty.Users.listUsers();
  return (data._embedded?.users ?? []).map((user: any) => [user.id, user.name]);
}
"""


@pytest.fixture
def tools() -> Iterator[Toolchain]:
    with App({}) as app:
        yield app.toolchain()


def scripts(text: str, trigger_type: str = TYPE, **more: Any) -> Scripts:
    return Scripts({trigger_type: Script("handlers/x.ts", text)}, **more)


def payload(ran: Ran) -> Any:
    assert ran.invocation.status is Status.SUCCEEDED, ran.invocation.result
    return ran.invocation.result["payload"]


def people(*names: str) -> Seed:
    return read_seed({"users": [{"name": name} for name in names]})


def test_a_handler_runs_without_a_deploy_and_its_output_and_calls_are_returned(tools: Toolchain) -> None:
    lines: list[ConsoleLine] = []
    text = MAKE_USER.replace("return", "console.log(process.env.COLOUR, shared); return", 1)
    given = scripts(
        text,
        environment={"COLOUR": Secret("red")},
        initialization_script=Script("init.ts", "export const shared: number = 7;"),
    )
    with Sandbox(tools, given) as sandbox:
        ran = sandbox.run(TYPE, {"name": "jane"}, lines.append)
    assert payload(ran) == 1
    assert (ran.invocation.id, ran.invocation.args) == (1, {"name": "jane"})
    assert lines == [ConsoleLine("log", "red 7")] == list(ran.detail.console)
    (call,) = ran.detail.calls
    assert (call.method, call.path, call.status) == ("POST", "/users", 200)
    assert call.body == {"name": "jane", "displayName": "jane", "isGuest": False}
    assert (ran.allowed, ran.reason) == (None, None)


def test_restoring_the_data_also_restores_the_ids_and_keeps_the_process(tools: Toolchain) -> None:
    text = """
      let n = 0;
      async function handleEvent(event: any, context: any) {
        n += 1;
        const user = await context.ChatKitty.Users.createUser({ name: 'ann', displayName: 'A', isGuest: false });
        return [n, process.pid, user.data.id];
      }
    """
    with Sandbox(tools, scripts(text)) as sandbox:
        first = payload(sandbox.run(TYPE, {}))
        sandbox.restore_data()
        second = payload(sandbox.run(TYPE, {}))
        assert (first[0], second[0]) == (1, 2)
        assert first[1:] == second[1:]
        sandbox.restore_data(reload=True)
        assert payload(sandbox.run(TYPE, {})) == first


def test_data_stays_between_runs_until_it_is_restored(tools: Toolchain) -> None:
    with Sandbox(tools, Scripts({TYPE: Script("a.ts", MAKE_USER), START: Script("b.ts", LIST_USERS)})) as sandbox:
        assert payload(sandbox.run(TYPE, {"name": "ann"})) == 1
        assert payload(sandbox.run(TYPE, {"name": "bob"})) == 2
        assert payload(sandbox.run(START, {})) == [[1, "ann"], [2, "bob"]]
        sandbox.restore_data()
        assert payload(sandbox.run(START, {})) == []


def test_replacing_the_scripts_restores_the_data(tools: Toolchain) -> None:
    with Sandbox(tools, scripts(MAKE_USER), seed=people("ann")) as sandbox:
        assert payload(sandbox.run(TYPE, {})) == 2
        sandbox.use(scripts(LIST_USERS))
        assert payload(sandbox.run(TYPE, {})) == [[1, "ann"]]
        sandbox.use(scripts("function handleEvent() { return process.env.X }", environment={"X": Secret("y")}))
        assert payload(sandbox.run(TYPE, {})) == "y"
        sandbox.use(scripts("function handleEvent() { return process.env.X ?? 'none' }"))
        assert payload(sandbox.run(TYPE, {})) == "none"


def test_a_new_seed_replaces_the_previous_one(tools: Toolchain) -> None:
    with Sandbox(tools, scripts(LIST_USERS), seed=people("ann")) as sandbox:
        sandbox.set_seed(people("bob"))
        assert payload(sandbox.run(TYPE, {})) == [[1, "ann"], [2, "bob"]]
        sandbox.set_seed(people("cy"))
        assert payload(sandbox.run(TYPE, {})) == [[1, "ann"], [2, "cy"]]
        sandbox.use(scripts(LIST_USERS + "// other"))
        assert payload(sandbox.run(TYPE, {})) == [[1, "ann"], [2, "cy"]]
        with pytest.raises(SeedRefused):
            sandbox.set_seed(read_seed({"channels": [{"name": "x", "members": ["nobody"]}]}))
        sandbox.set_seed(None)
        assert payload(sandbox.run(TYPE, {})) == [[1, "ann"]]


def test_added_data_is_removed_when_the_data_is_restored(tools: Toolchain) -> None:
    with Sandbox(tools, scripts(LIST_USERS)) as sandbox:
        sandbox.add_mentioned({"user": {"id": 1, "name": "ann"}})
        sandbox.add_mentioned({"user": {"id": 1, "name": "bob"}})  # another user has this id
        assert payload(sandbox.run(TYPE, {})) == [[1, "ann"]]
        sandbox.restore_data()
        assert payload(sandbox.run(TYPE, {})) == []


def test_a_sandbox_works_on_a_copy_of_an_emulators_data(tools: Toolchain, tmp_path: Path) -> None:
    from ckfunc.base.files import cache_dir

    with Emulator(tmp_path, EmulatorOptions(seed=people("ann")), cache=cache_dir()):
        with Sandbox(
            tools, Scripts({TYPE: Script("a.ts", MAKE_USER), START: Script("b.ts", LIST_USERS)}), data=tmp_path
        ) as sandbox:
            assert payload(sandbox.run(TYPE, {})) == 2
            sandbox.restore_data()
            assert payload(sandbox.run(START, {})) == [[1, "ann"]]
        with Sandbox.for_one_run(tools, scripts(LIST_USERS), data=tmp_path) as other:
            assert payload(other.run(TYPE, {})) == [[1, "ann"]]


def test_a_syntax_error_fails_the_run_with_its_position_in_the_file(tools: Toolchain) -> None:
    with Sandbox(tools, scripts("function handleEvent() {\n  return (;\n}")) as sandbox:
        error = sandbox.run(TYPE, {}).invocation.result["error"]
        assert error["name"] == "SyntaxError"
        assert "handlers/x.ts:2:" in error["message"]
        sandbox.use(scripts(LIST_USERS, initialization_script=Script("init.ts", "let a b;")))
        error = sandbox.run(TYPE, {}).invocation.result["error"]
        assert "init.ts:1:" in error["message"]


def test_the_stack_of_a_failure_has_the_line_numbers_of_the_source(tools: Toolchain) -> None:
    text = "type T = number;\n\nfunction deep() { throw new Error('no'); }\nfunction handleEvent() {\n  deep();\n}"
    with Sandbox(tools, scripts(text)) as sandbox:
        ran = sandbox.run(TYPE, {})
    assert ran.invocation.status is Status.FAILED
    stack = ran.invocation.result["error"]["stack"]
    assert "at deep (handlers/x.ts:3:" in stack
    assert "at handleEvent (handlers/x.ts:5:" in stack


def test_a_trigger_type_without_a_handler_is_refused(tools: Toolchain) -> None:
    with (
        Sandbox(tools, scripts(LIST_USERS)) as sandbox,
        pytest.raises(NoHandler, match=r"user\.read\.message"),
    ):
        sandbox.run("user.read.message", {})


def test_a_session_is_allowed_or_denied_as_on_the_platform(tools: Toolchain) -> None:
    text = "function handleEvent(event: any) { if (event.username === 'bad') throw new Error('not you'); }"
    with Sandbox(tools, scripts(text, START)) as sandbox:
        good = sandbox.run(START, {"username": "jane", "authParams": {"a": 1}, "more": True})
        assert (good.allowed, good.reason, good.invocation.args["more"]) == (True, None, True)
        bad = sandbox.run(START, {"username": "bad"})
        assert (bad.allowed, bad.reason, bad.invocation.status) == (False, "not you", Status.FAILED)
        odd = sandbox.run(START, {})
        assert (odd.allowed, odd.invocation.status) == (None, Status.SUCCEEDED)


def test_calls_of_a_handler_do_not_trigger_other_functions(tools: Toolchain) -> None:
    send = """
      async function handleEvent(event: any, context: any) {
        await context.ChatKitty.Channels.sendChannelMessage(1, { type: 'TEXT', body: 'hi' });
      }
    """
    given = Scripts(
        {START: Script("a.ts", send), NOTIFIED: Script("b.ts", MAKE_USER), TYPE: Script("c.ts", LIST_USERS)}
    )
    seed = read_seed({"users": [{"name": "ann"}], "channels": [{"name": "desk", "members": ["ann"]}]})
    with Sandbox(tools, given, seed=seed) as sandbox:
        assert payload(sandbox.run(START, {"text": 1})) is None
        assert payload(_when_quiet(sandbox, TYPE)) == [[1, "ann"]]


def _when_quiet(sandbox: Sandbox, trigger_type: str) -> Ran:
    """Run after all running invocations have ended."""
    sandbox._emulator.snapshot()
    return sandbox.run(trigger_type, {})


def test_calls_that_a_handler_does_not_await_are_part_of_its_run(tools: Toolchain) -> None:
    text = """
      async function handleEvent(event: any, context: any) {
        const { Users } = context.ChatKitty;
        Users.createUser({ name: 'late', displayName: 'L', isGuest: false }).then(() => Users.listUsers());
        fetch(process.env.CHATKITTY_CHAT_SERVICE_BASE_URL + '/v1/nothing').then(() => console.log('answered'));
        return 'early';
      }
    """
    with Sandbox(tools, scripts(text)) as sandbox:
        for _ in range(3):
            ran = sandbox.run(TYPE, {})
            assert payload(ran) == "early"
            found = sorted((call.method, call.path, call.status) for call in ran.detail.calls)
            assert found == [("GET", "/nothing", 404), ("GET", "/users", 200), ("POST", "/users", 200)]
            assert [line.text for line in ran.detail.console] == ["answered"]
            sandbox.restore_data()


def test_runs_can_be_deterministic_and_without_network_access(tools: Toolchain) -> None:
    text = """
      async function handleEvent() {
        const far = await fetch('http://127.0.0.1:59999/').catch((error: any) => error.cause.message);
        return [Date.now(), Math.random(), far];
      }
    """
    with Sandbox(tools, scripts(text), Conditions(determinism=Determinism(1000, 1), network=False)) as sandbox:
        first = payload(sandbox.run(TYPE, {}))
        assert first[0] == 1000
        assert "can only reach the platform" in first[2]
        assert payload(sandbox.run(TYPE, {})) == first
        assert payload(sandbox.run(TYPE, {}, determinism=Determinism(2000, 2)))[0] == 2000


def test_sandboxes_run_concurrently(tools: Toolchain) -> None:
    def many(number: int) -> list[Any]:
        with Sandbox(tools, scripts(MAKE_USER), seed=people(*(f"u{index}" for index in range(number)))) as sandbox:
            found = []
            for _ in range(5):
                found.append(payload(sandbox.run(TYPE, {})))
                sandbox.restore_data(reload=True)
            return found

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(many, range(4))) == [[number + 1] * 5 for number in range(4)]


@pytest.mark.slow
def test_the_number_of_processes_is_limited(tools: Toolchain) -> None:
    types = [f"type.{number}" for number in range(MOST_PROCESSES + 3)]
    given = Scripts(
        {
            trigger_type: Script(f"{trigger_type}.ts", "function handleEvent() { return process.pid }")
            for trigger_type in types
        }
    )
    with Sandbox(tools, given) as sandbox:
        pids = [payload(sandbox.run(trigger_type, {})) for trigger_type in types]
        assert len(set(pids)) == len(types)
        reused = [payload(sandbox.run(trigger_type, {})) for trigger_type in types[-MOST_PROCESSES:]]
        assert reused == pids[-MOST_PROCESSES:]
        assert payload(sandbox.run(types[0], {})) not in pids


def test_a_run_can_be_stopped_from_another_thread(tools: Toolchain) -> None:
    with Sandbox(tools, scripts("function handleEvent() { console.log('on'); for (;;); }")) as sandbox:
        runs: list[Ran] = []
        started = threading.Event()
        running = threading.Thread(target=lambda: runs.append(sandbox.run(TYPE, {}, lambda _: started.set())))
        running.start()
        assert started.wait(60)
        sandbox.stop()
        running.join(30)
        assert not running.is_alive()
    assert runs[0].invocation.status is Status.FAILED


def test_a_run_that_exceeds_its_time_limit_does_not_affect_the_next_run(tools: Toolchain) -> None:
    text = "function handleEvent(event: any) { while (event.loop); return 1; }"
    with Sandbox(tools, scripts(text), Conditions(Limits(time_s=0.3))) as sandbox:
        assert "within 0.3 s" in sandbox.run(TYPE, {"loop": True}).invocation.result["error"]["message"]
        sandbox.restore_data()
        assert payload(sandbox.run(TYPE, {})) == 1


def test_a_sandbox_outside_of_its_context_raises_an_error(tools: Toolchain) -> None:
    with pytest.raises(RuntimeError):
        _ = Sandbox(tools, scripts("")).url


def test_cached_compilation_results_need_no_compiler(tmp_path: Path) -> None:
    from ckfunc.model.execution import Compiled, SyntaxProblem
    from ckfunc.runtime.compiler import CachingCompiler, CompilerProcess

    def none() -> CompilerProcess:
        raise AssertionError("the compiler was started although the result is cached")

    source = ("handlers/x.ts", "const a: number = 1;")
    with CompilerProcess() as compiler:
        (first,) = CachingCompiler(lambda: compiler, tmp_path).compile([source])
        assert isinstance(first, Compiled)
        assert CachingCompiler(none, tmp_path).compile([source, source]) == (first, first)
        (file,) = tmp_path.rglob("*.json")
        file.write_text("{")
        assert CachingCompiler(lambda: compiler, tmp_path).compile([source]) == (first,)
        assert CachingCompiler(none, tmp_path).compile([source]) == (first,)
        broken = CachingCompiler(lambda: compiler, tmp_path)
        (problem,) = broken.compile([("x.ts", "let a b;")])
        assert isinstance(problem, SyntaxProblem)
        assert broken.compile([("x.ts", "let a b;")]) == (problem,)
    assert len(list(tmp_path.rglob("*.json"))) == 1


def test_results_of_other_compiler_programs_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ckfunc.runtime.compiler import CachingCompiler, CompilerProcess

    source = ("handlers/x.ts", "const a: number = 1;")
    with CompilerProcess() as compiler:
        CachingCompiler(lambda: compiler, tmp_path).compile([source])
        monkeypatch.setattr("ckfunc.runtime.compiler.programs_digest", lambda: "another")
        CachingCompiler(lambda: compiler, tmp_path).compile([source])
    assert len(list(tmp_path.rglob("*.json"))) == 2
