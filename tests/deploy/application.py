"""An in-memory application that answers HTTP requests for its runtime, functions and versions."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from support.loopback import Reply, Request

from ckfunc.base.secrets import revealed, secret_values
from ckfunc.model.application import Application, ApplicationSettings, Dependency, Function, FunctionVersion, Runtime
from ckfunc.model.page import Page
from ckfunc.wire.applications import (
    read_dependencies,
    read_environment,
    read_new_function,
    read_script,
    read_settings,
    write_application,
    write_function,
    write_runtime,
    write_settings,
    write_version,
)
from ckfunc.wire.links import Links, write_page

KEY = "19b458d0-2b50-491c-8f13-65ec12f3978e"
PLATFORM_DEPENDENCIES = (Dependency("chatkitty-platform-sdk", "1.0.1", default=True),)
PLATFORM_ENVIRONMENT = {"CHATKITTY_APPLICATION_ID": "42", "CHATKITTY_API_CLIENT_SECRET": "the-platform's-own"}
TOKEN = "token-of-the-test"

Hook = Callable[[Request], Reply | None]


@dataclass
class RemoteApplication:
    """`before` may answer instead of the application; `after` may change a response after the request was processed.

    `most_at_once` is the largest number of concurrent requests, without token requests.
    """

    application_id: int = 42
    page_limit: int = 500
    dependencies: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    script: str | None = None
    settings: ApplicationSettings = field(default_factory=ApplicationSettings)
    functions: dict[int, Function] = field(default_factory=dict)
    versions: dict[int, list[FunctionVersion]] = field(default_factory=dict)
    before: Hook | None = None
    after: Callable[[Request, Reply], Reply] | None = None
    most_at_once: int = 0
    enables: bool = True
    """Whether a function's first version enables it."""

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._under_way = 0
        self._links = Links("https://api.chatkitty.com", self.application_id)

    # -- setup and inspection by tests ---------------------------------------------------------------------------

    def add(self, trigger_type: str, *scripts: str, name: str | None = None, enabled: bool = True) -> Function:
        with self._lock:
            number = len(self.functions) + 1
            function = Function(number, trigger_type, name or trigger_type, False, 0)
            self.functions[number] = function
            self.versions[number] = []
            for script in scripts:
                self.publish(number, script)
            if not enabled:
                self.functions[number] = replace(self.functions[number], enabled=False)
            return self.functions[number]

    def publish(self, function_id: int, script: str) -> FunctionVersion:
        with self._lock:
            function = self.functions[function_id]
            number = function.current_version_number + 1
            version = FunctionVersion(function_id * 1000 + number, number, script)
            self.versions[function_id].append(version)
            enabled = function.enabled or (number == 1 and self.enables)
            self.functions[function_id] = replace(function, current_version_number=number, enabled=enabled)
            return version

    def deployed(self) -> dict[str, str | None]:
        """Return the deployed script of every function, by type."""
        with self._lock:
            return {
                function.type: self.versions[function.id][-1].handler_script if self.versions[function.id] else None
                for function in self.functions.values()
            }

    def history(self) -> dict[str, int]:
        """Return how many versions every function has, by type."""
        return {function.type: len(self.versions[function.id]) for function in self.functions.values()}

    # -- the server ----------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply:
        if request.path == "/oauth/token":
            early = self.before(request) if self.before else None
            return early or Reply(body={"access_token": TOKEN, "expires_in": 3600})
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            early = self.before(request) if self.before else None
            if early is not None:
                return early
            with self._lock:
                reply = self._route(request)
            return self.after(request, reply) if self.after else reply
        finally:
            with self._lock:
                self._under_way -= 1

    def _route(self, request: Request) -> Reply:
        parts = urlsplit(request.path)
        path, query = parts.path.removeprefix("/v1/"), parse_qs(parts.query)
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return Reply(401, {"error": "unauthorized", "error_description": "Full authentication is required"})
        if path == "application":
            application = Application(self.application_id, KEY, datetime(2021, 9, 1, tzinfo=UTC))
            return Reply(body=write_application(application, self._links))
        if path == "application/settings":
            self.settings = read_settings(request.json()) if request.method == "PUT" else self.settings
            return Reply(body=write_settings(self.settings))
        if path == "runtimes/nodejs/functions":
            return self._create(request) if request.method == "POST" else self._page(query)
        if path.startswith("runtimes/nodejs"):
            return self._runtime(path, request)
        found = re.fullmatch(r"functions/(\d+)/(current-version|versions)", path)
        function = self.functions.get(int(found[1])) if found else None
        if found is None or function is None:
            return Reply(404, {"error": "ResourceNotFoundError", "message": "Resource not found"})
        if request.method == "POST":
            return Reply(body=write_version(self.publish(function.id, request.json()["handlerScript"]), self._links))
        versions = self.versions[function.id]
        if found[2] == "versions":
            page = Page(tuple(reversed(versions)), 0, len(versions), len(versions), 1)
            items = [write_version(item, self._links) for item in page.items]
            return Reply(body=write_page("versions", page, items, self._links.href(path), ()))
        if not versions:
            return Reply(404, {"error": "ResourceNotFoundError", "message": "Resource not found"})
        return Reply(body=write_version(versions[-1], self._links))

    def _runtime(self, path: str, request: Request) -> Reply:
        if path.endswith("/dependencies"):
            self.dependencies = {
                dependency.name: dependency.version for dependency in read_dependencies(request.json())
            }
        elif path.endswith("/environment-variables"):
            self.environment = revealed(read_environment(request.json()))
        elif path.endswith("/initialization-script"):
            self.script = read_script(request.json())
        runtime = Runtime(
            id=1,
            version="v0.0.29",
            dependencies=(
                *PLATFORM_DEPENDENCIES,
                *(Dependency(*dependency) for dependency in self.dependencies.items()),
            ),
            environment=secret_values({**PLATFORM_ENVIRONMENT, **self.environment}),
            initialization_script=self.script,
        )
        return Reply(body=write_runtime(runtime, self._links))

    def _create(self, request: Request) -> Reply:
        new = read_new_function(request.json())
        if any(known.type == new.type for known in self.functions.values()):
            return Reply(400, {"error": "ClientError", "message": f"a function of type {new.type} exists"})
        function = self.add(new.type, name=new.name)
        function = replace(function, description=new.description)
        self.functions[function.id] = function
        return Reply(body=self._shown(function))

    def _page(self, query: dict[str, list[str]]) -> Reply:
        number, size = int(query["page"][0]), min(int(query["size"][0]), self.page_limit)
        every = list(self.functions.values())
        items = tuple(every[number * size : (number + 1) * size])
        page = Page(items, number, size, len(every), -(-len(every) // size))
        href = self._links.href("runtimes/nodejs/functions")
        return Reply(body=write_page("functions", page, [self._shown(item) for item in items], href, ()))

    def _shown(self, function: Function) -> object:
        return write_function(function, 1, "v0.0.29", self._links)
