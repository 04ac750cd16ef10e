"""Duration of a check compared with `tsc`.

50 handlers: first check, unchanged, with one change, and with `--watch`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness import CKFUNC, ROOT, SCRATCH, Figure, clean_env, median, wall_s
from bench.subjects import Subject, replace
from ckfunc.check.typescript import compiler

FUNCTIONS = 50
TYPES = ("user.sent.message", "user.attempted.start_session", "user.received.notification", "user.read.message")


def measure(subjects: Sequence[Subject], rounds: int = 9) -> list[Figure]:
    del subjects
    home = SCRATCH / "check"
    shutil.rmtree(home, ignore_errors=True)
    _write_project(home)
    cache = {"CKFUNC_CACHE_DIR": str(ROOT / ".cache" / "ckfunc")}
    env = clean_env(SCRATCH / "home", cache)
    check = [CKFUNC, "-C", str(home), "-q", "check"]
    wall_s(check, {**os.environ, **cache})  # npm downloads the compiler here if needed
    wall_s([CKFUNC, "-C", str(home), "types"], {**os.environ, **cache})
    tsc = [str(compiler(Path(cache["CKFUNC_CACHE_DIR"]))), "--noEmit", "-p", str(home)]
    cold, warm, changed, bare = [], [], [], []
    for number in range(rounds):
        shutil.rmtree(home / ".ckfunc" / "check")
        cold.append(wall_s(check, env))
        warm.append(wall_s(check, env))
        _save(home, number)
        changed.append(wall_s(check, env))
        bare.append(wall_s(tsc, clean_env(SCRATCH / "home"), home))
    saved = _watched(home, check, env, rounds)
    what = f"check of {FUNCTIONS} handlers"
    bare_s = median(bare)
    return [
        _figure(f"{what}: the first of a project", median(cold), bare_s, 1.0),
        _figure(f"{what}: nothing changed", median(warm), bare_s, 0.3),
        _figure(f"{what}: one changed", median(changed), bare_s, 0.6),
        _figure(f"{what}: save to verdict under --watch", median(saved), bare_s, 0.4),
    ]


def _figure(what: str, seconds: float, bare_s: float, aim_s: float) -> Figure:
    note = "tsc: types alone, by the same compiler"
    return Figure(what, "s", {"ckfunc": seconds, "tsc": bare_s}, f"under {aim_s * 1000:.0f} ms", seconds < aim_s, note)


def _watched(home: Path, check: Sequence[str], env: dict[str, str], saves: int) -> list[float]:
    command = [*check[:3], "--json", "check", "--watch"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        lines: Any = process.stdout
        try:
            lines.readline()
            taken = []
            for number in range(saves):
                time.sleep(0.3)  # a pause between saves, so that all work is done
                begin = time.perf_counter()
                _save(home, 100 + number, wrong=True)
                while lines.readline() == b"[]\n":
                    pass
                taken.append(time.perf_counter() - begin)
                _save(home, 100 + number)
                while lines.readline() != b"[]\n":
                    pass
        finally:
            process.kill()
    return taken


def _save(home: Path, number: int, *, wrong: bool = False) -> None:
    line = "const wrong: string = 1;" if wrong else ""
    replace(home / "handlers" / "n000.ts", f"{_source(TYPES[0])}// {number}\n{line}\n")


def _write_project(home: Path) -> None:
    (home / "handlers").mkdir(parents=True)
    lines = ["version: 1", "functions:"]
    for number in range(FUNCTIONS):
        name = TYPES[number] if number < len(TYPES) else f"bench.fired.n{number:03}"
        lines += [f"  {name}:", f"    handler: handlers/n{number:03}.ts"]
        replace(home / "handlers" / f"n{number:03}.ts", _source(TYPES[number % len(TYPES)]))
    replace(home / "functions.yaml", "\n".join(lines) + "\n")
    template = ROOT / "templates" / "project" / "tsconfig.json.j2"
    replace(home / "tsconfig.json", template.read_text(encoding="utf-8"))


def _source(trigger_type: str) -> str:
    event = "".join(word.title() for word in trigger_type.replace(".", "_").split("_")) + "Event"
    return f"""async function handleEvent(event: {event}, context: Context) {{
  const {{ data: users }} = await context.ChatKitty.Users.listUsers();
  const names = (users._embedded?.users ?? []).map((user) => user.displayName.toUpperCase());
  for (const name of names) {{
    await context.ChatKitty.Channels.sendChannelMessage(1, {{ type: "TEXT", body: `Hello ${{name}}` }});
  }}
  return {{ event, names }};
}}
"""
