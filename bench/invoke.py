"""Duration of one `invoke`, from the shell and in a warm sandbox, compared with `node script.js`."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence

from bench.harness import CKFUNC, ROOT, SCRATCH, Figure, alternate, clean_env, median, wall_s
from bench.subjects import Subject, replace
from ckfunc.cli.app import App
from ckfunc.model.project import Script
from ckfunc.runtime.node import node_executable
from ckfunc.sandbox.sandbox import Sandbox
from ckfunc.sandbox.scripts import Scripts

TYPE = "user.attempted.start_session"
HANDLER = """async function handleEvent(event: { username: string }, context: any) {
  const { data } = await context.ChatKitty.Users.createUser({ name: "a", displayName: "A", isGuest: false });
  return { id: data.id };
}
"""
SCRIPT = "async function handleEvent(event) { return { id: 1 }; }\nhandleEvent({}).then((one) => console.log(one));\n"


def measure(subjects: Sequence[Subject], rounds: int = 9) -> list[Figure]:
    del subjects
    home = SCRATCH / "invoke"
    shutil.rmtree(home, ignore_errors=True)
    (home / "handlers").mkdir(parents=True)
    replace(home / "handlers" / "start.ts", HANDLER)
    replace(home / "script.js", SCRIPT)
    manifest = (
        f"version: 1\nfunctions:\n  {TYPE}:\n    handler: handlers/start.ts\ntargets:\n  local: {{emulator: true}}\n"
    )
    replace(home / "functions.yaml", manifest)
    cache = ROOT / ".cache" / "ckfunc"
    env = clean_env(SCRATCH / "home", {"CKFUNC_CACHE_DIR": str(cache)})
    invoke = [CKFUNC, "-C", str(home), "invoke", TYPE]
    wall_s(invoke, {**os.environ, "CKFUNC_CACHE_DIR": str(cache)})  # npm downloads the packages here if needed

    def cold() -> float:
        for made in ("scripts", "compiled"):
            shutil.rmtree(cache / made, ignore_errors=True)
        return wall_s(invoke, env)

    taken = alternate(
        {
            "cold": cold,
            "warm": lambda: wall_s(invoke, env),
            "node": lambda: wall_s([str(node_executable()), str(home / "script.js")], env),
        },
        rounds,
    )
    node, note = median(taken["node"]), "node script.js, without a platform"
    first, again, reloaded = _in_a_sandbox(rounds)
    return [
        _figure("invoke, nothing compiled yet", median(taken["cold"]), 0.9, node, note),
        _figure("invoke", median(taken["warm"]), 0.5, node, note),
        _figure("sandbox: until the first run has ended", first, 0.3),
        _figure("sandbox: begin again and run, p50", again, 0.003, note="one API call in each"),
        _figure("sandbox: begin again, load again and run, p50", reloaded, 0.004, note="one API call in each"),
    ]


def _figure(what: str, seconds: float, aim_s: float, node_s: float | None = None, note: str = "") -> Figure:
    values = {"ckfunc": seconds} if node_s is None else {"ckfunc": seconds, "node": node_s}
    return Figure(what, "s", values, f"under {aim_s * 1000:g} ms", seconds < aim_s, note)


def _in_a_sandbox(rounds: int, runs: int = 200) -> tuple[float, float, float]:
    """Return seconds: to the first result, and of a run on restored data, with modules reused and loaded again."""
    os.environ.pop("NODE_EXTRA_CA_CERTS", None)  # it triples Node's start-up time
    scripts = Scripts({TYPE: Script("start.ts", HANDLER)})
    firsts: list[float] = []
    reused: list[float] = []
    reloaded: list[float] = []
    with App({}) as app:
        for number in range(rounds):
            began = time.perf_counter()
            with Sandbox(app.toolchain(), scripts) as sandbox:
                sandbox.run(TYPE, {"username": "a"})
                firsts.append(time.perf_counter() - began)
                for turn in range(runs if number == 0 else 0):
                    for samples, reload in ((reused, False), (reloaded, True)):
                        began = time.perf_counter()
                        sandbox.restore_data(reload=reload)
                        sandbox.run(TYPE, {"username": str(turn)})
                        samples.append(time.perf_counter() - began)
    return median(firsts), median(reused), median(reloaded)
