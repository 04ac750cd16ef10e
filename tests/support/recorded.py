"""A platform over real HTTP that can only be read: deployed scripts, their runtime, and what was recorded of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ckfunc.base.clock import timestamp
from support.loopback import Loopback, Reply, Request, serve
from support.scripted import page_of

BEGAN = datetime(2024, 5, 1, 12, 0, 0, tzinfo=UTC)


@dataclass
class Recorded:
    """What is deployed and recorded, by trigger type; `rows` are in the order in which they were recorded."""

    scripts: Mapping[str, str]
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    environment: Mapping[str, str] = field(default_factory=dict)
    initialization_script: str | None = None
    version: int = 12
    server: Loopback = field(init=False)

    def answer(self, request: Request) -> Reply:
        address = urlsplit(request.path)
        if request.method == "POST" and address.path == "/oauth/token":
            return Reply(body={"access_token": "the-token", "expires_in": 3600})
        if request.method != "GET":
            return Reply(500, {"error": "Written", "message": "this application can only be read"})
        parts = address.path.removeprefix("/v1/").split("/")
        types = list(self.scripts)
        if parts == ["runtimes", "nodejs"]:
            return Reply(body=self._runtime())
        if parts == ["runtimes", "nodejs", "functions"]:
            functions = [
                {"id": number, "type": name, "name": name, "enabled": True, "currentVersionNumber": self.version}
                for number, name in enumerate(types, 1)
            ]
            return Reply(body=page_of("functions", functions, size=500))
        if parts[0] == "functions" and parts[2:] == ["current-version"]:
            script = self.scripts[types[int(parts[1]) - 1]]
            return Reply(body={"id": 900, "versionNumber": self.version, "handlerScript": script})
        if parts[0] == "functions" and parts[2:] == ["invocations"]:
            said = parse_qs(address.query)
            query = {name: int(values[0]) for name, values in said.items() if name != "sort"}
            rows = list(self.rows.get(types[int(parts[1]) - 1], ()))[:: 1 if said.get("sort") == ["id,asc"] else -1]
            first, size = query["page"] * query["size"], query["size"]
            found = rows[first : first + size]
            return Reply(body=page_of("invocations", found, number=query["page"], size=size, total=len(rows)))
        return Reply(404, {"error": "ResourceNotFoundError", "message": f"no {address.path}"})

    def _runtime(self) -> dict[str, Any]:
        return {
            "id": 1,
            "type": "NODEJS",
            "version": "v0.0.29",
            "dependencies": [],
            "environmentVariables": dict(self.environment),
            "initializationScript": {"script": self.initialization_script} if self.initialization_script else None,
            "_links": {"application": {"href": "https://api.chatkitty.com/v1/applications/7"}},
        }

    def environ(self) -> dict[str, str]:
        """Return the environment variables that make ckfunc use this server."""
        url = self.server.url
        return {
            "CHATKITTY_API_URL": url,
            "CHATKITTY_AUTHORIZATION_URL": f"{url}/oauth/token",
            "CHATKITTY_CLIENT_ID": "the-client",
            "CHATKITTY_CLIENT_SECRET": "the-s3cret",
        }


def rows_of(
    events: Sequence[Mapping[str, Any]], *, status: str = "SUCCEEDED", payload: Any = None
) -> list[dict[str, Any]]:
    """Return the platform's list of invocations for these events, one per second."""
    result = {"payload": payload} if status == "SUCCEEDED" else {"error": {"name": "Error", "message": "no"}}
    return [
        {
            "id": number,
            "versionNumber": 11,
            "args": event,
            "status": status,
            "result": {} if status == "RUNNING" else result,
            "createdTime": timestamp(BEGAN + timedelta(seconds=number)),
        }
        for number, event in enumerate(events, 4001)
    ]


@contextmanager
def recorded(*args: Any, **options: Any) -> Iterator[Recorded]:
    """Serve a Recorded."""
    made = Recorded(*args, **options)
    with serve(made.answer) as server:
        made.server = server
        yield made
