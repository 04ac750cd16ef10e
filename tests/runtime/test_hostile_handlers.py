"""Hostile handlers, and handlers with excessive output: no lasting effect on their host."""

from __future__ import annotations

import json

import pytest

from ckfunc.base.documents import DEEPEST
from ckfunc.model.application import ConsoleLine
from ckfunc.model.execution import Limits
from ckfunc.runtime.frames import BrokenStream, read_answer, read_line, request_of

FAST = Limits(time_s=3.0)


def test_a_result_may_be_nested_as_deeply_as_an_event(run):
    source = "function handleEvent({ levels }) { let o = 1; for (let i = 0; i < levels; i++) o = [o]; return o; }"
    assert run(source, {"levels": DEEPEST}).payload_json == "[" * DEEPEST + "1" + "]" * DEEPEST
    for levels in (DEEPEST + 1, 3000):
        error = run(source, {"levels": levels}).error
        assert error.name == "ResultError"
        assert error.message == "the handler's result is nested too deeply; at most 200 levels are allowed"


@pytest.mark.parametrize(
    "vandalism",
    [
        "Object.prototype.toJSON = () => 'owned';",
        "Array.prototype[Symbol.iterator] = function* () { throw new Error('mine'); };",
        "Object.getPrototypeOf([][Symbol.iterator]()).next = () => { throw new Error('mine'); };",
        "const { AsyncLocalStorage: one } = require('async_hooks');"
        " one.prototype.run = one.prototype.getStore = () => { throw new Error('mine'); };",
    ],
)
def test_changed_shared_prototypes_do_not_prevent_results(play, vandalism):
    async def scenario(bench):
        source = f"function handleEvent() {{ {vandalism} return 1; }}"
        return [await bench.run(source) for _ in range(2)]

    assert [outcome.payload_json for outcome in play(scenario, limits=FAST)] == ["1", "1"]


def test_a_failure_is_reported_even_if_regular_expressions_are_broken(run):
    source = "function handleEvent() { RegExp.prototype.exec = () => { throw 1; }; throw new Error('x'); }"
    assert run(source, limits=FAST).error.message == "a value that cannot be described was thrown"


@pytest.mark.parametrize("print_it", ["console.error(new Error(text))", "console.log(__filename + ' ' + text)"])
def test_a_long_line_without_spaces_is_printed_within_the_time_limit(run, print_it):
    text = "require('crypto').randomBytes(100_000).toString('base64')"
    outcome = run(f"function handleEvent() {{ const text = {text}; {print_it}; return 1; }}", limits=FAST)
    assert outcome.error is None
    assert len(outcome.console[0].text) > 100_000


def test_empty_lines_count_as_output(run):
    source = "function handleEvent() { for (;;) console.log(''); }"
    outcome = run(source, limits=Limits(time_s=0.7, console_bytes=1000))
    assert len(outcome.console) < 1010
    assert outcome.console[-1].text == "[console output beyond 1000 bytes is dropped]"


def test_a_line_beyond_the_limit_is_truncated(run):
    source = "function handleEvent() { console.log('a'); console.log('b'.repeat(1e6)); console.log('c'); return 1; }"
    outcome = run(source, limits=Limits(console_bytes=1000))
    assert outcome.console == (
        ConsoleLine("log", "a"),
        ConsoleLine("log", "b" * 998),
        ConsoleLine("warn", "[console output beyond 1000 bytes is dropped]"),
    )


def test_an_error_with_very_many_blank_lines_can_be_thrown(run):
    source = "function handleEvent() { throw new Error('\\n'.repeat(300_000) + 'x'); }"
    assert run(source, limits=FAST).error.name == "Error"


def test_all_errors_of_a_rejected_promise_any_are_reported(run):
    source = "function handleEvent() { return Promise.any(['a', 'b'].map((one) => Promise.reject(new Error(one)))); }"
    assert run(source).error.message == "All promises were rejected: a; b"


def test_an_error_with_an_unreadable_cause_has_its_message_and_stack(run):
    trap = "Object.defineProperty(new Error('x'), 'cause', { get() { throw 1; } })"
    error = run(f"function handleEvent() {{ throw {trap}; }}").error
    assert (error.message, error.stack) == ("x", "Error: x\n    at handleEvent (handlers/handler.ts:1:54)")


def test_a_stack_with_only_a_node_frame_is_omitted(run):
    source = "function handleEvent() { return require('axios').get('http://127.0.0.1:19/'); }"
    error = run(source).error
    assert error.message == "GET http://127.0.0.1:19/ got no response: connect ECONNREFUSED 127.0.0.1:19"
    assert "node:" not in error.stack


def test_a_thrown_promise_shows_positions_in_the_handler(run):
    message = run("function handleEvent() { throw Promise.reject(new Error('inner')); }").error.message
    assert "inner" in message
    assert "handlers/handler.ts:1:" in message
    assert "host.mjs" not in message


def test_node_sqlite_cannot_bypass_the_limits_on_files(run, tmp_path):
    file = tmp_path / "developers.db"
    source = "function handleEvent({ file }) { new (require('node:sqlite').DatabaseSync)(file); }"
    assert run(source, {"file": str(file)}).error.message == "No such built-in module: node:sqlite"
    assert not file.exists()


def test_a_removed_temporary_directory_is_recreated_for_the_next_process(play):
    async def scenario(bench):
        remove = "require('fs').rmSync(require('os').tmpdir(), { recursive: true }); return 1;"
        write = "require('fs').writeFileSync(require('os').tmpdir() + '/note', 'x'); return 2;"
        await bench.run(f"function handleEvent() {{ {remove} }}", key="one")
        # The spare process started before the removal; the next process starts after it.
        await bench.run("function handleEvent() {}", key="two")
        return await bench.run(f"function handleEvent() {{ {write} }}", key="three")

    assert play(scenario).payload_json == "2"


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"op": "done", "id": [1]}, "1"),
        ({"op": "done", "id": "1"}, "1"),
        ({"op": "done", "id": 1, "ms": "NaN"}, "1"),
        ({"op": "done", "id": 1, "ms": float("nan")}, "1"),
        ({"op": "done", "id": 1, "ms": -1}, "1"),
        ({"op": "done", "id": 1}, "not JSON"),
        ({"op": "done", "id": 1}, "NaN"),
        ({"op": "failed", "id": 1}, ""),
        ({"op": "failed", "id": 1, "error": 5}, ""),
        ({"op": "failed", "id": 1, "error": {"name": "x"}}, ""),
        ({"op": "failed", "id": 1, "error": {"name": "x", "message": {}, "stack": ""}}, ""),
        ({"op": [], "id": 1}, ""),
        ({"id": 1}, ""),
    ],
)
def test_an_invalid_result_frame_is_refused(header, body):
    with pytest.raises(BrokenStream):
        request_of(header), read_answer(header, body)


@pytest.mark.parametrize("level", [None, "loud", {"a": 1}, 3])
def test_an_invalid_console_frame_is_refused(level):
    with pytest.raises(BrokenStream):
        read_line({"op": "log", "id": 1, "level": level}, "text")


def test_forged_frames_end_the_process_and_the_next_run_works(play):
    forge = """
const fs = require('fs');
const head = Buffer.from(JSON.stringify({ op: 'done', ms: 'NaN', id: 999 }));
const frame = Buffer.alloc(8 + head.length);
frame.writeUInt32BE(4 + head.length, 0);
frame.writeUInt32BE(head.length, 4);
head.copy(frame, 8);
function handleEvent(event) {
  if (event.fine) return 'fine';
  for (let fd = 3; fd < 500; fd++) try { if (fs.fstatSync(fd).isSocket()) fs.writeSync(fd, frame); } catch {}
  return new Promise(() => {});
}"""

    async def scenario(bench):
        return await bench.run(forge), await bench.run(forge, {"fine": True})

    failed, after = play(scenario)
    assert (failed.error.name, "wrote to the channel" in failed.error.message) == ("HostError", True)
    assert json.loads(after.payload_json) == "fine"


@pytest.mark.parametrize("directory", ["with a space", "naïve", "100%", "a+b(c)[d]"])
@pytest.mark.parametrize("export", ["", "export "])
def test_stacks_show_handler_positions_for_any_cache_path(run, tmp_path, directory, export):
    source = f"{export}function handleEvent() {{ console.log(new Error('y')); throw new Error('x'); }}"
    outcome = run(source, cache=tmp_path / directory, dependencies={})
    column = len(export)
    assert outcome.error.stack == f"Error: x\n    at handleEvent (handlers/handler.ts:1:{61 + column})"
    assert outcome.console[0].text == f"Error: y\n    at handleEvent (handlers/handler.ts:1:{38 + column})"
