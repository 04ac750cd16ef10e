"""Isolation of handlers from files, sockets, processes and the host's channel."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from runtime.conftest import Bench
from support.sampling import sampled

from ckfunc.model.execution import Limits
from ckfunc.runtime.confinement import Isolation, Reach, call_confined, isolation
from ckfunc.runtime.frames import BrokenStream, Decoder, encode
from ckfunc.runtime.pool import HostPool

IN_FORCE = isolation() if sys.platform == "linux" else Isolation()
needs_files = pytest.mark.skipif(not IN_FORCE.files, reason="this kernel does not confine files")
needs_sockets = pytest.mark.skipif(not IN_FORCE.sockets, reason="this kernel does not confine sockets")

# Calls WASI's functions as a module would, with a memory of its own; 0 is success.
WASI = """
const { WASI } = require('node:wasi');
function wasi(preopens) {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const instance = new WASI({ version: 'preview1', preopens });
  instance.initialize({ exports: { memory } });
  return (name, creates) => {
    const path = Buffer.from(name);
    new Uint8Array(memory.buffer).set(path, 100);
    return instance.wasiImport.path_open(3, 0, 100, path.length, creates ? 1 : 0, creates ? 64n : 2n, 0n, 0, 0);
  };
}
"""


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """A project of the developer."""
    (tmp_path / ".env").write_text("KEY=canary\n")
    return tmp_path


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[str]:
    """A Unix socket such as ssh-agent's."""
    path = f"/tmp/ckfunc-test-{os.getpid()}-{tmp_path.name[-8:]}.sock"
    with socket.socket(socket.AF_UNIX) as server, contextlib.closing(server):
        server.bind(path)
        server.listen()
        yield path
    Path(path).unlink()


def result(outcome: Any) -> Any:
    assert outcome.error is None, outcome.error
    return json.loads(outcome.payload_json)


@pytest.mark.parametrize("place", [".env", "made.txt"])
def test_webassembly_cannot_open_the_developers_files(run: Any, secrets: Path, place: str) -> None:
    source = f"""{WASI}
        function handleEvent({{ root, place }}) {{ return wasi({{ '/': root }})(place, place !== '.env'); }}"""
    assert run(source, {"root": str(secrets), "place": place}).error.message == (
        "UVWASI_EACCES, uvwasi_init" if IN_FORCE.files else "handlers are not allowed to do this"
    )
    assert sorted(path.name for path in secrets.iterdir()) == [".env"]


@needs_files
def test_webassembly_can_use_the_temporary_directory(run: Any) -> None:
    source = f"{WASI} function handleEvent() {{ return wasi({{ '/': require('os').tmpdir() }})('note', true); }}"
    assert result(run(source)) == 0


@needs_files
@pytest.mark.parametrize("name", ["environ", "mem", "maps", "cwd/functions.yaml", "root/etc/hosts"])
def test_the_parent_process_cannot_be_read_through_proc(run: Any, name: str) -> None:
    source = f"{WASI} function handleEvent({{ name }}) {{ return wasi({{ '/': '/proc/' + process.ppid }})(name); }}"
    assert result(run(source, {"name": name})) != 0


@needs_files
def test_symbolic_links_do_not_bypass_the_isolation(run: Any, secrets: Path) -> None:
    source = f"""{WASI}
        function handleEvent({{ root }}) {{
          const place = require('os').tmpdir();
          try {{ require('fs').symlinkSync(root, place + '/link'); }} catch {{}}
          return [wasi({{ '/': place }})('link/.env'), wasi({{ '/': '/proc/self' }})('root/' + root + '/.env')];
        }}"""
    assert 0 not in result(run(source, {"root": str(secrets)}))


CONNECT = """
const connect = (path) => new Promise((resolve) => require('net').connect(path)
  .on('connect', () => resolve('connected')).on('error', (error) => resolve(error.code)));
"""


@needs_sockets
@pytest.mark.parametrize("where", ["main", "worker"])
def test_a_handler_cannot_connect_to_a_unix_socket(run: Any, agent: str, where: str) -> None:
    inside = f"{CONNECT} const path = {json.dumps(agent)};"
    if where == "main":
        source = f"{inside} function handleEvent() {{ return connect(path); }}"
    else:
        script = f"{inside} connect(path).then((it) => require('worker_threads').parentPort.postMessage(it));"
        source = f"""function handleEvent() {{
          const {{ Worker }} = require('worker_threads');
          const worker = new Worker({json.dumps(script)}, {{ eval: true }});
          return new Promise((resolve) => worker.on('message', resolve).on('error', (error) => resolve(error.message)));
        }}"""
    assert result(run(source)) == "EACCES"


@needs_files
def test_a_handler_cannot_connect_to_an_abstract_socket(run: Any) -> None:
    name = f"\0ckfunc-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        source = f"{CONNECT} function handleEvent({{ name }}) {{ return connect(name); }}"
        assert result(run(source, {"name": name})) in ("EACCES", "EPERM")


@needs_sockets
@pytest.mark.parametrize("place", ["0", "0, '127.0.0.1'", "require('os').tmpdir() + '/socket'"])
def test_a_handler_cannot_listen(run: Any, place: str) -> None:
    source = f"""function handleEvent() {{
      const server = require('net').createServer();
      return new Promise((resolve) => {{
        server.on('error', (error) => resolve(error.code)).listen({place}, () => resolve('listens'));
      }});
    }}"""
    assert result(run(source)) == "EACCES"


def test_connections_dns_lookups_and_datagrams_are_allowed(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stats:
        stats.bind(("127.0.0.1", 0))
        stats.settimeout(10)
        source = """async function handleEvent({ port, stats }) {
          const found = await require('dns').promises.lookup('localhost', { family: 4 });
          const connected = await new Promise((resolve) => require('net').connect(port, found.address)
            .on('connect', function () { this.destroy(); resolve(true); }).on('error', resolve));
          const socket = require('dgram').createSocket('udp4');
          await new Promise((resolve) => socket.send('count:1', stats, '127.0.0.1', resolve));
          socket.close();
          const usage = process.memoryUsage().rss > 0 && process.availableMemory() > 0;
          return [found.address, connected, usage, require('os').cpus().length > 0];
        }"""
        event = {"port": server.getsockname()[1], "stats": stats.getsockname()[1]}
        assert result(run(source, event)) == ["127.0.0.1", True, True, True]
        assert stats.recv(100) == b"count:1"


@pytest.mark.parametrize("signal", ["0", "'SIGTERM'", "'SIGKILL'"])
@pytest.mark.parametrize("target", ["process.ppid", "1"])
def test_a_handler_cannot_signal_another_process(run: Any, signal: str, target: str) -> None:
    source = f"""function handleEvent() {{
      try {{ return process.kill({target}, {signal}); }} catch (error) {{ return error.code; }}
    }}"""
    assert result(run(source)) == "EPERM"


def test_a_handler_can_signal_its_own_process(run: Any) -> None:
    assert result(run("function handleEvent() { return process.kill(process.pid, 0); }")) is True


@needs_files
def test_a_worker_thread_cannot_signal_another_process(run: Any) -> None:
    source = """function handleEvent() {
      const { Worker } = require('worker_threads');
      const script = "let it; try { it = process.kill(process.ppid, 0); } catch (e) { it = e.code; }"
        + "require('worker_threads').parentPort.postMessage(it);";
      return new Promise((resolve) => new Worker(script, { eval: true }).on('message', resolve).on('error', resolve));
    }"""
    assert IN_FORCE.signals is False or result(run(source)) == "EPERM"


@pytest.mark.parametrize(
    "write",
    sampled(
        [
            "require('fs').writeFileSync(file, 'x')",
            "require('v8').writeHeapSnapshot(file)",
            "process.report.writeReport(file)",
            "require('v8').setHeapSnapshotNearHeapLimit(1)",
            "require('inspector').open(0)",
            "process.binding('fs').open(file, 65, 438)",
            "require('child_process').execFileSync('/bin/sh', ['-c', 'echo x > ' + file])",
        ]
    ),
)
def test_other_ways_to_write_a_file_are_blocked(run: Any, tmp_path: Path, write: str) -> None:
    source = f"function handleEvent({{ file }}) {{ try {{ {write}; }} catch {{}} return 1; }}"
    run(source, {"file": str(tmp_path / "written")})
    assert list(tmp_path.iterdir()) == []


@needs_files
def test_only_the_thread_that_starts_a_process_is_confined(tmp_path: Path) -> None:
    def inside() -> str:
        try:
            return (tmp_path / "x").write_text("x") and "written"
        except OSError as error:
            return error.strerror

    assert call_confined(inside, Reach()) == "Permission denied"
    assert call_confined(inside, Reach(writes=(tmp_path,))) == "written"
    assert inside() == "written"


# -- other projects ----------------------------------------------------------------------------------------------------


def test_scripts_and_compiled_code_of_other_projects_cannot_be_read(compiler: Any, cache: Path, tmp_path: Path) -> None:
    other = tmp_path.name
    look = f"""{WASI}
        const {{ readdirSync, readFileSync }} = require('fs');
        function handleEvent({{ names }}) {{
          return names.map((name) => {{
            try {{ return readdirSync(name).length; }} catch {{}}
            try {{ return readFileSync(name).length; }} catch {{}}
            try {{ return wasi({{ '/': name }})('.'); }} catch (error) {{ return 'refused'; }}
          }});
        }}"""

    async def run(owner: str | None, source: str, event: dict[str, Any]) -> tuple[Any, HostPool]:
        hosts = HostPool(limits=Limits(), cache=cache, owner=owner)
        try:
            return await Bench(compiler, hosts).run(source, event), hosts
        finally:
            await hosts.close()

    async def scenario() -> None:
        _, theirs = await run(other, "function handleEvent() { return 'theirs'; }", {})
        scope = theirs._code.owner
        places = [*cache.glob(f"runtimes/*/handlers/{scope}"), *cache.glob(f"compiled/*-{scope}")]
        assert places
        places += [file for place in places for file in place.rglob("*") if file.is_file()]
        names = [str(path) for path in (*places, cache / "compiled", places[0].parent)]
        seen, _ = await run(f"{other}-2", look, {"names": names})
        assert set(result(seen)) == {"refused"}

    asyncio.run(scenario())


def test_scripts_without_a_project_are_removed_on_close(run: Any, tmp_path: Path) -> None:
    for _ in range(2):
        run("function handleEvent() {}", cache=tmp_path, dependencies={})
        assert [path.name.partition("-")[2] for path in (tmp_path / "compiled").iterdir()] == ["clean"]
        assert list((tmp_path / "runtimes").glob("*/handlers/*")) == []


# -- the channel -------------------------------------------------------------------------------------------------------

FORGE = """
const fs = require('fs');
function forge(header, body = '') {
  const head = Buffer.from(header), tail = Buffer.from(body);
  const frame = Buffer.alloc(8 + head.length + tail.length);
  frame.writeUInt32BE(4 + head.length + tail.length, 0);
  frame.writeUInt32BE(head.length, 4);
  head.copy(frame, 8);
  tail.copy(frame, 8 + head.length);
  for (let fd = 3; fd < 500; fd++) try { if (fs.fstatSync(fd).isSocket()) fs.writeSync(fd, frame); } catch {}
}
"""


@pytest.mark.parametrize(
    "header",
    sampled(
        [
            "'{\"x\":'.repeat(100_000) + '1' + '}'.repeat(100_000)",
            "'['.repeat(100_000)",
            "JSON.stringify({ op: 'done', id: 3 })",
            "JSON.stringify({ op: 'spoiled' })",
            "JSON.stringify({ op: 'log', id: 0, level: 'log' })",
            "''",
        ]
    ),
)
def test_a_forged_frame_ends_the_process_with_a_message(play: Any, header: str) -> None:
    source = f"""{FORGE} function handleEvent({{ fine }}) {{
      if (fine) return 'fine';
      forge({header}, '"forged"');
      return new Promise(() => {{}});
    }}"""

    async def scenario(bench: Bench) -> Any:
        return await bench.run(source), await bench.run(source, {"fine": True})

    failed, after = play(scenario, limits=Limits(time_s=5.0))
    assert failed.error.message == "the handler wrote to the channel that its host uses"
    assert result(after) == "fine"


def test_frames_are_accepted_only_with_their_seal_in_chunks_of_any_size() -> None:
    seal = b"0123456789abcdef"
    whole = seal + encode({"op": "ready"}) + seal + encode({"op": "done", "id": 1}, "1")
    for size in (1, 5, 17, len(whole)):
        decoder = Decoder(seal)
        found = [frame for at in range(0, len(whole), size) for frame in decoder.feed(whole[at : at + size])]
        assert found == [({"op": "ready"}, ""), ({"op": "done", "id": 1}, "1")]
    for forged in (encode({"op": "ready"}), seal[:-1] + b"x", b"1"):
        with pytest.raises(BrokenStream):
            list(Decoder(seal).feed(forged))


def test_a_header_nested_too_deeply_is_refused() -> None:
    with pytest.raises(BrokenStream):
        list(Decoder().feed(b"\0\x0f\x42\x44" + b"\0\x0f\x42\x40" + b"[" * 1_000_000))


# -- effects of a run on the next --------------------------------------------------------------------------------------

REPLACED = {
    "JSON": "JSON.parse = () => 'mine';",
    "an iterator": "Array.prototype[Symbol.iterator] = function* () {};",
    "promises": "Promise.prototype.then = function () { return this; };",
    "a timer": "globalThis.setTimeout = () => {};",
    "a getter of maps": "Object.defineProperty(Map.prototype, 'size', { get: () => 9, configurable: true });",
    "all objects": "Object.prototype.injected = 1;",
    "strings": "String.prototype.split = () => [];",
    "a built-in module": "require('http').request = () => {};",
    "stacks": "Error.prepareStackTrace = () => 'mine';",
    "the console": "console.log = () => {};",
    "the working directory": "process.chdir(require('os').tmpdir());",
    "the host's listeners": "process.removeAllListeners('unhandledRejection');",
    "the checks": "Reflect.ownKeys = Object.getOwnPropertyDescriptor = () => []; JSON.parse = () => 'mine';",
}
LOOK = """
  return [JSON.parse('1'), [...[1, 2]].length, 'a,b'.split(',').length, new Map().size, typeof ({}).injected,
    setTimeout.name, require('http').request.name, typeof new Error('x').stack, console.log.name,
    process.listenerCount('unhandledRejection'), process.cwd() === require('os').tmpdir(),
    Promise.prototype.then.name];
"""


@pytest.mark.parametrize("name", sampled(REPLACED, every=3))
def test_changed_built_ins_are_restored_for_the_next_run(play: Any, name: str) -> None:
    source = f"""
      const pid = process.pid;
      async function handleEvent({{ leave }}) {{
        if (leave) {{ {REPLACED[name]} return; }}
        {LOOK}
      }}"""

    async def scenario(bench: Bench) -> Any:
        before = await bench.run(source)
        await bench.run(source, {"leave": True})
        return before, await bench.run(source), bench

    before, after, _ = play(scenario, limits=Limits(time_s=5.0))
    assert result(after) == result(before)


def test_built_ins_changed_after_the_result_are_restored(play: Any) -> None:
    source = """function handleEvent({ leave }) {
      if (leave) setTimeout(() => { JSON.parse = () => 'mine'; }, 20);
      return JSON.parse.name;
    }"""

    async def scenario(bench: Bench) -> Any:
        await bench.run(source, {"leave": True})
        await asyncio.sleep(0.2)
        return await bench.run(source)

    assert result(play(scenario)) == "parse"


@pytest.mark.parametrize(
    "spin",
    [
        "setTimeout(() => { for (;;); }, 10);",
        pytest.param("setImmediate(() => { for (;;); });", marks=pytest.mark.slow),
        pytest.param(
            "process.nextTick(() => setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)));",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_process_that_is_still_busy_is_replaced_before_the_next_run(play: Any, spin: str) -> None:
    source = f"function handleEvent({{ leave }}) {{ if (leave) {{ {spin} }} return 1; }}"

    async def scenario(bench: Bench) -> Any:
        first = await bench.run(source, {"leave": True})
        await asyncio.sleep(0.05)
        return first, await bench.run(source), await bench.run(source)

    assert [result(outcome) for outcome in play(scenario)] == [1, 1, 1]


def test_a_new_version_is_not_loaded_into_a_busy_process(play: Any) -> None:
    async def scenario(bench: Bench) -> Any:
        await bench.run("function handleEvent() { setImmediate(() => { for (;;); }); return 1; }", number=1)
        await asyncio.sleep(0.05)
        return await bench.run("function handleEvent() { return 2; }", number=2)

    assert result(play(scenario)) == 2


def test_globals_added_during_loading_stay_in_the_same_process(play: Any) -> None:
    source = """
      BigInt.prototype.toJSON = function () { return String(this); };
      globalThis.calls = { count: 0 };
      const started = process.hrtime.bigint();
      function handleEvent() {
        globalThis.calls = { count: globalThis.calls.count + 1 };
        return [globalThis.calls.count, started];
      }
    """

    async def scenario(bench: Bench) -> Any:
        return [result(await bench.run(source)) for _ in range(3)]

    found = play(scenario)
    assert [count for count, _ in found] == [1, 2, 3]
    assert len({started for _, started in found}) == 1
