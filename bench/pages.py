"""Pages of the dashboard over much data, and the cost of open dashboards.

100,000 invocations and 1,000,000 messages: the processor time of the slowest page, the size of the largest one, and
the processor time of an idle emulator with 20 open dashboards.
"""

from __future__ import annotations

import json
import shutil
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path

from bench.harness import CKFUNC, ROOT, SCRATCH, Figure, clean_env
from bench.processes import running
from bench.subjects import Subject
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.services import make_ready
from ckfunc.emulator.store import functions, seeds
from ckfunc.emulator.store.database import open_database
from ckfunc.emulator.store.database_file import MIGRATIONS, SCHEMA
from ckfunc.model.application import NewFunction
from ckfunc.wire.jobs import read_seed

INVOCATIONS = 100_000
MESSAGES = 1_000_000
DASHBOARDS = 20
PAGES = (
    "/",
    "/ui/functions/1",
    "/ui/functions/1?status=FAILED",
    "/ui/functions/1?query=nothing",
    "/ui/functions/1/versions/1",
    "/ui/invocations/500",
    "/ui/invocations/500/working-copy",
    "/ui/chat",
    "/ui/users",
    "/ui/channels",
    "/ui/channels/1",
    "/ui/messages",
    "/ui/messages?query=999999",
    "/ui/messages?query=nothing",
    "/ui/sessions",
    "/ui/requests",
    "/ui/faults",
    "/ui/data",
    "/ui/runtime",
    "/ui/trigger",
)
_SEED = {
    "users": [{"name": "ann"}, {"name": "bob"}],
    "channels": [{"name": "p", "members": ["ann", "bob"]}],
}


def measure(subjects: Sequence[Subject], rounds: int = 10, seconds: float = 10) -> list[Figure]:
    del subjects
    home = SCRATCH / "pages"
    shutil.rmtree(home, ignore_errors=True)
    data = home / "data"
    data.mkdir(parents=True)
    _fill(data / DATABASE)
    env = clean_env(SCRATCH / "home", {"CKFUNC_CACHE_DIR": str(ROOT / ".cache" / "ckfunc")})
    command = [CKFUNC, "emulator", "--port", "0", "--data-dir", str(data)]
    with running(command, env, home) as server:
        times, sizes = {}, {}
        for path in PAGES:
            sizes[path] = _size(server.url + path)
            before = _processor_s(server.pid)
            for _ in range(rounds):
                _size(server.url + path)
            times[path] = (_processor_s(server.pid) - before) / rounds
        slowest, largest = max(times, key=times.__getitem__), max(sizes, key=sizes.__getitem__)
        with ExitStack() as opened:
            for _ in range(DASHBOARDS):
                opened.enter_context(urllib.request.urlopen(f"{server.url}/ui/live", timeout=60))
            time.sleep(3)
            before = _processor_s(server.pid)
            time.sleep(seconds)
            share = (_processor_s(server.pid) - before) / seconds
    return [
        Figure("slowest page, processor time", "s", _of(times[slowest]), "under 200 ms", times[slowest] < 0.2, slowest),
        Figure("largest page, in KB", "", _of(sizes[largest] / 1000), "under 200", sizes[largest] < 200_000, largest),
        Figure("processor, 20 open dashboards", "x", _of(share), "under 2 % of a core", share < 0.02),
    ]


def _of(value: float) -> dict[str, float]:
    return {"ckfunc": value}


def _fill(path: Path) -> None:
    """Write the data directly: requests would take an hour."""
    event = json.dumps({"user": {"id": 1, "name": "ann"}, "message": {"id": 1, "channelId": 1, "body": "hello " * 60}})
    with closing(open_database(path, SCHEMA, MIGRATIONS)) as database:
        make_ready(database)
        seeds.apply(database, read_seed(_SEED))
        made = functions.create(database, NewFunction("user.sent.message", "user.sent.message"))
        functions.add_version(database, made.id, "function handleEvent() { return 1; }")
        with database.transaction():
            database.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT INTO messages (id, channel_id, user_id, type, body, nested_level, properties, created_time)"
                " SELECT i, 1, 1 + i % 2, 'TEXT', 'message number ' || i, 0, '{}', '2026-11-27T10:00:00.000Z' FROM n",
                (MESSAGES,),
            )
            database.execute(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)"
                " INSERT INTO invocations SELECT i, ?, i, 1, ?, 'RUNNING', '{}',"
                " printf('2026-11-27T10:%02d:%02d.000Z', (i / 60) % 60, i % 60) FROM n",
                (INVOCATIONS, made.id, event),
            )
            database.execute(
                "INSERT INTO invocation_details (invocation_id, console, duration_ms, status, result)"
                " SELECT id, '[]', 1.0, CASE id % 50 WHEN 0 THEN 'FAILED' ELSE 'SUCCEEDED' END, '{\"payload\":1}'"
                " FROM invocations"
            )


def _size(url: str) -> int:
    """Read a page, and return its size in bytes."""
    with urllib.request.urlopen(url, timeout=60) as answer:
        return len(answer.read())


def _processor_s(process_id: int) -> float:
    """Return the processor time of a process in seconds. Source: proc(5), fields 14 and 15 of stat, in 1/100 s."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100
