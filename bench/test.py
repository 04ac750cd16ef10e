"""Test cases per second: 200 with platform calls, and 200 that need new processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from bench.harness import CKFUNC, ROOT, SCRATCH, Figure, clean_env, median
from bench.subjects import Subject, replace

CASES = 200
TYPE = "user.sent.message"

CALLING = """\
let count = 0;
async function handleEvent(event: any, context: any) {
  count += 1;
  await context.ChatKitty.Channels.sendChannelMessage(event.channel.id, { type: "TEXT", body: event.message.body });
  return { count };
}
"""

# A running timer keeps ckfunc from reusing the process.
LINGERING = CALLING.replace("count += 1;", "count += 1; setInterval(() => {}, 60_000);")


def measure(subjects: Sequence[Subject], rounds: int = 5) -> list[Figure]:
    del subjects
    home = SCRATCH / "test"
    shutil.rmtree(home, ignore_errors=True)
    cache = {"CKFUNC_CACHE_DIR": str(ROOT / ".cache" / "ckfunc")}
    env = clean_env(SCRATCH / "home", cache)
    _write(home, CALLING, 1)
    subprocess.run([CKFUNC, "-C", str(home), "test"], env={**os.environ, **cache}, check=True, capture_output=True)
    single = median([_seconds(home, env) for _ in range(rounds)])
    _write(home, CALLING, CASES)
    usual = median([_seconds(home, env) for _ in range(rounds)])
    _write(home, LINGERING, CASES)
    cold = median([_seconds(home, env) for _ in range(min(rounds, 2))])
    return [
        Figure("test of one case, start to end", "s", {"ckfunc": single}),
        Figure(f"test of {CASES} cases", "s", {"ckfunc": usual}),
        Figure(f"test of {CASES} cases", "/s", {"ckfunc": CASES / usual}),
        Figure(f"test of {CASES} cases, each in a process booted for it", "/s", {"ckfunc": CASES / cold}),
    ]


def _seconds(home: Path, env: dict[str, str]) -> float:
    begin = time.perf_counter()
    done = subprocess.run([CKFUNC, "-C", str(home), "--json", "test"], env=env, capture_output=True, check=False)
    took = time.perf_counter() - begin
    if not json.loads(done.stdout)["ok"]:
        raise RuntimeError(done.stdout.decode()[-2000:])
    return took


def _write(home: Path, handler: str, count: int) -> None:
    for directory in ("handlers", "tests"):
        (home / directory).mkdir(parents=True, exist_ok=True)
    manifest = f"version: 1\nfunctions:\n  {TYPE}: {{handler: handlers/h.ts}}\ntargets: {{local: {{emulator: true}}}}\n"
    replace(home / "functions.yaml", manifest)
    replace(home / "handlers/h.ts", handler)
    expect = "{result: {count: 1}, calls: [{method: POST, path: /channels/1/messages}]}"
    cases = [
        f"  - {{name: case {number}, sample: true, event: {{message: {{body: text {number}}}}}, expect: {expect}}}"
        for number in range(count)
    ]
    replace(home / "tests/cases.yaml", "\n".join([f"type: {TYPE}", "cases:", *cases]) + "\n")
