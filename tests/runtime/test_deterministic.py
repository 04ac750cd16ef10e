"""Deterministic environments: runs with the same clock and seed have the same results."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from runtime.conftest import Bench

from ckfunc.model.execution import Determinism, Outcome

SUNDAY = Determinism(1_714_557_600_000, 7)  # 2024-05-01T10:00:00Z


async def deterministic_run(bench: Bench, source: str, determinism: Determinism = SUNDAY, **options: Any) -> Outcome:
    environment = replace(bench.environment(), determinism=SUNDAY, **options)
    return await bench.hosts.invoke(environment, bench.version(source), {}, determinism=determinism)


def payload(outcome: Outcome) -> Any:
    assert outcome.error is None, outcome.error
    assert outcome.payload_json is not None
    return json.loads(outcome.payload_json)


EVERYTHING = """
const crypto = require('node:crypto');
const { randomUUID, randomFillSync } = require('crypto');
const { setTimeout: sleep } = require('node:timers/promises');
const { promisify } = require('node:util');
const born = [Date.now(), Math.random(), crypto.randomUUID()];
async function handleEvent() {
  const started = performance.now();
  const found = [born, Date.now(), new Date().toISOString(), Date(), typeof new Date(), new Date() instanceof Date];
  found.push(Math.random(), crypto.randomBytes(5).toString('hex'), randomUUID(), globalThis.crypto.randomUUID());
  found.push([...globalThis.crypto.getRandomValues(new Uint16Array(3))], crypto.randomInt(10), crypto.randomInt(5, 9));
  found.push([...crypto.getRandomValues(new Uint8Array(3))]);
  found.push([...randomFillSync(new Uint8Array(4), 1, 2)]);
  found.push(await new Promise((done) => crypto.randomBytes(3, (error, bytes) => done(bytes.toString('hex')))));
  found.push(await new Promise((done) => crypto.randomFill(new Uint8Array(3), (error, bytes) => done([...bytes]))));
  found.push(await new Promise((done) => crypto.randomInt(1000, (error, value) => done(value))));
  found.push(process.hrtime(), process.hrtime([1, 5]), String(process.hrtime.bigint()), performance.now() - started);
  await new Promise((done) => setTimeout(done, 20));
  found.push(Date.now());
  await sleep(5);
  await promisify(setTimeout)(5);
  found.push(Date.now(), process.hrtime());
  return found;
}
"""


def test_a_repeated_run_has_the_same_time_and_random_values_in_another_process(play: Any) -> None:
    async def once(bench: Bench) -> Any:
        return payload(await deterministic_run(bench, EVERYTHING))

    first, second = play(once), play(once)
    assert first == second
    assert first[1] == SUNDAY.now_ms
    assert first[2] == "2024-05-01T10:00:00.000Z"
    assert first[4:6] == ["object", True]
    assert first[-3:-1] == [SUNDAY.now_ms + 20, SUNDAY.now_ms + 30]


MACHINE = """
const os = require('node:os');
function handleEvent() {
  const format = new Intl.DateTimeFormat('en', { dateStyle: 'short', timeStyle: 'long', timeZone: 'UTC' });
  const parts = format.formatToParts().map((one) => one.value).join('').replace('\\u202f', ' ');
  const found = [format.format(), [new Date(0)].map(format.format)[0], parts];
  found.push(format.format === format.format, new Intl.DateTimeFormat('en').format(undefined));
  found.push(process.pid, process.ppid, process.uptime(), process.memoryUsage(), process.memoryUsage.rss());
  found.push(process.availableMemory(), process.cpuUsage(process.cpuUsage()), process.resourceUsage());
  found.push(performance.timeOrigin + performance.now() - Date.now(), performance.timeOrigin);
  found.push(os.freemem(), os.loadavg(), os.uptime(), os.cpus()[0].times);
  return found;
}
"""


def test_properties_of_process_and_machine_are_constant(play: Any) -> None:
    async def once(bench: Bench) -> Any:
        return payload(await deterministic_run(bench, MACHINE))

    first, second = play(once), play(once)
    assert first == second
    now = "5/1/24, 10:00:00 AM UTC"
    assert first[:5] == [now, "1/1/70, 12:00:00 AM UTC", now, True, "5/1/2024"]
    assert first[-6] == 0


def test_a_process_can_kill_itself_by_its_reported_pid(play: Any) -> None:
    async def scenario(bench: Bench) -> Any:
        source = "async function handleEvent() { process.kill(process.pid, 'SIGKILL'); await new Promise(() => {}); }"
        return await deterministic_run(bench, source)

    outcome = play(scenario)
    assert outcome.error is not None
    assert outcome.error.name == "ProcessEnded"


def test_another_seed_and_time_give_other_values(play: Any) -> None:
    async def both(bench: Bench) -> Any:
        other = Determinism(SUNDAY.now_ms + 1, 8)
        source = "function handleEvent() { return [Date.now(), Math.random(), crypto.randomUUID()]; }"
        return [payload(await deterministic_run(bench, source, time)) for time in (SUNDAY, other, SUNDAY)]

    first, other, again = play(both)
    assert first == again
    assert all(left != right for left, right in zip(first, other, strict=True))


def test_random_values_are_distributed_evenly(play: Any) -> None:
    async def scenario(bench: Bench) -> Any:
        source = "function handleEvent() { return Array.from({ length: 4000 }, Math.random); }"
        return payload(await deterministic_run(bench, source))

    chances = play(scenario)
    assert len(set(chances)) == 4000
    assert all(0 <= chance < 1 for chance in chances)
    counts = [sum(1 for chance in chances if int(chance * 8) == part) for part in range(8)]
    assert all(400 < count < 600 for count in counts)


def test_a_busy_loop_that_waits_for_the_clock_ends(play: Any) -> None:
    async def scenario(bench: Bench) -> Any:
        source = """async function handleEvent() {
            const until = Date.now() + 3000; while (Date.now() < until);
            let ticks = 0;
            await new Promise((done) => {
              const timer = setInterval(() => { if (++ticks === 3) { clearInterval(timer); done(); } }, 5);
            });
            return [Date.now() >= until, ticks];
        }"""
        return payload(await deterministic_run(bench, source))

    assert play(scenario) == [True, 3]


def test_concurrent_runs_have_their_own_clocks(play: Any) -> None:
    async def scenario(bench: Bench) -> Any:
        import asyncio

        source = """async function handleEvent() {
            const before = Date.now(); await new Promise((done) => setTimeout(done, 30));
            return [before, Date.now(), Math.random()];
        }"""
        clocks = [Determinism(1000 * number, number) for number in range(1, 6)]
        found = await asyncio.gather(*(deterministic_run(bench, source, clock) for clock in clocks))
        return [payload(outcome) for outcome in found]

    found = play(scenario)
    assert [value[:2] for value in found] == [[1000 * number, 1000 * number + 30] for number in range(1, 6)]
    assert len({value[2] for value in found}) == 5


@pytest.mark.parametrize("ask", ["fetch('{url}')", "require('axios').get('{url}')", "new WebSocket('{url}')"])
def test_without_network_access_every_kind_of_request_is_blocked_and_reported(play: Any, ask: str) -> None:
    async def scenario(bench: Bench) -> Any:
        source = f"async function handleEvent() {{ {ask.format(url='http://127.0.0.1:4999/secret')}; await 0; }}"
        source = source.replace("; await 0", ".then?.(() => 0); await new Promise((done) => setTimeout(done, 200))")
        return await deterministic_run(bench, source, network=False)

    outcome = play(scenario)
    assert "network access blocked: 127.0.0.1:4999" in [line.text for line in outcome.console]


def test_a_blocked_request_fails_with_a_reason(play: Any) -> None:
    async def scenario(bench: Bench) -> Any:
        source = """async function handleEvent() {
            try { await fetch('http://example.com/'); } catch (error) { return error.cause.message; }
        }"""
        return payload(await deterministic_run(bench, source, network=False))

    assert play(scenario) == "connect ENETUNREACH example.com:80: this run can only reach the platform"


def test_a_nondeterministic_environment_uses_the_system_clock(play: Any) -> None:
    async def scenario(bench: Bench) -> Mapping[str, Any]:
        return payload(await bench.run("function handleEvent() { return Date.now(); }"))

    assert play(scenario) > SUNDAY.now_ms + 10_000_000
