"""Longest wait of other requests during large deletions, imports, exports, seeds, searches or files."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

import httpx

from bench.harness import CKFUNC, SCRATCH, Figure, talk
from bench.processes import running
from bench.reads import token
from bench.subjects import Subject
from ckfunc.emulator.data import seed_data
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.store.database import connect
from ckfunc.wire.jobs import read_seed

MANY = 100_000
FILE_MB = 30
ALLOWED_S = 0.1
NOTHING = "nothing"
PEOPLE: dict[str, Any] = {
    "users": [{"name": "jane"}, {"name": "john"}],
    "channels": [{"name": "quiet"}, {"name": "lively", "members": ["jane", "john"]}],
}


def measure(subjects: Sequence[Subject]) -> list[Figure]:
    subject = next(subject for subject in subjects if subject.name == "ckfunc")
    data = SCRATCH / "waits"
    shutil.rmtree(data, ignore_errors=True)
    seed_data(data, read_seed(PEOPLE))
    with closing(connect(data / DATABASE)) as database:
        database.execute(
            "INSERT INTO messages (channel_id, user_id, type, body, nested_level, properties, created_time)"
            " WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)"
            " SELECT 2, 1, 'TEXT', 'Hello, number ' || n, 0, '{}', '2022-01-31T00:00:00Z' FROM n",
            (MANY,),
        )
    command = [CKFUNC, "emulator", "--port", "0", "--data-dir", str(data)]
    with running(command, subject.env, SCRATCH) as server:
        url = server.url
        headers = {"authorization": f"Bearer {token(url)}"}
        with httpx.Client(base_url=url, headers=headers, timeout=300, trust_env=False) as client:
            waits = {}
            for what, work in _works(client):
                talk(what)
                waits[what] = _waits(url, headers, work)
    shutil.rmtree(data, ignore_errors=True)
    # If requests wait this long on an idle machine, the measurement says nothing about the emulator.
    quiet = max(waits[NOTHING]) <= ALLOWED_S
    return [_figure(what, found, judged=quiet) for what, found in waits.items()]


def _works(client: httpx.Client) -> list[tuple[str, Callable[[], None]]]:
    # All bodies are made first, because making them would block the requests of this process.
    messages = _body([{"type": "TEXT", "channelId": 1, "user": "jane", "body": f"number {n}"} for n in range(MANY)])
    users = _body(
        [{"name": f"user{n}", "displayName": "User", "properties": {"place": {"floor": n % 9}}} for n in range(MANY)]
    )
    seed = _body({"channels": [{"name": "seeded", "messages": [{"user": "jane", "body": "x"}] * (MANY // 5)}]})
    event = _body({"type": "some.event", "data": {"all": ["x" * 20] * 300_000}})
    search = {"properties": json.dumps({"place": {"floor": 3}})}
    as_json = {"content-type": "application/json"}

    def job(path: str, entries: bytes | None = None) -> None:
        files = None if entries is None else {"file": ("entries.json", entries)}
        answer = client.post(f"/v1{path}", files=files).raise_for_status().json()
        while (state := client.get(f"/v1/jobs/{answer['id']}").json()["state"]) in ("PENDING", "RUNNING"):
            time.sleep(0.2)
        if state != "FINISHED":
            raise RuntimeError(client.get(f"/emulator/jobs/{answer['id']}").text)

    def file() -> None:
        answer = client.post("/v1/channels/1/messages", files={"file": ("large.bin", os.urandom(FILE_MB * 1_000_000))})
        message = answer.raise_for_status().json()
        _done(client.get(message["file"]["url"]))
        _done(client.delete(f"/v1/messages/{message['id']}"))

    def post(path: str, content: bytes) -> None:
        _done(client.post(path, content=content, headers=as_json))

    return [
        (NOTHING, lambda: time.sleep(2)),
        (f"an export of {MANY} messages", lambda: job("/analytics/messages")),
        (f"a deletion of {MANY} messages", lambda: _done(client.delete("/v1/channels/2"))),
        (f"an import of {MANY} messages", lambda: job("/imports/messages", messages)),
        (f"an import of {MANY} users", lambda: job("/imports/users", users)),
        (f"a search of {MANY} users by properties", lambda: _done(client.get("/v1/users", params=search))),
        (f"a seed of {MANY // 5} messages", lambda: post("/emulator/seed", seed)),
        (f"a file of {FILE_MB} MB, sent, read and deleted", file),
        ("an event of 7 MB", lambda: post("/emulator/trigger", event)),
    ]


def _body(document: Any) -> bytes:
    return json.dumps(document).encode()


def _done(answer: httpx.Response) -> None:
    answer.raise_for_status()


def _waits(url: str, headers: dict[str, str], work: Callable[[], None]) -> list[float]:
    """Return how long other requests wait while `work` runs: reads, and writes."""
    waits: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, headers=headers, timeout=300, trust_env=False) as client:
            while not (waits and over.is_set()):
                for method, path, body in (
                    ("GET", "/v1/users/1", None),
                    ("PATCH", "/v1/users/2", {"displayName": "John"}),
                ):
                    begin = time.perf_counter()
                    _done(client.request(method, path, json=body))
                    waits.append(time.perf_counter() - begin)
                time.sleep(0.005)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        work()
    finally:
        over.set()
        asking.join()
    return waits


def _figure(what: str, waits: list[float], *, judged: bool) -> Figure:
    longest, late = max(waits), sum(wait_s > ALLOWED_S for wait_s in waits)
    return Figure(
        f"longest wait during {what}, of {ALLOWED_S:g} s",
        "x",
        {"ckfunc": longest / ALLOWED_S},
        aim="1 x",
        met=longest <= ALLOWED_S if judged else None,
        note=f"{late} of {len(waits)} requests waited longer",
    )
