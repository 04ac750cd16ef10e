"""Results and failures of runs."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from support.sampling import sampled

from ckfunc.model.execution import Limits

SHORT = Limits(time_s=1.0)


def test_the_returned_value_is_the_payload(run):
    outcome = run("async function handleEvent(event: { n: number }) { return { twice: event.n * 2 }; }", {"n": 21})
    assert outcome.payload_json == '{"twice":42}'
    assert outcome.error is None
    assert outcome.duration_ms > 0


@pytest.mark.parametrize(
    "source",
    sampled(
        [
            "function handleEvent() { return 'yes'; }",
            "const handleEvent = async () => 'yes';",
            "export function handleEvent() { return 'yes'; }",
            "function run() { return 'yes'; }\nexport { run as handleEvent };",
            "exports.handleEvent = () => 'yes';",
            "module.exports = { handleEvent() { return 'yes'; } };",
            "export default { handleEvent: () => 'yes' };",
            "const answer = await Promise.resolve('yes');\nfunction handleEvent() { return answer; }",
            "enum Answer { Yes = 'yes' }\nclass One { constructor(private a: Answer) {} get() { return this.a; } }\n"
            "function handleEvent() { return new One(Answer.Yes).get(); }",
            "function handleEvent() { return 'yes'; } // a comment at the end",
        ]
    ),
)
def test_every_form_of_handler_runs(run, source):
    assert run(source).payload_json == '"yes"'


def test_a_handler_that_returns_nothing_has_the_payload_null(run):
    assert run("function handleEvent() {}").payload_json == "null"


def test_an_event_arrives_exactly_as_it_was_sent(run):
    event = {"text": "naïve 🎉 \u2028 \ud800", "deep": [{"a": None}], "__proto__": {"x": 1}, "n": 1e21}
    outcome = run("function handleEvent(event) { return [Object.keys(event), event.text.length, event.n]; }", event)
    assert json.loads(outcome.payload_json) == [["text", "deep", "__proto__", "n"], 12, 1e21]


def test_lone_surrogates_become_replacement_characters(run):
    outcome = run(r"function handleEvent() { console.log('log \ud800'); return ['\ud800', '\\ud800', '😀']; }")
    assert json.loads(outcome.payload_json) == ["\ufffd", "\\ud800", "😀"]
    assert outcome.console[0].text == "log \ufffd"


def test_a_thrown_error_is_reported_with_typescript_positions(run):
    source = """
interface Input {
  name: string;
}

function inner(input: Input): never {
  throw new TypeError(`no ${input.name}`);
}

async function handleEvent(event: Input) {
  await Promise.resolve();
  inner(event);
}
"""
    error = run(source, {"name": "luck"}).error
    assert (error.name, error.message) == ("TypeError", "no luck")
    assert error.stack.split("\n") == [
        "TypeError: no luck",
        "    at inner (handlers/handler.ts:7:9)",
        "    at handleEvent (handlers/handler.ts:12:3)",
    ]


def test_an_error_of_an_es_module_is_reported_with_typescript_positions(run):
    source = (
        "import ms from 'ms';\ntype T = string;\n\nexport function handleEvent() {\n  throw new Error(ms(1000));\n}\n"
    )
    assert run(source).error.stack == "Error: 1s\n    at handleEvent (handlers/handler.ts:5:9)"


def test_the_cause_of_an_error_is_reported(run):
    error = run("function handleEvent() { throw new Error('outer', { cause: new Error('inner') }); }").error
    assert "Caused by: Error: inner\n    at handleEvent (handlers/handler.ts:1:" in error.stack


def stack_of(run, thrown):
    """Return the stack of a thrown value, with every position in the handler replaced by PLACE."""
    stack = run(f"function handleEvent() {{ {thrown} }}").error.stack
    return re.sub(r"handleEvent \(handlers/handler.ts:1:\d+\)", "PLACE", stack).split("\n")


def test_nested_causes_are_reported_in_order_with_their_frames(run):
    thrown = "throw new Error('a', { cause: new TypeError('b', { cause: new RangeError('c', { cause: 'text' }) }) });"
    assert stack_of(run, thrown) == [
        "Error: a",
        "    at PLACE",
        "Caused by: TypeError: b",
        "    at PLACE",
        "Caused by: RangeError: c",
        "    at PLACE",
        "Caused by: text",
    ]


@pytest.mark.parametrize(
    ("cause", "shown"),
    sampled(
        [("null", "null"), ("{ code: 7 }", "{ code: 7 }"), ("42", "42"), ("undefined", None), ("['a']", "[ 'a' ]")]
    ),
)
def test_a_cause_that_is_not_an_error_is_shown_as_a_value(run, cause, shown):
    lines = stack_of(run, f"throw new Error('x', {{ cause: {cause} }});")
    assert lines[2:] == ([] if shown is None else [f"Caused by: {shown}"])


def test_circular_causes_are_shown_once(run):
    lines = stack_of(run, "const a = new Error('a'); a.cause = new Error('b', { cause: a }); throw a;")
    assert lines[2:] == ["Caused by: Error: b", "    at PLACE", "Caused by: Error: a [described above]"]


def test_errors_of_an_aggregate_are_reported_and_omitted_ones_are_counted(run):
    thrown = (
        "throw new AggregateError([new Error('a', { cause: 'why' }), 'b', ...Array.from({ length: 20 }, () => 'c')],"
        " 'many', { cause: new Error('d') });"
    )
    lines = stack_of(run, thrown)
    assert lines[:6] == [
        "AggregateError: many: a; 'b'; 'c' … (22 in all)",
        "    at PLACE",
        "  Error 1 of 22: Error: a",
        "      at PLACE",
        "  Caused by: why",
        "  Error 2 of 22: b",
    ]
    assert lines[-3:] == ["  … 12 more errors", "Caused by: Error: d", "    at PLACE"]


def test_a_suppressed_error_is_reported_with_the_thrown_error(run):
    assert stack_of(run, "throw new SuppressedError(new Error('closing'), new Error('reading'), 'both');") == [
        "SuppressedError: both",
        "    at PLACE",
        "  Thrown: Error: closing",
        "      at PLACE",
        "  Suppressed: Error: reading",
        "      at PLACE",
    ]


def test_properties_of_an_error_are_shown_without_settings_of_the_request(run):
    thrown = (
        "throw Object.assign(new Error('x'), { code: 'E_X', errno: -2, details: [{ field: 'a' }],"
        " response: { status: 418, body: 'tea', headers: { 'set-cookie': 'hidden' } }, config: { auth: 'hidden' } });"
    )
    assert stack_of(run, thrown) == [
        "Error: x",
        "    at PLACE",
        "    {",
        "      code: 'E_X',",
        "      errno: -2,",
        "      details: [ { field: 'a' } ],",
        "      response: { status: 418, body: 'tea' }",
        "    }",
    ]
    assert stack_of(run, "throw { message: 'x', code: 5 };") == ["Error: x", "    { code: 5 }"]


def test_the_source_excerpt_of_a_syntax_error_is_shown(run):
    assert stack_of(run, "new (require('vm').Script)('foo bar');") == [
        "SyntaxError: Unexpected identifier 'bar'",
        "evalmachine.<anonymous>:1",
        "foo bar",
        "    ^^^",
        "    at PLACE",
    ]


def test_an_error_of_another_realm_is_reported_like_any_other(run):
    code = "throw new RangeError('far', { cause: new Error('inner') })"
    assert stack_of(run, f"require('vm').runInNewContext(`{code}`);") == [
        "RangeError: far",
        "evalmachine.<anonymous>:1",
        code,
        "^",
        "    at evalmachine.<anonymous>:1:7",
        "    at PLACE",
        "Caused by: Error: inner",
        "    at evalmachine.<anonymous>:1:38",
        "    at PLACE",
    ]


def test_a_message_that_looks_like_a_stack_is_unchanged(run):
    error = run(r"function handleEvent() { throw new Error('one\n    at fake (x.js:1:1)\ntwo'); }").error
    assert error.message == "one\n    at fake (x.js:1:1)\ntwo"
    assert error.stack.startswith(f"Error: {error.message}\n    at handleEvent (")


def test_the_cause_of_an_error_without_frames_is_reported(run_alone):
    lines = stack_of(run_alone, "Error.stackTraceLimit = 0; throw new Error('x', { cause: new Error('y') });")
    assert lines == ["Error: x", "Caused by: Error: y"]


def test_omitted_characters_of_a_long_message_are_counted(run):
    error = run("function handleEvent() { throw new Error('x'.repeat(20_000)); }").error
    assert error.message == f"{'x' * 16_384}… 3616 more characters"


def test_an_error_with_a_very_long_message_has_its_frames(run):
    thrown = "new Error('x'.repeat(100_000), { cause: new Error('y'.repeat(100_000)) })"
    error = run(f"function handleEvent() {{ throw {thrown}; }}").error
    head, frame, cause, *rest = error.stack.split("\n")
    assert head == f"Error: {error.message}"
    assert frame.startswith("    at handleEvent (")
    assert cause == f"Caused by: Error: {'y' * 16_384}… 83616 more characters"
    assert rest[0].startswith("    at handleEvent (")


def test_printed_errors_have_their_properties_and_causes(run):
    thrown = "console.error(Object.assign(new Error('x'), { code: 5 }), new Error('y', { cause: new Error('z') }));"
    (line,) = run(f"function handleEvent() {{ {thrown} }}").console
    text = re.sub(r"handleEvent \(handlers/handler.ts:1:\d+\)", "PLACE", line.text)
    assert text.startswith("Error: x\n    at PLACE {\n  code: 5\n} Error: y\n    at PLACE")
    assert text.endswith(" {\n  [cause]: Error: z\n      at PLACE\n}")


@pytest.mark.parametrize(
    ("thrown", "message"),
    sampled(
        [
            ("'just text'", "just text"),
            ("null", "null"),
            ("undefined", "undefined"),
            ("42", "42"),
            ("{ code: 7 }", "{ code: 7 }"),
            ("{ message: 'like an error' }", "like an error"),
            ("Symbol('s')", "Symbol(s)"),
            ("() => 1", "[Function (anonymous)]"),
            ("Object.create(null)", "[Object: null prototype] {}"),
            ("new Proxy({}, { has() { throw 1; } })", "a value that cannot be described was thrown"),
            ("{ [Symbol.for('nodejs.util.inspect.custom')]() { throw 1; } }", "a value that cannot be shown"),
            ("Object.defineProperty(new Error('x'), 'message', { get() { throw 1; } })", "Error"),
        ]
    ),
)
def test_any_value_can_be_thrown(run, thrown, message):
    error = run(f"async function handleEvent() {{ throw {thrown}; }}").error
    assert error.message == message
    assert error.name == "Error"


@pytest.mark.parametrize(
    ("value", "reason"),
    sampled(
        [
            ("10n", "the handler's result cannot be converted to JSON: Do not know how to serialize a BigInt"),
            ("(() => { const a: any = {}; a.a = a; return a; })()", "Converting circular structure to JSON"),
            ("{ toJSON() { throw new Error('not me'); } }", "the handler's result cannot be converted to JSON: not me"),
            ("() => 1", "the handler returned a function, which JSON cannot represent"),
            ("Symbol('x')", "the handler returned a symbol, which JSON cannot represent"),
            ("'x'.repeat(2000)", "the handler's result is 2002 bytes of JSON, more than the 1000 allowed"),
        ]
    ),
)
def test_a_result_that_is_not_json_fails_with_a_message(run, value, reason):
    error = run(f"function handleEvent() {{ return {value}; }}", limits=Limits(result_bytes=1000)).error
    assert error.name == "ResultError"
    assert reason in error.message
    assert error.stack == "" or "host.mjs" not in error.stack


@pytest.mark.parametrize(
    ("body", "name", "message"),
    sampled(
        [
            ("while (true) {}", "TimeLimitError", "the handler did not finish within 1 s"),
            ("return new Promise(() => {});", "TimeLimitError", "the handler did not finish within 1 s"),
            ("return { toJSON() { for (;;); } };", "TimeLimitError", "the handler did not finish within 1 s"),
            ("process.exit(3);", "ProcessExit", "the handler called process.exit(3)"),
            ("process.exit();", "ProcessExit", "the handler called process.exit()"),
            ("setTimeout(() => process.exit(1), 1); return new Promise(() => {});", "ProcessExit", "process.exit(1)"),
            (
                "process.abort();",
                "ProcessEnded",
                "the function's process was ended by SIGABRT before the handler finished",
            ),
            (
                "process.kill(process.pid); return new Promise(() => {});",
                "ProcessEnded",
                "was ended by SIGTERM before the handler finished",
            ),
            ("process.reallyExit(4);", "ProcessEnded", "ended with exit code 4 before the handler finished"),
            (
                "setTimeout(() => { throw new Error('late'); }, 1); return new Promise(() => {});",
                "Error",
                "Uncaught exception: late",
            ),
            (
                "Promise.reject(new RangeError('lost')); return new Promise(() => {});",
                "RangeError",
                "Unhandled rejection: lost",
            ),
            (
                "process.nextTick(() => { throw 'text'; }); return new Promise(() => {});",
                "Error",
                "Uncaught exception: text",
            ),
            ("(function f() { f(); })();", "RangeError", "Maximum call stack size exceeded"),
            (
                "for (let fd = 3; fd < 4096; fd++) try { require('fs').closeSync(fd); } catch {} "
                "return new Promise(() => {});",
                "ProcessEnded",
                "the function's process",
            ),
            (
                "const fs = require('fs'); for (let fd = 3; fd < 4096; fd++) "
                "try { if (fs.fstatSync(fd).isSocket()) fs.writeSync(fd, 'x'.repeat(99)); } catch {} "
                "return new Promise(() => {});",
                "HostError",
                "wrote to the channel",
            ),
            ("require('child_process').execSync('ls');", "Error", "handlers cannot start other processes here"),
            (
                "require('fs').readFileSync('/etc/passwd');",
                "Error",
                "handlers can only read their installed packages and",
            ),
            (
                "require('fs').readFileSync(require('path').resolve(__dirname, '../data.json'));",
                "Error",
                "temporary directory (handlers/data.json)",
            ),
            (
                "require('fs').writeFileSync('here.txt', '');",
                "Error",
                "handlers can only write to the temporary directory",
            ),
            ("require('nowhere-to-be-found');", "Error", "the package nowhere-to-be-found is not installed"),
            ("require('qs/nowhere');", "Error", "the package qs has no module qs/nowhere"),
            ("require('./beside');", "Error", "cannot find ./beside: a handler can only import installed packages"),
            ("return fetch('http://127.0.0.1:1999/');", "TypeError", "fetch failed: "),
        ],
        every=3,
    ),
)
def test_a_failed_run_has_a_message_and_the_next_run_works(play, body, name, message):
    async def scenario(bench):
        source = f"function handleEvent(event) {{ if (event.fine) return 'fine'; {body} }}"
        return await bench.run(source), await bench.run(source, {"fine": True})

    failed, after = play(scenario, limits=SHORT if name == "TimeLimitError" else Limits())
    assert failed.payload_json is None
    assert failed.error.name == name
    assert message in failed.error.message
    assert "host.mjs" not in failed.error.stack
    assert "node:internal" not in failed.error.stack
    assert after.payload_json == '"fine"'


@pytest.mark.parametrize(
    ("source", "message"),
    sampled(
        [
            ("throw new Error('at the top');\nfunction handleEvent() {}", "at the top"),
            (
                "await new Promise(() => {});\nfunction handleEvent() {}",
                "handlers/handler.ts did not finish loading within 1 s",
            ),
            ("for (;;);\nfunction handleEvent() {}", "handlers/handler.ts did not finish loading within 1 s"),
            ("process.exit(2);\nfunction handleEvent() {}", "the handler called process.exit(2)"),
            ("process.abort();\nfunction handleEvent() {}", "was ended by SIGABRT"),
            ("function handle() {}", "handlers/handler.ts does not define a function named handleEvent"),
            ("const handleEvent = 3;", "handlers/handler.ts does not define a function named handleEvent"),
            (
                "import { nope } from 'ms';\nexport function handleEvent() { return nope; }",
                "Named export 'nope' not found",
            ),
            (
                "import x from 'nowhere-to-be-found';\nexport const handleEvent = () => x;",
                "nowhere-to-be-found is not installed",
            ),
            ("import x from 'qs/none.js';\nexport const handleEvent = () => x;", "the package qs has no file none.js"),
            ("import { x } from './other';\nexport const handleEvent = () => x;", "can only import installed packages"),
        ]
    ),
)
def test_a_failed_load_fails_the_run_and_a_fixed_version_works(play, source, message):
    async def scenario(bench):
        return await bench.run(source), await bench.run("function handleEvent() { return 1; }", number=2)

    failed, after = play(scenario, limits=SHORT if "within" in message else Limits())
    assert message in failed.error.message
    assert "\n" not in failed.error.message
    assert after.payload_json == "1"


@pytest.mark.parametrize(
    "hoard",
    [
        "const kept = []; for (;;) kept.push({ x: [1, 2, 3] });",
        "const kept = []; for (;;) { kept.push(Buffer.alloc(4e6, 1)); await new Promise((go) => setTimeout(go, 1)); }",
    ],
)
def test_a_handler_beyond_the_memory_limit_is_stopped(play, hoard):
    async def scenario(bench):
        first = await bench.run(f"async function handleEvent() {{ {hoard} }}")
        return first, await bench.run("function handleEvent() { return 1; }", number=2)

    failed, after = play(scenario, limits=Limits(memory_bytes=64 * 1024 * 1024, time_s=30))
    assert failed.error.name == "MemoryLimitError"
    assert failed.error.message == "the function's process used more than 64 MiB of memory"
    assert after.payload_json == "1"


def test_a_handler_that_overwrites_built_ins_does_not_break_the_host(play):
    vandal = """
function handleEvent() {
  JSON.stringify = () => { throw new Error('mine'); };
  JSON.parse = null; Promise = null; Buffer = null; console = null;
  Array.prototype.push = () => { throw new Error('mine'); };
  String.prototype.slice = String.prototype.replace = null;
  Object.keys = null; Map.prototype.get = null; Reflect.apply = null;
  return { ok: 1 };
}"""

    async def scenario(bench):
        return [await bench.run(vandal, {"n": n}) for n in range(3)]

    assert [outcome.payload_json for outcome in play(scenario)] == ['{"ok":1}'] * 3


def test_the_temporary_directory_can_be_written_and_read(run):
    source = """
import fs from 'node:fs';
import os from 'node:os';
export function handleEvent() {
  const file = `${os.tmpdir()}/note.txt`;
  fs.writeFileSync(file, 'kept');
  return fs.readFileSync(file, 'utf8');
}"""
    assert run(source).payload_json == '"kept"'


def test_packages_can_detect_the_operating_system(run):
    source = """
const fs = require('fs');
const places = ['/etc/alpine-release', '/etc/os-release', '/usr/bin/ldd'];
function handleEvent() { return places.map((place) => fs.existsSync(place)).length; }"""
    assert run(source).payload_json == "3"


def test_the_developers_files_cannot_be_read(run, tmp_path):
    (tmp_path / "secret.txt").write_text("mine")
    places = [str(tmp_path / "secret.txt"), "/proc/1/environ", "../../secret", "/root", "/home"]
    source = """
const fs = require('fs');
function handleEvent({ places }) {
  const read = (place) => { try { return fs.readdirSync(place) } catch { return fs.readFileSync(place, 'utf8'); } };
  return places.map((place) => { try { return read(place); } catch (error) { return error.code; } });
}"""
    outcome = run(source, {"places": places})
    assert json.loads(outcome.payload_json) == ["ERR_ACCESS_DENIED"] * len(places)


def test_a_worker_thread_can_be_used(run):
    source = """
const { Worker } = require('worker_threads');
function handleEvent() {
  return new Promise((resolve, reject) => {
    const code = "require('worker_threads').parentPort.postMessage(6 * 7)";
    new Worker(code, { eval: true }).on('message', resolve).on('error', reject);
  });
}"""
    assert run(source).payload_json == "42"


def test_a_stopped_run_stops_the_other_runs_in_its_process_with_an_explanation(play):
    source = """
function handleEvent(event) {
  if (event.spin) for (;;);
  return new Promise(() => {});
}"""

    async def scenario(bench):
        waiting = asyncio.ensure_future(bench.run(source))
        await asyncio.sleep(0.3)
        return await asyncio.gather(bench.run(source, {"spin": True}), waiting)

    outcomes = [outcome.error.message for outcome in play(scenario, limits=SHORT)]
    assert sorted(outcomes) == [
        "stopped with another run of the same function: the handler did not finish within 1 s",
        "the handler did not finish within 1 s",
    ]
