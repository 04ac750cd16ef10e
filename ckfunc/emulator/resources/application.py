"""The application, its settings, token endpoint, runtime and functions.

The token endpoint takes OAuth 2 client credentials, as the vendor's SDKs send them.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_plus

from ckfunc.emulator.actions import access
from ckfunc.emulator.dispatch import runtimes
from ckfunc.emulator.dispatch.runtimes import RUNTIME_ID, RUNTIME_VERSION
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import page_reply, page_request
from ckfunc.emulator.http.problems import HttpProblem, Missing, Refused
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import application, functions, invocations
from ckfunc.emulator.store.paging import Sorting
from ckfunc.manifest.definition import dependency_mistake
from ckfunc.model.application import PLATFORM_RANGES, Dependency, Function
from ckfunc.wire.applications import (
    read_dependencies,
    read_environment,
    read_new_function,
    read_script,
    read_settings,
    write_application,
    write_function,
    write_invocation,
    write_runtime,
    write_settings,
    write_version,
)
from ckfunc.wire.links import Links
from ckfunc.wire.reading import required, resource

_NO_STORE = {"cache-control": "no-store", "pragma": "no-cache"}
_SCRIPT_BODY_BYTES = 8 * MEBIBYTE  # for a script of 1 MiB, however it is escaped


def retrieve_authenticated_application(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the application that owns the token."""
    return Reply(write_application(application.get(services.database), call.links))


def retrieve_authenticated_application_settings(_call: Call, services: EmulatorServices) -> Reply:
    """Answer with the settings."""
    return Reply(write_settings(application.settings(services.database)))


def update_authenticated_application_settings(call: Call, services: EmulatorServices) -> Reply:
    """Replace the settings and answer with them."""
    application.update_settings(services.database, read_settings(call.json()))
    return Reply(write_settings(application.settings(services.database)))


class TokenRefused(HttpProblem):
    """An error answer of the authorization server. Source: RFC 6749 section 5.2."""

    def __init__(self, status: int, error: str, explanation: str) -> None:
        super().__init__(explanation, {**_NO_STORE, **({"www-authenticate": "Basic"} if status == 401 else {})})
        self.status = status
        self.error = error

    def document(self) -> dict[str, Any]:
        """Return the body."""
        return {"error": self.error, "error_description": self.explanation}


def create_token(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a token for a client id and secret, from HTTP Basic or from the form."""
    form = call.form()
    grant = form.get("grant_type")
    if grant is None:
        raise TokenRefused(400, "invalid_request", "the form has no grant_type")
    if grant != "client_credentials":
        raise TokenRefused(400, "unsupported_grant_type", "grant_type must be client_credentials")
    credentials = _basic(call.headers.get("authorization")) or (form.get("client_id"), form.get("client_secret"))
    token = services.tokens.sign_in(credentials[0] or "", credentials[1] or "")
    if token is None:
        raise TokenRefused(
            401, "invalid_client", "the client id or secret is wrong; the emulator's are both 'emulator'"
        )
    lifetime_s = services.tokens.lifetime_s
    document: dict[str, Any] = {"access_token": token, "token_type": "bearer", "expires_in": int(lifetime_s)}
    # RFC 6749 defines the spelling of these names, whatever the dialect of the rest.
    return Reply(document, headers=_NO_STORE)


def _basic(header: str | None) -> tuple[str, str] | None:
    kind, _, encoded = (header or "").partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return ("", "")
    name, _, secret = text.partition(":")
    return unquote_plus(name), unquote_plus(secret)


_FUNCTIONS = Sorting.of("functions", "id", "type", "name", "enabled", "current_version_number")
_VERSIONS = Sorting.of("function_versions", "id", "version_number", default="function_versions.id DESC")
_INVOCATIONS = Sorting(
    {"id": "id", "versionNumber": "version_number", "status": invocations.STATUS, "createdTime": "created_time"},
    "id DESC",
)


def retrieve_nodejs_runtime(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the whole runtime."""
    return Reply(write_runtime(runtimes.current(services.database, services.dispatch.base_url), call.links))


def update_nodejs_runtime_dependencies(call: Call, services: EmulatorServices) -> Reply:
    """Replace the users' packages."""
    dependencies = read_dependencies(call.json())
    _check_packages(dependencies)
    application.set_dependencies(services.database, runtimes.users_own_dependencies(dependencies))
    services.dispatch.runtime_changed()
    return retrieve_nodejs_runtime(call, services)


def update_nodejs_runtime_environment_variables(call: Call, services: EmulatorServices) -> Reply:
    """Replace the users' variables; the platform's own in the body are ignored."""
    environment = runtimes.users_own_environment(read_environment(call.json()))
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise Refused(
                f"{name[:80]!r} cannot be an environment variable: no empty name, '=' or zero byte is allowed"
            )
    application.set_environment(services.database, environment)
    services.dispatch.runtime_changed()
    return retrieve_nodejs_runtime(call, services)


async def update_nodejs_runtime_initialization_script(call: Call, services: EmulatorServices) -> Reply:
    """Replace the init script; one with a syntax error is stored, and fails the runs."""
    script = read_script(call.json())
    application.set_initialization_script(services.database, script)
    await services.dispatch.initialization_script_changed(script)
    return retrieve_nodejs_runtime(call, services)


def list_nodejs_runtime_functions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of all functions."""
    page = functions.page(services.database, page_request(call, _FUNCTIONS))
    return page_reply(call, "functions", page, _written)


def create_nodejs_runtime_function(call: Call, services: EmulatorServices) -> Reply:
    """Create a function, disabled and without a version. A type can have only one function."""
    new = read_new_function(call.json())
    if functions.find_by_type(services.database, new.type) is not None:
        raise Refused(f"a function of type {new.type[:80]} already exists; create a version of it")
    return Reply(_written(functions.create(services.database, new), call.links))


def retrieve_function(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a function."""
    return Reply(_written(access.function(services.database, call.id()), call.links))


def retrieve_function_current_version(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the current version."""
    function = access.function(services.database, call.id())
    version = functions.current_version(services.database, function.id)
    if version is None:
        raise Missing(f"function {function.id} has no version yet")
    return Reply(write_version(version, call.links))


def retrieve_function_version(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a version."""
    version = access.existing(functions.find_version(services.database, call.id()), "function version", call.id())
    return Reply(write_version(version, call.links))


def list_function_versions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a function's versions, the newest first."""
    function = access.function(services.database, call.id())
    page = functions.version_page(services.database, function.id, page_request(call, _VERSIONS))
    return page_reply(call, "versions", page, write_version)


async def create_function_version(call: Call, services: EmulatorServices) -> Reply:
    """Create the next version and make it the current one. Runs of a script with a syntax error fail."""
    function = access.function(services.database, call.id())
    script = required(resource(call.json(), "function version"), "handlerScript", str)
    version = functions.add_version(services.database, function.id, script)
    await services.dispatch.version_created(function, version)
    return Reply(write_version(version, call.links))


def list_function_invocations(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a function's runs, the newest first."""
    function = access.function(services.database, call.id())
    page = invocations.page(services.database, function.id, page_request(call, _INVOCATIONS))
    return page_reply(call, "invocations", page, write_invocation)


def _written(function: Function, links: Links) -> dict[str, Any]:
    return write_function(function, RUNTIME_ID, RUNTIME_VERSION, links)


def _check_packages(dependencies: Iterable[Dependency]) -> None:
    seen: set[str] = set()
    for dependency in dependencies:
        if (mistake := dependency_mistake(dependency.name, dependency.version)) is not None:
            raise Refused(mistake)
        if dependency.name in seen:
            raise Refused(f"package {dependency.name} is listed twice")
        platforms = PLATFORM_RANGES.get(dependency.name, dependency.version)
        if not dependency.default and dependency.version != platforms:
            raise Refused(f"package {dependency.name} is provided by the platform, at version {platforms}")
        seen.add(dependency.name)


ROUTES = (
    Route("GET", "/application", retrieve_authenticated_application),
    Route("GET", "/application/settings", retrieve_authenticated_application_settings),
    Route("PUT", "/application/settings", update_authenticated_application_settings),
    Route("POST", "/oauth/token", create_token, Access.PUBLIC),
    Route("GET", "/runtimes/nodejs", retrieve_nodejs_runtime),
    Route("PUT", "/runtimes/nodejs/dependencies", update_nodejs_runtime_dependencies),
    Route("PUT", "/runtimes/nodejs/environment-variables", update_nodejs_runtime_environment_variables),
    Route(
        "PUT",
        "/runtimes/nodejs/initialization-script",
        update_nodejs_runtime_initialization_script,
        body_bytes=_SCRIPT_BODY_BYTES,
    ),
    Route("GET", "/runtimes/nodejs/functions", list_nodejs_runtime_functions),
    Route("POST", "/runtimes/nodejs/functions", create_nodejs_runtime_function),
    Route("GET", "/functions/{id}", retrieve_function),
    Route("GET", "/functions/{id}/current-version", retrieve_function_current_version),
    Route("GET", "/functions/{id}/versions", list_function_versions),
    Route("POST", "/functions/{id}/versions", create_function_version, body_bytes=_SCRIPT_BODY_BYTES),
    Route("GET", "/functions/{id}/invocations", list_function_invocations),
    Route("GET", "/function-versions/{id}", retrieve_function_version),
)
