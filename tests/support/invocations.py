"""A list of invocations that grows, shrinks and breaks while it is served over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ckfunc.api import Client, Connection
from ckfunc.base.clock import timestamp
from ckfunc.base.secrets import Secret
from support.loopback import Loopback, Reply, Request, serve
from support.scripted import StepClock, page_of

BEGAN = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class Served:
    """Functions and their invocations. `before` sees every request first and may answer it, or change the rows."""

    sorts: bool = True
    """Whether `sort` is honoured; if not, the oldest come first."""
    granted: int = 2000
    """The largest page."""
    totals: bool = True
    """Whether pages give the numbers of pages and rows; if not, they only have links to themselves and the next one."""
    emulator_id: str | None = None
    before: Callable[[Request], Reply | None] | None = None
    functions: dict[int, str] = field(default_factory=dict)
    rows: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    details: dict[int, dict[str, Any]] = field(default_factory=dict)
    server: Loopback = field(init=False)
    last_id: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.RLock()
        self.clock = StepClock()
        self.tokens = 0
        self.valid = ""

    # -- what a test does to it ----------------------------------------------------------------------------------

    def function(self, number: int, trigger_type: str) -> None:
        with self.lock:
            self.functions[number] = trigger_type
            self.rows.setdefault(number, [])

    def add(
        self, function: int, count: int = 1, *, status: str = "SUCCEEDED", at: datetime | None = None, **more: Any
    ) -> int:
        """Add rows with the next ids; return the last."""
        with self.lock:
            for _ in range(count):
                self.last_id += 1
                self.put(function, self.last_id, status=status, at=at, **more)
            return self.last_id

    def put(
        self, function: int, number: int, *, status: str = "SUCCEEDED", at: datetime | None = None, **more: Any
    ) -> None:
        """Add a row with the given id."""
        with self.lock:
            row = {
                "id": number,
                "versionNumber": 1,
                "args": {"username": f"user-{number}"},
                "status": status,
                "result": {} if status == "RUNNING" else {"payload": number},
                "createdTime": timestamp(at or BEGAN + timedelta(seconds=number)),
                **more,
            }
            self.rows[function] = sorted([*self.rows[function], row], key=lambda row: row["id"])

    def end(self, number: int, status: str = "SUCCEEDED") -> None:
        with self.lock:
            for rows in self.rows.values():
                for row in rows:
                    if row["id"] == number:
                        row.update(status=status, result={"payload": "ended"})

    def remove(self, *numbers: int) -> None:
        with self.lock:
            for function, rows in self.rows.items():
                self.rows[function] = [row for row in rows if row["id"] not in numbers]

    def expire_token(self) -> None:
        self.valid = "expired"

    # -- serving -------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        with self.lock:
            if (made := self.before and self.before(request)) is not None:
                return made
            reply = self._reply(request)
        headers = {"X-Ckfunc-Emulator": self.emulator_id} if self.emulator_id else {}
        return Reply(reply.status, reply.body, headers)

    def _reply(self, request: Request) -> Reply:
        address = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        parts = address.path.strip("/").split("/")
        if address.path == "/oauth/token":
            self.tokens += 1
            self.valid = f"token-{self.tokens}"
            return Reply(body={"access_token": self.valid, "expires_in": 3600})
        if request.headers.get("authorization") != f"Bearer {self.valid}":
            return Reply(401, {"error": "unauthorized"})
        if address.path == "/v1/runtimes/nodejs/functions":
            functions = [
                {"id": number, "type": name, "name": name, "enabled": True, "currentVersionNumber": 1}
                for number, name in self.functions.items()
            ]
            return Reply(body=page_of("functions", functions, size=500))
        if address.path == "/emulator/invocations":
            found = [
                self.details[int(invocation_id)]
                for invocation_id in query["ids"].split(",")
                if int(invocation_id) in self.details
            ]
            return Reply(body={"invocations": found})
        if parts[:2] == ["v1", "functions"] and parts[3:] == ["invocations"] and int(parts[2]) in self.functions:
            rows = self.rows[int(parts[2])]
            rows = rows[::-1] if self.sorts and query.get("sort") == "id,desc" else rows
            size = min(int(query["size"]), self.granted)
            number = int(query["page"])
            items = rows[number * size : (number + 1) * size]
            body = page_of("invocations", items, number=number, size=size, total=len(rows))
            if not self.totals:
                pages = (
                    {"self": number, "next": number + 1}
                    if number + 1 < body["page"]["totalPages"]
                    else {"self": number}
                )
                links = {name: {"href": f"https://host/x?page={to}&size={size}"} for name, to in pages.items()}
                body = {"_embedded": body["_embedded"], "_links": links}
            return Reply(body=body)
        return Reply(404, {"error": "ResourceNotFoundError", "message": "Resource not found"})

    def client(self) -> Client:
        url = self.server.url
        return Client(Connection(url, f"{url}/oauth/token", "the-client", Secret("the-s3cret")), clock=self.clock)

    def pages(self, function: int = 1) -> list[str]:
        """The queries for pages of a function's invocations, in order."""
        path = f"GET /v1/functions/{function}/invocations?"
        return [call.removeprefix(path) for call in self.server.calls() if call.startswith(path)]


@contextmanager
def invocations(*types: str, **settings: Any) -> Iterator[Served]:
    """Serve functions 1, 2, … of `types` without invocations."""
    made = Served(**settings)
    for number, name in enumerate(types, 1):
        made.function(number, name)
    with serve(made.answer) as server:
        made.server = server
        yield made


class Finished(Exception):
    """The script of a ScriptedClock has ended."""


class ScriptedClock(StepClock):
    """A clock on which each wait runs the next step of a script; the program ends after the last step."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__()
        self.steps = list(steps)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if not self.steps:
            raise Finished
        self.steps.pop(0)()


def nothing() -> None:
    """A step in which nothing happens."""
