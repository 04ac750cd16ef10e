"""Throughput of messages: plain, with two functions per message, and in a channel of a million."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from typing import Any

from bench import load
from bench.harness import CKFUNC, SCRATCH, Figure, alternate, median, talk
from bench.processes import running
from bench.reads import token
from bench.subjects import Served, Subject
from ckfunc.emulator.data import seed_data
from ckfunc.emulator.data_directory import DATABASE
from ckfunc.emulator.store.database import connect
from ckfunc.wire.jobs import read_seed

MANY = 1_000_000
PEOPLE: dict[str, Any] = {
    "users": [{"name": "jane"}, {"name": "john"}],
    "channels": [{"name": "quiet"}, {"name": "lively", "members": ["jane", "john"]}],
}


def measure(subjects: Sequence[Subject], rounds: int = 3, seconds: float = 3) -> list[Figure]:
    subject = next(subject for subject in subjects if subject.name == "ckfunc")
    with subject.serve() as served:
        api = _Api(served.url)
        api.post("/emulator/seed", PEOPLE)
        plain = api.request("POST", "/v1/channels/1/messages", {"type": "TEXT", "body": "Hello, World!"})
        pressed = [
            load.press(served.url, [plain], concurrency=16, seconds=seconds, warmup_calls=200) for _ in range(rounds)
        ]
        page = api.request("GET", "/v1/channels/1/messages?size=25")
        pages = [
            load.press(served.url, [page], concurrency=16, seconds=seconds, warmup_calls=200) for _ in range(rounds)
        ]
        running_two = [_with_functions(served, api, seconds) for _ in range(rounds)]
    sends = {"ckfunc": median([run.per_second for run in pressed])}
    return [
        Figure("messages sent, 16 at once", "/s", sends),
        Figure("pages of 25 messages, 16 at once", "/s", {"ckfunc": median([run.per_second for run in pages])}),
        Figure(
            "messages sent that run two functions each", "/s", {"ckfunc": median(running_two)}, note="all runs ended"
        ),
        *_million(subject, rounds),
    ]


def _with_functions(served: Served, api: _Api, seconds: float) -> float:
    """Return the messages per second, including the runs of two functions for each, of sender and receiver.

    No more are sent at once than run at once, so that none waits in a queue when the time is over.
    """
    body = {"type": "TEXT", "body": "Hello", "user": {"username": "jane"}}
    send = api.request("POST", "/v1/channels/2/messages", body)
    functions = api.get("/v1/runtimes/nodejs/functions?size=100")["_embedded"]["functions"]
    lists = [
        f"/v1/functions/{function['id']}/invocations?size=1&sort=id,desc"
        for function in functions
        if function["type"] in ("user.sent.message", "user.received.notification")
    ]
    load.press(served.url, [send], concurrency=2, seconds=0.5)
    before = _ended(api, lists)
    begin = time.perf_counter()
    pressed = load.press(served.url, [send], concurrency=2, seconds=seconds)
    while (now := _ended(api, lists)) < before + 2 * pressed.calls:
        time.sleep(0.005)
    took = time.perf_counter() - begin
    assert now == before + 2 * pressed.calls
    return pressed.calls / took


def _ended(api: _Api, lists: Sequence[str]) -> int:
    """Return the number of runs, once the newest of each function has ended."""
    while True:
        pages = [api.get(request) for request in lists]
        newest = [invocation for page in pages for invocation in page["_embedded"]["invocations"]]
        if all(invocation["status"] != "RUNNING" for invocation in newest):
            return sum(page["page"]["totalElements"] for page in pages)
        time.sleep(0.005)


def _median_s(url: str, request: bytes) -> float:
    return load.press(url, [request], concurrency=1, seconds=1, warmup_calls=50).p50_s


def _million(subject: Subject, rounds: int) -> list[Figure]:
    """Read a page of the newest and of the oldest messages in a channel with very many."""
    data = SCRATCH / "million"
    shutil.rmtree(data, ignore_errors=True)
    talk(f"writing {MANY:,} messages")
    seed_data(data, read_seed(PEOPLE))
    with closing(connect(data / DATABASE)) as database:
        database.execute(
            "INSERT INTO messages (channel_id, user_id, type, body, nested_level, properties, created_time)"
            " WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
            " SELECT 1, 1, 'TEXT', 'Message ' || n, 0, '{}', '2022-01-31T12:00:00.000Z' FROM numbers",
            (MANY,),
        )
    command = [CKFUNC, "emulator", "--port", "0", "--data-dir", str(data)]
    with running(command, subject.env, SCRATCH) as server:
        api = _Api(server.url)
        newest = api.request("GET", "/v1/channels/1/messages?size=25")
        oldest = api.request("GET", "/v1/channels/1/messages?size=25&start=50&next=26&relation=NEXT")
        bodies = [
            [message["id"] for message in api.read(request)["_embedded"]["messages"]] for request in (newest, oldest)
        ]
        assert bodies == [list(range(MANY, MANY - 25, -1)), list(range(25, 0, -1))]
        samples = alternate(
            {
                name: partial(_median_s, server.url, request)
                for name, request in (("newest", newest), ("oldest", oldest))
            },
            rounds,
        )
    shutil.rmtree(data, ignore_errors=True)
    first, last = median(samples["newest"]), median(samples["oldest"])
    what = f"page of 25 of {MANY:,} messages, p50:"
    return [
        Figure(f"{what} the newest", "s", {"ckfunc": first}),
        Figure(f"{what} the oldest", "s", {"ckfunc": last}, "as the newest (1.2 x)", last < 1.2 * first),
    ]


class _Api:
    """Makes authenticated requests."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._headers = {"authorization": f"Bearer {token(url)}"}

    def request(self, method: str, path: str, body: Any = None) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        return load.request(f"{self._url}{path}", method, content, headers=self._headers)

    def read(self, request: bytes) -> Any:
        return json.loads(load.once(self._url, request))

    def get(self, path: str) -> Any:
        return self.read(self.request("GET", path))

    def post(self, path: str, body: Any) -> Any:
        return self.read(self.request("POST", path, body))
