"""What a handler prints, and under which run it appears."""

from __future__ import annotations

import asyncio

from ckfunc.model.execution import Limits
from ckfunc.model.invocation import ConsoleLine


def lines(outcome):
    return [(line.level, line.text) for line in outcome.console]


def test_each_call_is_a_line_formatted_as_node_does(run):
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


def test_errors_and_traces_are_shown_with_the_lines_of_the_source(run):
    outcome = run(
        "type T = 1;\nfunction handleEvent() {\n  console.error(new Error('seen'));\n  console.trace('here');\n}"
    )
    assert lines(outcome) == [
        ("error", "Error: seen\n    at handleEvent (handlers/handler.ts:3:17)"),
        ("trace", "Trace: here\n    at handleEvent (handlers/handler.ts:4:11)"),
    ]


def test_what_is_written_to_stdout_and_stderr_becomes_lines(run):
    outcome = run("""
async function handleEvent() {
  process.stdout.write('one ');
  process.stderr.write(Buffer.from('problem\\n'));
  process.stdout.write('line\\nand the rest');
  await new Promise((done) => process.stdout.write('', 'utf8', done));
}""")
    assert lines(outcome) == [("error", "problem"), ("log", "one line"), ("log", "and the rest")]


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


def test_lines_before_an_endless_loop_or_a_crash_are_kept(play):
    async def scenario(bench):
        loop = await bench.run("function handleEvent() { console.log('last words'); for (;;); }")
        crash = await bench.run("function handleEvent() { console.log('last words'); process.abort(); }", number=2)
        return loop, crash

    for outcome in play(scenario, limits=Limits(time_s=0.5)):
        assert lines(outcome) == [("log", "last words")]
        assert outcome.error is not None


def test_interleaved_runs_keep_their_output_apart(play):
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


def test_too_much_output_is_cut_with_a_line_that_says_so(run):
    source = "function handleEvent() { for (let i = 0; i < 1000; i++) console.log('x'.repeat(99)); return 'done'; }"
    outcome = run(source, limits=Limits(console_bytes=1000))
    assert outcome.payload_json == '"done"'
    assert len(outcome.console) == 11
    assert outcome.console[-1] == ConsoleLine("warn", "[console output beyond 1000 bytes is dropped]")


def test_an_endless_loop_of_output_ends_at_the_time_limit_with_the_first_lines(run):
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


def test_what_is_printed_while_loading_appears_with_the_first_run(play):
    async def scenario(bench):
        source = "console.log('loading');\nfunction handleEvent() { console.log('running'); }"
        return await bench.run(source), await bench.run(source)

    first, second = play(scenario, init="console.log('initializing'); export {};")
    assert [line.text for line in first.console] == ["initializing", "loading", "running"]
    assert [line.text for line in second.console] == ["running"]


def test_what_is_printed_before_loading_fails_appears_with_the_failure(run):
    seen = []
    outcome = run("console.log('so far');\nthrow new Error('no further');", on_console=seen.append)
    assert [line.text for line in outcome.console] == ["so far"]
    assert tuple(seen) == outcome.console


def test_what_breaks_after_a_run_is_told_with_the_next(play):
    async def scenario(bench):
        source = """
function handleEvent(event) {
  if (event.n) setTimeout(() => { throw new Error('too late'); }, 1);
  return 1;
}"""
        first = await bench.run(source, {"n": 1})
        await asyncio.sleep(0.1)
        return first, await bench.run(source)

    first, second = play(scenario)
    assert first.payload_json == second.payload_json == "1"
    assert second.console[0].text.startswith("Error: Uncaught exception: too late\n    at ")


def test_a_listener_that_fails_does_not_disturb_the_run(play):
    told = []

    def broken(line):
        raise ValueError("full")

    async def scenario(bench):
        return await bench.run("function handleEvent() { console.log('a'); return 1; }", on_console=broken)

    assert play(scenario, on_event=told.append).payload_json == "1"
    assert "console output could not be passed on: ValueError('full')" in told
