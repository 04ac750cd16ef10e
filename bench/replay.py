"""Duration of a replay of 500 invocations, with the same script and with a different one."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Sequence

from bench import load
from bench.harness import CKFUNC, ROOT, SCRATCH, Figure, clean_env, wall_s
from bench.processes import running
from bench.subjects import EVENT, TYPES, Subject, replace

INVOCATIONS = 500
_SCRIPT = """\
async function handleEvent(event: any, context: any) {
  const name = `guest-${Math.random()}`;
  const { data } = await context.ChatKitty.Users.createUser({ name, displayName: 'WORD' });
  return { id: data.id, at: new Date().toISOString() };
}
"""


def measure(subjects: Sequence[Subject]) -> list[Figure]:
    del subjects
    home = SCRATCH / "replay"
    shutil.rmtree(home, ignore_errors=True)
    (home / "handlers").mkdir(parents=True)
    replace(home / "functions.yaml", f"version: 1\nfunctions:\n  {TYPES[0]}:\n    handler: handlers/start.ts\n")
    handler = home / "handlers" / "start.ts"
    replace(handler, _SCRIPT)
    cache = {"CKFUNC_CACHE_DIR": str(ROOT / ".cache" / "ckfunc")}
    env = clean_env(SCRATCH / "home", cache)
    ckfunc = [CKFUNC, "-C", str(home), "--target", "local"]
    wall_s([*ckfunc, "deploy"], {**os.environ, **cache})  # npm installs here if needed
    with running([*ckfunc, "emulator", "--port", "0"], env, home) as server:
        event = json.dumps({"type": TYPES[0], "data": EVENT}).encode()
        request = load.request(f"{server.url}/emulator/trigger", "POST", event)
        load.press(server.url, [request], concurrency=4, seconds=0, warmup_calls=INVOCATIONS)
        same, found = _replayed(ckfunc, env)
        replace(handler, _SCRIPT.replace("WORD", "SENTENCE"))
        other, differing = _replayed(ckfunc, env)
    right = found["equal"] == INVOCATIONS and differing["different"] == INVOCATIONS
    what = f"replay of {INVOCATIONS} invocations, each an API call"
    return [
        Figure(f"{what}: unchanged", "s", {"ckfunc": same}, "", right, f"{INVOCATIONS / same:.0f} invocations/s"),
        Figure(f"{what}: all differ", "s", {"ckfunc": other}, "", right, f"{INVOCATIONS / other:.0f} invocations/s"),
    ]


def _replayed(ckfunc: Sequence[str], env: dict[str, str]) -> tuple[float, dict[str, int]]:
    began = time.perf_counter()
    command = [*ckfunc, "--json", "replay", TYPES[0], "--last", str(INVOCATIONS)]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    return time.perf_counter() - began, json.loads(done.stdout)
