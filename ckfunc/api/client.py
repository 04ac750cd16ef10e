"""Client of the Platform API: one method per operation."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, TypeVar

from ckfunc.api.connection import Connection, is_loopback_address
from ckfunc.api.sender import Wait
from ckfunc.api.session import Session
from ckfunc.base.clock import Clock, SystemClock
from ckfunc.base.errors import UnreadableAnswer
from ckfunc.base.secrets import Secret, revealed
from ckfunc.base.text import one_line, shortened
from ckfunc.model.application import (
    PLATFORM_PREFIX,
    Application,
    ApplicationSettings,
    Function,
    FunctionVersion,
    Invocation,
    NewFunction,
    Runtime,
)
from ckfunc.model.page import Page
from ckfunc.wire.applications import (
    own,
    read_application,
    read_function,
    read_invocation,
    read_runtime,
    read_settings,
    read_version,
    write_dependencies,
    write_new_function,
    write_script,
    write_settings,
)
from ckfunc.wire.dialects import dialect_of
from ckfunc.wire.links import read_page
from ckfunc.wire.reading import Malformed


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


Item = TypeVar("Item", bound=_Numbered)


def all_items(fetch: Callable[[int], Page[Item]], subject: str) -> Iterator[Item]:
    """Yield every item of a list once; `fetch` reads a page by number, from 0.

    Items that move between pages in the meantime are not repeated. Raises UnreadableAnswer if the list cannot be read
    completely.
    """
    seen: set[int] = set()
    number = 0
    while True:
        page = fetch(number)
        fresh = [item for item in page.items if item.id not in seen]
        seen.update(item.id for item in fresh)
        yield from fresh
        number += 1
        if number >= page.total_pages:
            return
        if not fresh:
            raise UnreadableAnswer(
                f"{subject}: page {number} of {page.total_pages} has no new items, "
                "so the list cannot be read completely",
                hint="run the command again; if it fails again, the platform's paging does not work",
            )


T = TypeVar("T")

# Hundreds of functions fit into one request. Pages of versions are small, because each script can have 1 MiB.
_FUNCTIONS_PAGE = 500
_VERSIONS_PAGE = 25
_RUNTIME = "/v1/runtimes/nodejs"


class Client:
    """An application on the platform or an emulator. Thread-safe; a context manager that closes its connections.

    Methods raise subclasses of ApiFailure. GET and PUT requests are retried after temporary failures; a request that
    creates something is sent once. After a 429, fewer requests run concurrently.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        clock: Clock | None = None,
        timeout_s: float = 30.0,
        on_wait: Callable[[Wait], None] | None = None,
        moved: Callable[[], Connection | None] | None = None,
    ) -> None:
        """`moved` is called if no connection can be established; it returns the application's new address or None."""
        self.session = Session(connection, clock or SystemClock(), timeout_s, on_wait, moved)
        self._application_id: int | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def connection(self) -> Connection:
        """Address and credentials of the application."""
        return self.session.connection

    def close(self) -> None:
        """Close every connection."""
        self.session.close()

    @property
    def emulator_id(self) -> str | None:
        """The id of the emulator's database; None for the platform, and before the first response."""
        return self.session.emulator_id

    @property
    def identity(self) -> str | None:
        """The identity of the application, as a cache key; None until the runtime or the application was read."""
        if self._application_id is None:
            return None
        if self.emulator_id and is_loopback_address(self.connection.api_url):
            # The port of an emulator changes at each start, but its database stays the same.
            return f"emulator#{self._application_id}#{self.emulator_id}"
        return f"{self.connection.api_url}#{self._application_id}"

    def fingerprint(self, text: Secret) -> str:
        """Return an HMAC of a text, keyed with the client secret, in hexadecimal (64 characters)."""
        return hmac.new(
            self.connection.client_secret.reveal().encode(), text.reveal().encode("utf-8", "surrogatepass"), "sha256"
        ).hexdigest()

    # -- the application -----------------------------------------------------------------------------------------

    def application(self) -> Application:
        """Read the application that the credentials belong to."""
        application = self._get("/v1/application", "the application", read_application)
        self._application_id = application.id
        return application

    def settings(self) -> ApplicationSettings:
        """Read the application's settings."""
        return self._get("/v1/application/settings", "the application's settings", read_settings)

    def update_settings(self, settings: ApplicationSettings) -> ApplicationSettings:
        """Replace the application's settings and return the new ones."""
        subject = "the application's settings"
        # Flat, as in all schemas of the request; the nested form is only in responses.
        body = {name: state for name, state in write_settings(settings).items() if name != "features"}
        return self._read(subject, read_settings, self.session.write("PUT", "/v1/application/settings", body, subject))

    # -- the runtime ---------------------------------------------------------------------------------------------

    def runtime(self) -> Runtime:
        """Read the NodeJS runtime; its spelling is used for later writes."""
        document = self.session.get(_RUNTIME, "the runtime")
        self.session.prefer(dialect_of(document))
        return self._runtime(document, "the runtime")

    def update_dependencies(self, dependencies: Mapping[str, str]) -> Runtime:
        """Replace the packages except the platform's own; `dependencies` maps names to version ranges."""
        subject = "the runtime's dependencies"
        body = write_dependencies(own(dependencies))
        return self._runtime(self.session.write("PUT", f"{_RUNTIME}/dependencies", body, subject), subject)

    def update_environment(self, environment: Mapping[str, Secret]) -> Runtime:
        """Replace the variables except the platform's own; names are sent unchanged."""
        subject = "the runtime's environment variables"
        path = f"{_RUNTIME}/environment-variables"
        self.session.add_secrets(environment.values())
        document = self.session.write(
            "PUT", path, revealed(environment), subject, secrets=tuple(environment.values()), respell=False
        )
        return self._runtime(document, subject)

    def update_initialization_script(self, script: str) -> Runtime:
        """Replace the init script."""
        subject = "the runtime's init script"
        document = self.session.write("PUT", f"{_RUNTIME}/initialization-script", write_script(script), subject)
        return self._runtime(document, subject)

    # -- functions and versions ----------------------------------------------------------------------------------

    def functions(self) -> tuple[Function, ...]:
        """Read every function."""
        subject = "the functions"

        def fetch(number: int) -> Page[Function]:
            query = {"page": number, "size": _FUNCTIONS_PAGE}
            return self._page(f"{_RUNTIME}/functions", subject, "functions", read_function, query)

        return tuple(all_items(fetch, subject))

    def create_function(self, function: NewFunction) -> Function:
        """Create a function without a version. Sent once."""
        subject = f"the function {function.type}"
        document = self.session.write("POST", f"{_RUNTIME}/functions", write_new_function(function), subject)
        return self._read(subject, read_function, document)

    def function(self, function_id: int) -> Function:
        """Read one function."""
        return self._get(f"/v1/functions/{function_id}", f"function {function_id}", read_function)

    def current_version(self, function_id: int) -> FunctionVersion:
        """Read the deployed version. Raises NotFound if there is none."""
        subject = f"the current version of function {function_id}"
        return self._get(f"/v1/functions/{function_id}/current-version", subject, read_version)

    def version(self, version_id: int) -> FunctionVersion:
        """Read a version by its id, which differs from its number."""
        return self._get(f"/v1/function-versions/{version_id}", f"function version {version_id}", read_version)

    def versions(self, function_id: int) -> Iterator[FunctionVersion]:
        """Read the versions of a function page by page, newest first."""
        subject = f"the versions of function {function_id}"

        def fetch(number: int) -> Page[FunctionVersion]:
            query = {"page": number, "size": _VERSIONS_PAGE, "sort": "id,desc"}
            return self._page(f"/v1/functions/{function_id}/versions", subject, "versions", read_version, query)

        return all_items(fetch, subject)

    def create_version(self, function_id: int, script: str) -> FunctionVersion:
        """Create a version, which deploys it. Sent once."""
        subject = f"a version of function {function_id}"
        document = self.session.write(
            "POST", f"/v1/functions/{function_id}/versions", {"handlerScript": script}, subject
        )
        return self._read(subject, read_version, document)

    # -- invocations ---------------------------------------------------------------------------------------------

    def invocations(
        self, function_id: int, *, page: int = 0, size: int = 25, sort: str = "id,desc"
    ) -> Page[Invocation]:
        """Read one page of a function's runs."""
        subject = f"the invocations of function {function_id}"
        query = {"page": page, "size": size, "sort": sort}
        return self._page(f"/v1/functions/{function_id}/invocations", subject, "invocations", read_invocation, query)

    # -- reading -------------------------------------------------------------------------------------------------

    def _runtime(self, document: Any, subject: str) -> Runtime:
        runtime = self._read(subject, read_runtime, document)
        if runtime.application_id is not None:
            self._application_id = runtime.application_id
        self.session.add_secrets(value for name, value in runtime.environment.items() if _is_secret(name))
        return runtime

    def _page(
        self, path: str, subject: str, name: str, read: Callable[[Any], T], query: Mapping[str, object]
    ) -> Page[T]:
        return self._get(path, subject, lambda document: read_page(document, name, read), query)

    def _get(self, path: str, subject: str, read: Callable[[Any], T], query: Mapping[str, object] | None = None) -> T:
        return self._read(subject, read, self.session.get(path, subject, query))

    def _read(self, subject: str, read: Callable[[Any], T], document: Any) -> T:
        return reading(subject, self.session.server, read, document)


def _is_secret(name: str) -> bool:
    """Return whether the value of a variable must never be shown: false for most of the platform's own variables."""
    return not name.startswith(PLATFORM_PREFIX) or "SECRET" in name


def reading(subject: str, server: str, read: Callable[[Any], T], document: Any) -> T:
    """Return `read(document)`. Raises UnreadableAnswer if required fields are missing."""
    try:
        return read(document)
    except (Malformed, RecursionError) as error:
        problem = shortened(one_line(str(error)), 200)
        raise UnreadableAnswer(
            f"{server} sent {subject} in a form that ckfunc does not understand: {problem}",
            hint="check CHATKITTY_API_URL; if it is right, update ckfunc",
        ) from error
