"""Functions, their versions and their invocations."""

from __future__ import annotations

from ckfunc.emulator.dispatch.runtimes import RUNTIME_ID, RUNTIME_VERSION
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.paging import page_reply, page_request
from ckfunc.emulator.http.problems import Missing, Refused
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import functions, invocations
from ckfunc.model.function import Function
from ckfunc.wire.functions import read_new_function, write_function, write_invocation, write_version
from ckfunc.wire.reading import required, resource

_FUNCTION_COLUMNS = {
    "id": "id",
    "type": "type",
    "name": "name",
    "enabled": "enabled",
    "currentVersionNumber": "current_version_number",
}
_VERSION_COLUMNS = {"id": "id", "versionNumber": "version_number"}
_INVOCATION_COLUMNS = {
    "id": "id",
    "versionNumber": "version_number",
    "status": "status",
    "createdTime": "created_time",
}


def found(call: Call, services: EmulatorServices) -> Function:
    """Return the function named in the path. Raises Missing."""
    function = functions.find(services.database, call.id())
    if function is None:
        raise Missing(f"there is no function {call.id()}")
    return function


def list_nodejs_runtime_functions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of all functions."""
    request = page_request(call, _FUNCTION_COLUMNS)
    page = functions.page(services.database, request)
    items = [write_function(function, RUNTIME_ID, RUNTIME_VERSION, call.links) for function in page.items]
    return page_reply(call, "functions", page, items, request=request)


def create_nodejs_runtime_function(call: Call, services: EmulatorServices) -> Reply:
    """Create a function, disabled and without a version. A type can have only one function."""
    new = read_new_function(call.json())
    if functions.find_by_type(services.database, new.type) is not None:
        raise Refused(f"a function of type {new.type[:80]} already exists; create a version of it")
    return _function_reply(call, functions.create(services.database, new))


def retrieve_function(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a function."""
    return _function_reply(call, found(call, services))


def retrieve_function_current_version(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the current version."""
    function = found(call, services)
    version = functions.current_version(services.database, function.id)
    if version is None:
        raise Missing(f"function {function.id} has no version yet")
    return Reply(write_version(version, call.links))


def retrieve_function_version(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a version."""
    version = functions.find_version(services.database, call.id())
    if version is None:
        raise Missing(f"there is no function version {call.id()}")
    return Reply(write_version(version, call.links))


def list_function_versions(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a function's versions, the newest first."""
    function = found(call, services)
    request = page_request(call, _VERSION_COLUMNS, "id DESC")
    page = functions.version_page(services.database, function.id, request)
    return page_reply(
        call, "versions", page, [write_version(version, call.links) for version in page.items], request=request
    )


async def create_function_version(call: Call, services: EmulatorServices) -> Reply:
    """Create the next version and make it the current one. Runs of a script with a syntax error fail."""
    function = found(call, services)
    script = required(resource(call.json(), "function version"), "handlerScript", str)
    version = functions.add_version(services.database, function.id, script)
    await services.dispatch.version_created(function, version)
    return Reply(write_version(version, call.links))


def list_function_invocations(call: Call, services: EmulatorServices) -> Reply:
    """Answer with a page of a function's runs, the newest first."""
    function = found(call, services)
    request = page_request(call, _INVOCATION_COLUMNS, "id DESC")
    page = invocations.page(services.database, function.id, request)
    return page_reply(
        call,
        "invocations",
        page,
        [write_invocation(invocation, call.links) for invocation in page.items],
        request=request,
    )


def _function_reply(call: Call, function: Function) -> Reply:
    return Reply(write_function(function, RUNTIME_ID, RUNTIME_VERSION, call.links))


ROUTES = (
    Route("GET", "/runtimes/nodejs/functions", list_nodejs_runtime_functions),
    Route("POST", "/runtimes/nodejs/functions", create_nodejs_runtime_function),
    Route("GET", "/functions/{id}", retrieve_function),
    Route("GET", "/functions/{id}/current-version", retrieve_function_current_version),
    Route("GET", "/functions/{id}/versions", list_function_versions),
    Route(
        "POST",
        "/functions/{id}/versions",
        create_function_version,
        body_bytes=8 * MEBIBYTE,  # for a script of 1 MiB, however it is escaped
    ),
    Route("GET", "/functions/{id}/invocations", list_function_invocations),
    Route("GET", "/function-versions/{id}", retrieve_function_version),
)
