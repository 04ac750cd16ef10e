"""A scripted Platform API over real HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from ckfunc.api import Client, Connection, Wait
from ckfunc.base.secrets import Secret
from support.loopback import Loopback, Reply, Request, serve

Answering = Reply | Callable[[Request], Reply] | list[Any]

RUNTIME: dict[str, Any] = {
    "id": 1,
    "type": "NODEJS",
    "version": "v0.0.29",
    "dependencies": [{"name": "axios", "version": "^0.19.2", "defaultDependency": True}],
    "environmentVariables": {"CHATKITTY_APPLICATION_ID": "7", "SNAKE_name": "x", "camelName": "y"},
    "_links": {"application": {"href": "https://api.chatkitty.com/v1/applications/7"}},
}
SNAKE_RUNTIME: dict[str, Any] = {
    "id": 1,
    "type": "NODEJS",
    "version": "v0.0.29",
    "dependencies": [{"name": "axios", "version": "^0.19.2", "default_dependency": True}],
    "environment_variables": {"CHATKITTY_APPLICATION_ID": "7", "SNAKE_name": "x", "camelName": "y"},
    "_links": {"application": {"href": "https://api.chatkitty.com/v1/applications/7"}},
}


class StepClock:
    """A clock on which waits take no time and are recorded."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._lock = threading.Lock()
        self._passed_s = 0.0
        self.started = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.started + timedelta(seconds=self._passed_s)

    def monotonic_s(self) -> float:
        return self._passed_s

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._passed_s += seconds

    def advance(self, seconds: float) -> None:
        with self._lock:
            self._passed_s += seconds


class Platform:
    """Answers requests from `routes`: "METHOD /path" to a reply, a callable, or a list of them used up in order."""

    def __init__(self, routes: Mapping[str, Answering]) -> None:
        self.routes = dict(routes)
        self.tokens = 0
        self._lock = threading.Lock()
        self.server: Loopback
        self.clock = StepClock()
        self.waits: list[Wait] = []

    def answer(self, request: Request) -> Reply:
        name = f"{request.method} {urlsplit(request.path).path}"
        with self._lock:
            if name not in self.routes and name == "POST /oauth/token":
                self.tokens += 1
                return Reply(body={"access_token": f"token-{self.tokens}", "expires_in": 3600})
            found = self.routes.get(name)
            if isinstance(found, list):
                found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            return found(request)
        return found or Reply(404, {"error": "ResourceNotFoundError", "message": f"no route {name}"})

    def calls(self) -> list[str]:
        """Every request but those for a token, in order."""
        return [call for call in self.server.calls() if "/oauth/token" not in call]

    def asked(self, name: str) -> list[Request]:
        """The requests to "METHOD /path"."""
        return [
            request for request in self.server.requests if f"{request.method} {urlsplit(request.path).path}" == name
        ]

    def connection(self, **changes: str) -> Connection:
        url = self.server.url
        given = {
            "api_url": url,
            "authorization_url": f"{url}/oauth/token",
            "client_id": "the-client",
            "client_secret": "the-s3cret",
        }
        given |= changes
        return Connection(**{**given, "client_secret": Secret(given["client_secret"])})

    def client(self, *, timeout_s: float = 30.0, **changes: str) -> Client:
        return Client(self.connection(**changes), clock=self.clock, timeout_s=timeout_s, on_wait=self.waits.append)


@contextmanager
def platform(routes: Mapping[str, Answering]) -> Iterator[Platform]:
    """Serve `routes` on loopback."""
    made = Platform(routes)
    with serve(made.answer) as server:
        made.server = server
        yield made


def page_of(
    name: str, items: list[Any], *, number: int = 0, size: int = 25, total: int | None = None
) -> dict[str, Any]:
    """Return a HAL page."""
    count = len(items) if total is None else total
    return {
        "_embedded": {name: items},
        "page": {"size": size, "totalElements": count, "totalPages": -(-count // size), "number": number},
    }
