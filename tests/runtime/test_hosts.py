"""Host processes: reuse, replacement, restart and shutdown."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.loopback import Reply, serve

from ckfunc.base.secrets import Secret
from ckfunc.model.execution import ApiAccess, Environment, Limits
from ckfunc.runtime.pool import MOST_AT_ONCE, HostPool

PID = "function handleEvent() { return process.pid; }"
COUNT = "const logs = [];\nfunction handleEvent(event) { logs.push(event.n); return logs.length; }"
SLOW = "async function handleEvent({ url }) { if (url) await fetch(url); return [process.pid, 'old']; }"


@contextmanager
def gate():
    """Serve a response once `open` is called, and yield a function that waits for the request."""
    opened, arrived = threading.Event(), threading.Event()

    def answer(request):
        arrived.set()
        opened.wait()
        return Reply()

    async def somebody():
        while not arrived.is_set():
            await asyncio.sleep(0.005)

    with serve(answer) as server:
        try:
            yield server.url, somebody, opened.set
        finally:
            opened.set()


def running(pid: int) -> bool:
    """Return whether a process is running; a zombie is not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def ends(pid: int) -> bool:
    until = time.monotonic() + 20
    while running(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not running(pid)


def payloads(outcomes):
    return [json.loads(outcome.payload_json) for outcome in outcomes]


def test_runs_of_a_version_share_its_module(play):
    async def scenario(bench):
        return [await bench.run(COUNT, {"n": n}) for n in range(3)]

    assert payloads(play(scenario)) == [1, 2, 3]


def test_each_function_has_its_own_process(play):
    async def scenario(bench):
        return [await bench.run(PID, key=key) for key in ("a", "b", "a", "b")]

    a, b, a_again, b_again = payloads(play(scenario, spares=True))
    assert (a, b) == (a_again, b_again)
    assert a != b


def test_runs_of_one_function_are_interleaved(play):
    async def scenario(bench):
        source = """
let arrived = 0, open;
const gate = new Promise((resolve) => { open = resolve; });
async function handleEvent() { if (++arrived === 10) open(); await gate; return arrived; }"""
        return await asyncio.gather(*(bench.run(source) for _ in range(10)))

    assert payloads(play(scenario)) == [10] * 10


def test_runs_beyond_the_concurrency_limit_wait(play):
    async def scenario(bench):
        source = """
let now = 0, most = 0;
async function handleEvent() {
  most = Math.max(most, ++now);
  await new Promise((go) => setTimeout(go, 5));
  now--;
  return most;
}"""
        await bench.run(source)
        return await asyncio.gather(*(bench.run(source) for _ in range(MOST_AT_ONCE * 3)))

    assert 10 < max(payloads(play(scenario))) <= MOST_AT_ONCE


def test_a_new_version_runs_while_the_old_version_finishes(play):
    async def scenario(bench):
        pid = await bench.run(PID)
        with gate() as (url, somebody, let_in):
            old = asyncio.ensure_future(bench.run(SLOW, {"url": url}, number=2))
            await somebody()
            new = await bench.run("function handleEvent() { return [process.pid, 'new']; }", number=3)
            assert not old.done()
            let_in()
            return [pid, new, await old]

    pid, new, old = payloads(play(scenario))
    assert new == [pid, "new"]
    assert old == [pid, "old"]


def test_a_new_version_of_the_same_script_has_its_own_module(play):
    async def scenario(bench):
        esm = COUNT.replace("function handle", "export function handle")
        return [await bench.run(source, {"n": 0}, number=number) for source in (COUNT, esm) for number in (1, 1, 2, 1)]

    assert payloads(play(scenario)) == [1, 2, 1, 3] * 2


def test_an_old_version_can_be_called_after_many_new_ones(play):
    async def scenario(bench):
        sources = [f"function handleEvent() {{ return {n}; }}" for n in range(12)]
        return [await bench.run(sources[n], number=n) for n in [*range(12), 0, 11]]

    assert payloads(play(scenario)) == [*range(12), 0, 11]


def test_a_changed_environment_starts_a_new_process_and_current_runs_finish(play):
    async def scenario(bench):
        with gate() as (url, somebody, let_in):
            old = asyncio.ensure_future(bench.run(SLOW, {"url": url}))
            await somebody()
            bench.variables = {"NEW": "yes"}
            new = await bench.run("const handleEvent = () => [process.pid, process.env.NEW];", number=2)
            assert not old.done()
            let_in()
            (old_pid, _), (new_pid, value) = payloads([await old, new])
        assert old_pid != new_pid
        assert value == "yes"
        while running(old_pid):
            await asyncio.sleep(0.01)

    play(scenario, spares=True)


def test_an_idle_process_is_stopped_and_the_next_run_starts_another(play):
    async def scenario(bench):
        (first,) = payloads([await bench.run(PID)])
        while running(first):
            await asyncio.sleep(0.02)
        return first, *payloads([await bench.run(PID)])

    first, second = play(scenario, idle_s=0.3, spares=True)
    assert first != second


def test_prepare_loads_handlers_and_leaves_errors_to_their_runs(play):
    async def scenario(bench):
        good, bad = bench.version(PID, key="good"), bench.version("throw new Error('top');", key="bad")
        await bench.hosts.prepare(bench.environment(), [good, bad])
        return [await bench.hosts.invoke(bench.environment(), source, {}) for source in (good, bad)]

    good, bad = play(scenario)
    assert good.payload_json
    assert bad.error.message == "top"


def test_a_failed_installation_fails_the_run_with_a_message(play, tmp_path, monkeypatch):
    (tmp_path / "npmrc").write_text("registry=http://127.0.0.1:9/\nfetch-retries=0\n")
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
    monkeypatch.delenv("npm_config_registry", raising=False)
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    told = []

    async def scenario(bench):
        await bench.hosts.prepare(bench.environment(), [bench.version(PID)])
        outcomes = [await bench.run(PID) for _ in range(2)]
        bench.dependencies = {}
        return [*outcomes, await bench.run(PID)]

    first, second, without = play(
        scenario, dependencies={"tiny": "1.0.0"}, cache=tmp_path / "cache", on_event=told.append
    )
    assert first.error.name == "DependenciesFailed"
    assert first.error.message.startswith("npm could not reach its registry (ECONNREFUSED) (")
    assert second.error == first.error
    assert told == ["installing 1 package with npm"]  # the installation is not retried for each run
    assert without.payload_json


def test_a_missing_node_fails_the_run_with_a_message(play, monkeypatch, tmp_path):
    async def scenario(bench):
        version = bench.version("function handleEvent() {}")
        monkeypatch.setenv("CKFUNC_NODE", str(tmp_path / "nothing"))
        return await bench.hosts.invoke(bench.environment(), version, {})

    outcome = play(scenario)
    assert outcome.error.name == "NodeMissing"
    assert "which is not a program" in outcome.error.message


def test_a_cancelled_caller_does_not_affect_other_callers(play):
    async def scenario(bench):
        with gate() as (url, somebody, let_in):
            cancelled = asyncio.ensure_future(bench.run(SLOW, {"url": url}))
            other = asyncio.ensure_future(bench.run(SLOW, {"url": url}))
            await somebody()
            cancelled.cancel()
            let_in()
            return await other

    assert play(scenario).payload_json


def test_close_ends_current_runs_with_a_message(play):
    async def scenario(bench):
        (pid,) = payloads([await bench.run(PID)])
        hanging = asyncio.ensure_future(bench.run("function handleEvent() { for (;;); }", number=2))
        booting = asyncio.ensure_future(bench.run(PID, key="other"))
        await asyncio.sleep(0.05)
        await bench.hosts.close()
        assert not running(pid)
        after = await bench.run(PID, key="after")
        return await hanging, await booting, after

    hanging, booting, after = play(scenario, spares=True)
    assert hanging.error.message == "the run was ended because ckfunc is stopping"
    assert booting.payload_json or booting.error.name == "HostsClosed"
    assert after.error.name == "HostsClosed"


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="descriptors cannot be counted here")
def test_all_descriptors_are_closed(play):
    async def scenario(bench):
        await bench.run(PID)
        await bench.run("function handleEvent() { process.abort(); }", number=2)
        await bench.run(PID, key="other")

    play(scenario, spares=True)
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        play(scenario, spares=True)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_hosts_work_in_an_event_loop_of_another_thread(play):
    results = []

    async def scenario(bench):
        crash = await bench.run("function handleEvent() { process.abort(); }")
        return crash, await bench.run(PID, number=2)

    thread = threading.Thread(target=lambda: results.append(play(scenario)))
    thread.start()
    thread.join()
    crash, fine = results[0]
    assert crash.error.name == "ProcessEnded"
    assert fine.payload_json


def test_hosts_work_over_pipes_without_socket_pairs(play):
    async def scenario(bench):
        return [
            await bench.run(COUNT, {"n": 1}),
            await bench.run(
                "function handleEvent() { console.log('seen'); return 'x'.repeat(300000).length; }", number=2
            ),
            await bench.run("function handleEvent() { for (;;); }", number=3),
            await bench.run("function handleEvent() { process.abort(); }", number=4),
            *await asyncio.gather(*(bench.run(COUNT, {"n": n}, number=5) for n in range(20))),
        ]

    first, second, loop, crash, *rest = play(scenario, sockets=False, limits=Limits(time_s=0.7))
    assert first.payload_json == "1"
    assert (second.payload_json, second.console[0].text) == ("300000", "seen")
    assert loop.error.name == "TimeLimitError"
    assert crash.error.name == "ProcessEnded"
    assert sorted(payloads(rest)) == list(range(1, 21))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL and process groups are POSIX")
@pytest.mark.parametrize(
    "body",
    [
        "for (;;);",
        pytest.param("return new Promise(() => {});", marks=pytest.mark.slow),
        pytest.param("setInterval(() => {}, 5); return 1;", marks=pytest.mark.slow),
    ],
)
def test_processes_end_even_if_ckfunc_is_killed(tmp_path, cache, body):
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from ckfunc.base.secrets import Secret
        from ckfunc.model.execution import ApiAccess, Environment, HandlerVersion, Limits
        from ckfunc.runtime.compiler import CompilerProcess
        from ckfunc.runtime.pool import HostPool

        source = "function handleEvent() {{ console.log(process.pid, require('os').tmpdir()); {body} }}"

        async def main():
            with CompilerProcess() as compiler:
                (script,) = compiler.compile([("handler.ts", source)])
            hosts = HostPool(limits=Limits(time_s=60), cache=Path({str(cache)!r}))
            nowhere = ApiAccess("http://127.0.0.1:9", "http://127.0.0.1:9", "a", Secret("b"))
            environment = Environment({{}}, {{}}, nowhere)
            await hosts.prepare(environment, [])
            show = lambda line: print(line.text, flush=True)
            await hosts.invoke(environment, HandlerVersion("f", 1, script), {{}}, show)
            await asyncio.sleep(60)

        asyncio.run(main())
        """)
    )
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, text=True) as parent:
        try:
            number, scratch = parent.stdout.readline().split()
            pid = int(number)
            assert running(pid)
            assert Path(scratch).is_dir()
        finally:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
    assert ends(pid)
    until = time.monotonic() + 20
    while Path(scratch).exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(scratch).exists()


def test_secrets_are_not_in_the_repr_of_an_environment():
    api = ApiAccess("http://127.0.0.1:9", "http://127.0.0.1:9", "client", Secret("s3cret-value"))
    shown = repr(Environment({}, {"KEY": Secret("s3cret-value")}, api))
    assert "s3cret" not in shown
    assert "client" in shown


def test_close_stops_a_running_installation(play, tmp_path, monkeypatch):
    """The registry here never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (tmp_path / "npmrc").write_text(f"registry=http://127.0.0.1:{silent.getsockname()[1]}/\n")
        monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))
        monkeypatch.delenv("npm_config_registry", raising=False)
        monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))

        async def scenario(bench):
            waiting = asyncio.ensure_future(bench.run(PID))
            connection, _ = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
            with connection:
                await bench.hosts.close()
                return await waiting

        outcome = play(scenario, dependencies={"tiny": "1.0.0"}, cache=tmp_path / "cache")
    assert outcome.error.message == "the installation of the packages was stopped"


def test_unused_hosts_can_be_closed(cache):
    asyncio.run(HostPool(limits=Limits(), cache=cache).close())
