"""Duration, requests and round trips of a deploy without changes.

100 functions, with a server 50 ms away.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from bench.harness import CKFUNC, SCRATCH, Figure, clean_env, median, wall_s
from bench.latency import far
from bench.processes import running
from bench.subjects import Subject, replace

FUNCTIONS = 100
DELAY_S = 0.050


def measure(subjects: Sequence[Subject], rounds: int = 7) -> list[Figure]:
    del subjects
    home = SCRATCH / "noop-deploy"
    shutil.rmtree(home, ignore_errors=True)
    _write_project(home)
    local = clean_env(SCRATCH / "home")
    with ExitStack() as stack:
        command = [CKFUNC, "-C", str(home), "emulator", "--port", "0", "--ephemeral"]
        emulator = stack.enter_context(running(command, local, home))
        proxy = stack.enter_context(far(int(emulator.url.rpartition(":")[2])))
        env = local | {
            "CHATKITTY_API_URL": proxy.url,
            "CHATKITTY_AUTHORIZATION_URL": f"{proxy.url}/oauth/token",
            "CHATKITTY_CLIENT_ID": "emulator",
            "CHATKITTY_CLIENT_SECRET": "emulator",
        }
        deploy = [CKFUNC, "-C", str(home), "--target", "remote", "deploy", "--yes"]
        wall_s(deploy, env)
        near, far_away, trips, requests = [], [], [], 0
        for _ in range(rounds):
            proxy.delay_s = 0
            near.append(wall_s(deploy, env))
            proxy.delay_s = DELAY_S
            proxy.forget()
            far_away.append(wall_s(deploy, env))
            requests = max(requests, len(proxy.requests))
            trips.append((proxy.last - proxy.first) / DELAY_S)
        writes = [line for line in proxy.requests if not line.startswith("GET ") and "/oauth/" not in line]
    what = f"no-op deploy of {FUNCTIONS} functions"
    return [
        Figure(f"{what}: requests", "", {"ckfunc": requests}, "3", requests == 3, ", ".join(proxy.requests[:5])),
        Figure(f"{what}: writes", "", {"ckfunc": len(writes)}, "0", not writes),
        Figure(
            f"{what}: first request to last answer, in round trips",
            "x",
            {"ckfunc": median(trips)},
            "under 3",
            median(trips) < 3,
        ),
        Figure(f"{what}: whole command at 50 ms", "s", {"ckfunc": median(far_away)}, note=f"{_ms(near)} with no delay"),
    ]


def _write_project(home: Path) -> None:
    (home / "handlers").mkdir(parents=True)
    lines = ["version: 1", "functions:"]
    for number in range(FUNCTIONS):
        lines += [f"  bench.fired.n{number:03}:", f"    handler: handlers/n{number:03}.ts"]
        source = f"export async function handleEvent(event: any) {{ return {{ number: {number}, event }}; }}\n"
        replace(home / "handlers" / f"n{number:03}.ts", source)
    lines += ["targets:", "  remote: {}"]
    replace(home / "functions.yaml", "\n".join(lines) + "\n")


def _ms(samples: list[float]) -> str:
    return f"{median(samples) * 1000:.0f} ms"
