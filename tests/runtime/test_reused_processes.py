"""Reused processes: state of earlier runs is removed, or the process replaced."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from runtime.conftest import Bench

from ckfunc.model.execution import Determinism, Environment

NOW = Determinism(1_714_557_600_000, 7)
PROCESS = "performance.nodeTiming.bootstrapComplete"
"""Distinguishes processes, because all of them report the same pid."""

# An expression that the handler evaluates first, a statement that leaves something behind, and whether the process is
# reused.
LEFTOVERS = {
    "nothing": ("1", "", True),
    "a variable of its module": ("count", "count += 1;", True),
    "a global variable": ("typeof globalThis.left", "globalThis.left = 1;", True),
    "a global symbol": ("typeof globalThis[Symbol.for('left')]", "globalThis[Symbol.for('left')] = 1;", True),
    "a deleted global": ("typeof structuredClone", "delete globalThis.structuredClone;", True),
    "another Date": ("Date.name", "globalThis.Date = class Other {};", True),
    "a method of all arrays": ("typeof [].left", "Array.prototype.left = () => 1;", True),
    "another JSON.stringify": (
        "JSON.stringify.name",
        "const { stringify } = JSON; JSON.stringify = (x) => stringify(x);",
        True,
    ),
    "another console.log": ("console.log.name", "console.log = function other() {};", True),
    "a method of all promises": ("typeof Promise.prototype.left", "Promise.prototype.left = 1;", True),
    "a method of all generators": (
        "typeof (function* () {})().left",
        "Object.getPrototypeOf(function* () {}).prototype.left = 1;",
        True,
    ),
    "an environment variable": ("process.env.LEFT", "process.env.LEFT = 'x';", True),
    "a deleted environment variable": ("process.env.KEPT", "delete process.env.KEPT;", True),
    "a property of the process": ("typeof process.left", "process.left = 1;", True),
    "another function of the process": ("process.nextTick.name", "process.nextTick = function other() {};", True),
    "a built-in module": (
        "require('node:fs').existsSync.name",
        "require('fs').existsSync = function other() {};",
        True,
    ),
    "a class of a built-in module": (
        "typeof require('events').prototype.left",
        "require('events').prototype.left = 1;",
        True,
    ),
    "the loader": ("typeof require('module')._load.left", "require('module')._load.left = 1;", True),
    "a package": ("require('ms').left", "require('ms').left = 1;", True),
    "the context": ("typeof context.left", "context.left = 1;", True),
    "the client of all runs": ("typeof context.ChatKitty.left", "context.ChatKitty.left = 1;", True),
    "an API of the client": ("context.ChatKitty.Users.left", "context.ChatKitty.Users.left = 1;", True),
    "an export of the init script": ("kept.size", "kept.set('a', 1);", True),
    "a global in place of an export": ("typeof counter", "globalThis.counter = 'text';", True),
    "fetch's dispatcher": (
        "typeof globalThis[Symbol.for('undici.globalDispatcher.1')].left",
        "globalThis[Symbol.for('undici.globalDispatcher.1')] = { left: 1 };",
        True,
    ),
    "a file": (
        "require('fs').existsSync(require('path').join(require('os').tmpdir(), 'left'))",
        "require('fs').writeFileSync(require('path').join(require('os').tmpdir(), 'left'), 'x');",
        True,
    ),
    "a package of the platform": ("require('axios').defaults.left", "require('axios').defaults.left = 1;", False),
    "a package of the platform that is loaded again": (
        "require('axios').left",
        "delete require.cache[require.resolve('axios')]; require('axios').left = 1;",
        False,
    ),
    "a timer": ("1", "setInterval(() => {}, 1000);", False),
    "a pending timer": ("typeof globalThis.late", "setTimeout(() => { globalThis.late = 1; }, 5000);", False),
    "a listener": ("process.listenerCount('left')", "process.on('left', () => {});", False),
    "frozen arrays": ("Object.isFrozen(Array.prototype)", "Object.freeze(Array.prototype);", False),
    "a constant": (
        "typeof globalThis.fixed",
        "Object.defineProperty(globalThis, 'fixed', { value: 1 });",
        False,
    ),
    "another prototype of all arrays": (
        "Object.getPrototypeOf(Array.prototype) === Object.prototype",
        "Object.setPrototypeOf(Array.prototype, { __proto__: Object.prototype, left: 1 });",
        False,
    ),
    "an import": ("(await import('node:os')).default.left", "(await import('node:os')).default.left = 1;", False),
    "the umask": ("process.umask()", "process.umask(0o77);", False),
}

INIT = "export const kept = new Map(); export let counter = 1;"


def determinism(bench: Bench) -> Environment:
    bench.init = INIT
    bench.variables = {"KEPT": "yes"}
    return replace(bench.environment(), determinism=NOW, network=False, settle=True, renewable=True)


async def seen(bench: Bench, environment: Environment, source: str, event: dict[str, Any] | None = None) -> Any:
    outcome = await bench.hosts.invoke(environment, bench.version(source), event or {}, determinism=NOW)
    assert outcome.error is None, outcome.error
    assert outcome.payload_json is not None
    return json.loads(outcome.payload_json)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if number % 4 else ()) for number, name in enumerate(LEFTOVERS)],
)
def test_the_next_run_sees_no_state_of_the_previous_run(play: Any, name: str) -> None:
    look, leave, used_again = LEFTOVERS[name]
    source = f"""
        declare const require: any, kept: any, counter: any;
        let count = 0;
        async function handleEvent(event: any, context: any) {{
          const found = [{PROCESS}, {look}];
          {leave}
          return found;
        }}
    """

    async def scenario(bench: Bench) -> None:
        environment = determinism(bench)
        first = await seen(bench, environment, source)
        if leave:
            # Without a reset, the same process runs again.
            again = await seen(bench, environment, source)
            assert again[0] == first[0]
        await bench.hosts.reset()
        pids = [first[0]]
        for _ in range(3 if used_again else 1):
            pid, *found = await seen(bench, environment, source)
            assert found == first[1:]
            pids.append(pid)
            await bench.hosts.reset()
        assert (len(set(pids)) == 1) is used_again

    play(scenario)


def test_an_es_module_with_imports_is_never_reloaded_into_the_same_process(play: Any) -> None:
    source = "import ms from 'ms'; export const handleEvent = async () => [" + PROCESS + ", ms('1s')];"

    async def scenario(bench: Bench) -> None:
        environment = determinism(bench)
        version = replace(bench.version(source), script=replace(bench.version(source).script, name="handlers/x.mts"))
        script = bench.script(source, "handlers/x.mts")
        pids = []
        for _ in range(2):
            outcome = await bench.hosts.invoke(environment, replace(version, script=script), {}, determinism=NOW)
            assert outcome.error is None, outcome.error
            pids.append(json.loads(outcome.payload_json or "")[0])
            await bench.hosts.reset()
        assert pids[0] != pids[1]

    play(scenario)


def test_a_changed_console_and_clock_are_restored(play: Any) -> None:
    source = """
        async function handleEvent(event: any) {
          console.log('hello');
          console.log = () => {};
          const found = [Date.now(), Math.random()];
          Math.random = () => 0;
          Date.now = () => 0;
          return found;
        }
    """

    async def scenario(bench: Bench) -> None:
        environment = determinism(bench)
        outcomes = []
        for _ in range(3):
            outcomes.append(await bench.hosts.invoke(environment, bench.version(source), {}, determinism=NOW))
            await bench.hosts.reset()
        assert len({outcome.payload_json for outcome in outcomes}) == 1
        assert [[line.text for line in outcome.console] for outcome in outcomes] == [["hello"]] * 3

    play(scenario)


def test_a_killed_process_is_replaced(play: Any) -> None:
    async def scenario(bench: Bench) -> None:
        environment = determinism(bench)
        source = "async function handleEvent(e: any) { if (e.die) process.reallyExit(3); return " + PROCESS + "; }"
        first = await seen(bench, environment, source)
        died = await bench.hosts.invoke(environment, bench.version(source), {"die": True}, determinism=NOW)
        assert died.error is not None
        await bench.hosts.reset()
        assert await seen(bench, environment, source) != first

    play(scenario)
