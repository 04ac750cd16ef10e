"""Console output of handlers, and its assignment to runs."""

from __future__ import annotations

import asyncio

import pytest

from ckfunc.model.application import ConsoleLine
from ckfunc.model.execution import Limits


def lines(outcome):
    return [(line.level, line.text) for line in outcome.console]


def test_each_console_call_is_formatted_as_in_node(run):
    outcome = run("""
function handleEvent() {
  console.log('%s is %d', 'x', 3, { a: { b: { c: { d: 1 } } } });
  console.info(['a'], new Map([[1, 2]]));
  console.warn('two\\nlines');
  console.debug(null, undefined);
  console.error('bad');
  console.assert(1 === 2, 'no');
  console.assert(true, 'never shown');
  console.group('group');
  console.log('inside');
  console.groupEnd();
  console.table([{ a: 1 }]);
  console.dir({ deep: { er: { and: { deeper: 1 } } } }, { depth: 0 });
  console.count();
}""")
    assert lines(outcome) == [
        ("log", "x is 3 { a: { b: { c: [Object] } } }"),
        ("info", "[ 'a' ] Map(1) { 1 => 2 }"),
        ("warn", "two\nlines"),
        ("debug", "null undefined"),
        ("error", "bad"),
        ("error", "Assertion failed: no"),
        ("log", "group"),
        ("log", "  inside"),
        ("log", "┌─────────┬───┐\n│ (index) │ a │\n├─────────┼───┤\n│ 0       │ 1 │\n└─────────┴───┘"),
        ("log", "{ deep: [Object] }"),
        ("log", "default: 1"),
    ]


def test_errors_and_traces_show_source_positions(run):
    outcome = run(
        "type T = 1;\nfunction handleEvent() {\n  console.error(new Error('seen'));\n  console.trace('here');\n}"
    )
    assert lines(outcome) == [
        ("error", "Error: seen\n    at handleEvent (handlers/handler.ts:3:17)"),
        ("trace", "Trace: here\n    at handleEvent (handlers/handler.ts:4:11)"),
    ]


def test_output_to_stdout_and_stderr_is_split_into_lines(run):
    outcome = run("""
async function handleEvent() {
  process.stdout.write('one ');
  process.stderr.write(Buffer.from('problem\\n'));
  process.stdout.write('line\\nand the rest');
  await new Promise((done) => process.stdout.write('', 'utf8', done));
}""")
    assert lines(outcome) == [("error", "problem"), ("log", "one line"), ("log", "and the rest")]


def test_writes_to_descriptors_1_and_2_become_lines_in_order(run):
    outcome = run("""
const fs = require('fs');
async function handleEvent() {
  console.log('first');
  fs.writeSync(1, 'second\\n');
  fs.writeSync(2, Buffer.from('xxthird\\nxx'), 2, 6);
  fs.writeFileSync(1, 'fourth\\n');
  fs.writevSync(1, [Buffer.from('fif'), Buffer.from('th\\n')]);
  await new Promise((done) => fs.write(1, 'sixth\\n', (error, size) => { console.log(error, size); done(); }));
  const { promisify } = require('util');
  console.log(await promisify(fs.write)(2, 'seventh\\n'));
  await new Promise((done) => fs.createWriteStream(null, { fd: 1, autoClose: false }).write('eighth\\n', done));
  process._rawDebug('%s', 'ninth');
  fs.writeSync(1, 'no newline');
}""")
    assert lines(outcome) == [
        ("log", "first"),
        ("log", "second"),
        ("error", "third"),
        ("log", "fourth"),
        ("log", "fifth"),
        ("log", "sixth"),
        ("log", "null 6"),
        ("error", "seventh"),
        ("log", "{ bytesWritten: 8, buffer: 'seventh\\n' }"),
        ("log", "eighth"),
        ("error", "ninth"),
        ("log", "no newline"),
    ]


def test_writes_of_es_modules_that_import_fs_functions_are_captured(run):
    outcome = run(
        "import { writeSync } from 'node:fs';\nexport const handleEvent = () => { writeSync(1, 'seen\\n'); };"
    )
    assert lines(outcome) == [("log", "seen")]


def test_writes_to_files_and_their_errors_are_unchanged(run):
    outcome = run("""
const fs = require('fs');
function handleEvent() {
  const file = `${require('os').tmpdir()}/note.txt`;
  fs.writeFileSync(file, 'a');
  fs.appendFileSync(file, 'b');
  const open = fs.openSync(file, 'a');
  fs.writeSync(open, 'c');
  const codes = [() => fs.writeSync(1, 5), () => fs.writeSync(1, Buffer.from('x'), 9), () => fs.write(1, 'x')];
  const refused = codes.map((one) => { try { one(); } catch (error) { return error.code; } });
  return [fs.readFileSync(file, 'utf8'), ...refused];
}""")
    assert outcome.payload_json == '["abc","ERR_INVALID_ARG_TYPE","ERR_OUT_OF_RANGE","ERR_INVALID_ARG_TYPE"]'
    assert lines(outcome) == []


def test_a_line_written_in_parts_is_one_line(run):
    outcome = run("""
function handleEvent() {
  process.stdout.write('Loading… ');
  console.log('done');
  for (const byte of Buffer.from('naïve 😀\\r\\n')) process.stdout.write(Buffer.from([byte]));
  process.stdout.write('6869', 'hex');
}""")
    assert lines(outcome) == [("log", "Loading… done"), ("log", "naïve 😀"), ("log", "hi")]


def test_an_unfinished_line_is_reported_when_the_process_ends(play):
    async def scenario(bench):
        write = "process.stdout.write('whole\\nhalf '); process.stdout.write('a line');"
        hangs = await bench.run(f"function handleEvent() {{ {write} for (;;); }}")
        crashes = await bench.run(f"function handleEvent() {{ {write} process.abort(); }}", number=2)
        exits = await bench.run(f"function handleEvent() {{ {write} process.reallyExit(1); }}", number=3)
        return hangs, crashes, exits

    for outcome in play(scenario, limits=Limits(time_s=0.5)):
        assert lines(outcome) == [("log", "whole"), ("log", "half a line")]


def test_output_of_worker_threads_belongs_to_the_run(run):
    outcome = run("""
const { Worker } = require('worker_threads');
async function handleEvent() {
  const code = "console.log('printed'); require('fs').writeSync(1, 'written\\\\nrest')";
  await new Promise((done) => new Worker(code, { eval: true }).on('exit', done));
}""")
    assert sorted(lines(outcome)) == [("log", "printed"), ("log", "rest"), ("log", "written")]


def test_output_of_worker_threads_is_limited_without_stopping_the_run(run):
    outcome = run(
        """
const { Worker } = require('worker_threads');
async function handleEvent() {
  const code = "for (let i = 0; i < 5000; i++) require('fs').writeSync(1, 'x'.repeat(99) + '\\\\n')";
  await new Promise((done) => new Worker(code, { eval: true }).on('exit', done));
  return 'done';
}""",
        limits=Limits(console_bytes=1000),
    )
    assert outcome.payload_json == '"done"'
    assert len(outcome.console) == 11
    assert outcome.console[-1] == ConsoleLine("warn", "[console output beyond 1000 bytes is dropped]")


def test_thread_output_during_concurrent_runs_is_marked_as_output_of_the_process(play):
    source = """
const { Worker } = require('worker_threads');
let worker, ready;
const both = new Promise((resolve) => { ready = resolve; });
async function handleEvent({ n }) {
  if (n === 2) ready();
  await both;
  const code = "require('fs').writeSync(1, 'from a thread\\\\n')";
  worker ??= new Promise((done) => new Worker(code, { eval: true }).on('exit', done));
  await worker;
}"""

    async def scenario(bench):
        return await asyncio.gather(*(bench.run(source, {"n": n}) for n in (1, 2)))

    printed = [lines(outcome) for outcome in play(scenario)]
    assert sorted(printed) == [[], [("log", "[process] from a thread")]]


def test_node_warnings_are_lines_of_the_run_that_caused_them(run):
    outcome = run("""
async function handleEvent() {
  process.emitWarning('use another', { type: 'DeprecationWarning', code: 'X1', detail: 'because' });
  console.timeEnd('never started');
  await null;
}""")
    assert lines(outcome) == [
        ("warn", "[X1] DeprecationWarning: use another\nbecause"),
        ("warn", "Warning: No such label 'never started' for console.timeEnd()"),
    ]


@pytest.mark.parametrize("sockets", [True, False])
def test_the_details_of_an_out_of_memory_report_are_not_handler_output(play, sockets):
    source = "function handleEvent() { console.log('so far'); const a = []; for (;;) a.push({ x: [1, 2, 3] }); }"
    limits = Limits(memory_bytes=32 * 1024 * 1024, time_s=30)
    outcome = play(lambda bench: bench.run(source), limits=limits, sockets=sockets)
    assert outcome.error.name == "MemoryLimitError"
    assert [line for line in lines(outcome) if not line[1].startswith("FATAL ERROR: ")] == [("log", "so far")]


def test_javascript_writes_do_not_disturb_a_channel_on_stdout(play):
    source = (
        "function handleEvent() { require('fs').writeSync(1, 'a\\n'); require('fs').writeSync(2, 'b\\n'); return 1; }"
    )
    outcome = play(lambda bench: bench.run(source), sockets=False)
    assert (outcome.payload_json, lines(outcome)) == ("1", [("log", "a"), ("error", "b")])


def test_excessive_output_before_the_first_run_is_cut_with_a_notice(play):
    source = "for (let i = 0; i < 300; i++) console.log(i);\nfunction handleEvent() {}"
    assert len(play(lambda bench: bench.run(source)).console) == 300
    cut = play(lambda bench: bench.run(source), limits=Limits(console_bytes=200)).console
    assert cut[0].text == "0"
    assert cut[-1].text == "[console output beyond 200 bytes is dropped]"


def test_output_outside_of_runs_is_limited_separately_for_each_run(play):
    source = "setInterval(() => console.log('x'.repeat(90)), 1);\nfunction handleEvent() {}"

    async def scenario(bench):
        for _ in range(3):
            await bench.run(source)
            await asyncio.sleep(0.15)
        return await bench.run(source)

    outcome = play(scenario, limits=Limits(console_bytes=1000))
    assert outcome.console[0].text == "x" * 90


def test_lines_arrive_while_the_handler_runs(play):
    async def scenario(bench):
        seen = asyncio.Event()
        source = "async function handleEvent() { console.log('started'); await new Promise(() => {}); }"
        running = asyncio.ensure_future(bench.run(source, on_console=lambda _: seen.set()))
        await seen.wait()
        ended = running.done()
        running.cancel()
        return ended

    assert play(scenario) is False


def test_lines_before_an_endless_loop_or_a_crash_are_reported(play):
    async def scenario(bench):
        loop = await bench.run("function handleEvent() { console.log('last words'); for (;;); }")
        crash = await bench.run("function handleEvent() { console.log('last words'); process.abort(); }", number=2)
        return loop, crash

    for outcome in play(scenario, limits=Limits(time_s=0.5)):
        assert lines(outcome) == [("log", "last words")]
        assert outcome.error is not None


def test_output_of_interleaved_runs_is_separate(play):
    source = """
async function handleEvent({ n }) {
  for (let i = 0; i < 5; i++) {
    console.log(`${n}.${i}`);
    await new Promise((go) => setTimeout(go, 1));
  }
  await Promise.all([1, 2].map(async () => { await null; console.log(`${n} end`); }));
}"""

    async def scenario(bench):
        return await asyncio.gather(*(bench.run(source, {"n": n}) for n in range(8)))

    for n, outcome in enumerate(play(scenario)):
        assert [line.text for line in outcome.console] == [f"{n}.{i}" for i in range(5)] + [f"{n} end"] * 2


def test_excessive_output_is_cut_with_a_notice(run):
    source = "function handleEvent() { for (let i = 0; i < 1000; i++) console.log('x'.repeat(99)); return 'done'; }"
    outcome = run(source, limits=Limits(console_bytes=1000))
    assert outcome.payload_json == '"done"'
    assert len(outcome.console) == 11
    assert outcome.console[-1] == ConsoleLine("warn", "[console output beyond 1000 bytes is dropped]")


def test_endless_output_is_cut_and_the_run_ends_at_the_time_limit(run):
    limits = Limits(time_s=0.7, console_bytes=2000)
    for call in (
        "console.log('x'.repeat(99))",
        "process.stdout.write('x'.repeat(99))",
        "console.error(new Error('x'))",
    ):
        outcome = run(f"function handleEvent() {{ for (;;) {call}; }}", limits=limits)
        assert outcome.error.name == "TimeLimitError"
        assert sum(len(line.text) for line in outcome.console) < 2100
        assert outcome.console[-1].text == "[console output beyond 2000 bytes is dropped]"


def test_output_during_loading_belongs_to_the_first_run(play):
    async def scenario(bench):
        source = "console.log('loading');\nfunction handleEvent() { console.log('running'); }"
        return await bench.run(source), await bench.run(source)

    first, second = play(scenario, init="console.log('initializing'); export {};")
    assert [line.text for line in first.console] == ["initializing", "loading", "running"]
    assert [line.text for line in second.console] == ["running"]


def test_output_before_a_failed_load_belongs_to_the_failed_run(run):
    seen = []
    outcome = run("console.log('so far');\nthrow new Error('no further');", on_console=seen.append)
    assert [line.text for line in outcome.console] == ["so far"]
    assert tuple(seen) == outcome.console


def test_late_output_is_shown_in_the_next_run_with_the_name_of_its_own_run(play):
    async def scenario(bench):
        source = """
function handleEvent(event) {
  if (event.n) setTimeout(late, 1);
  function late() { console.log('late'); process.stdout.write('later\\n'); throw new Error('too late'); }
  return 1;
}"""
        first = await bench.run(source, {"n": 1}, label="12")
        await asyncio.sleep(0.1)
        return first, await bench.run(source, {"n": 1}), await asyncio.sleep(0.1), await bench.run(source)

    first, second, _, third = play(scenario)
    assert [outcome.payload_json for outcome in (first, second, third)] == ["1", "1", "1"]
    assert first.console == ()
    for outcome, run in ((second, "run 12"), (third, "earlier run")):
        *written, error = [line.text for line in outcome.console]
        assert written == [f"[{run}] late", f"[{run}] later"]
        assert error.startswith(f"[{run}] Error: Uncaught exception: too late\n    at ")


def test_a_failing_console_listener_does_not_disturb_the_run(play):
    told = []

    def broken(line):
        raise ValueError("full")

    async def scenario(bench):
        return await bench.run("function handleEvent() { console.log('a'); return 1; }", on_console=broken)

    assert play(scenario, on_event=told.append).payload_json == "1"
    assert "console output could not be passed on: ValueError('full')" in told
