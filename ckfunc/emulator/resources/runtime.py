"""The NodeJS runtime: its packages, variables and init script."""

from __future__ import annotations

from collections.abc import Iterable

from ckfunc.emulator.dispatch import runtimes
from ckfunc.emulator.http.bodies import MEBIBYTE
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.routing import Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.store import functions
from ckfunc.manifest.definition import dependency_mistake
from ckfunc.model.application import DEFAULT_PACKAGES, Dependency
from ckfunc.wire.applications import read_dependencies, read_environment, read_script, write_runtime


def retrieve_nodejs_runtime(call: Call, services: EmulatorServices) -> Reply:
    """Answer with the whole runtime."""
    return Reply(write_runtime(runtimes.current(services.database, services.dispatch.base_url), call.links))


def update_nodejs_runtime_dependencies(call: Call, services: EmulatorServices) -> Reply:
    """Replace the users' packages."""
    wanted = read_dependencies(call.json())
    _check_packages(wanted)
    functions.set_dependencies(services.database, runtimes.users_own_dependencies(wanted))
    services.dispatch.runtime_changed()
    return retrieve_nodejs_runtime(call, services)


def update_nodejs_runtime_environment_variables(call: Call, services: EmulatorServices) -> Reply:
    """Replace the users' variables; the platform's own in the body are ignored."""
    wanted = runtimes.users_own_environment(read_environment(call.json()))
    for name, value in wanted.items():
        if not name or "=" in name or "\0" in name + value:
            raise Refused(
                f"{name[:80]!r} cannot be an environment variable: no empty name, '=' or zero byte is allowed"
            )
    functions.set_environment(services.database, wanted)
    services.dispatch.runtime_changed()
    return retrieve_nodejs_runtime(call, services)


async def update_nodejs_runtime_initialization_script(call: Call, services: EmulatorServices) -> Reply:
    """Replace the init script; one with a syntax error is stored, and fails the runs."""
    script = read_script(call.json())
    functions.set_initialization_script(services.database, script)
    await services.dispatch.initialization_script_changed(script)
    return retrieve_nodejs_runtime(call, services)


def _check_packages(wanted: Iterable[Dependency]) -> None:
    seen: set[str] = set()
    platforms = {package.name: package.version for package in DEFAULT_PACKAGES}
    for dependency in wanted:
        if (mistake := dependency_mistake(dependency.name, dependency.version)) is not None:
            raise Refused(mistake)
        if dependency.name in seen:
            raise Refused(f"package {dependency.name} is listed twice")
        if dependency.name in platforms and not dependency.default and dependency.version != platforms[dependency.name]:
            raise Refused(f"package {dependency.name} is the platform's own, at version {platforms[dependency.name]}")
        seen.add(dependency.name)


ROUTES = (
    Route("GET", "/runtimes/nodejs", retrieve_nodejs_runtime),
    Route("PUT", "/runtimes/nodejs/dependencies", update_nodejs_runtime_dependencies),
    Route("PUT", "/runtimes/nodejs/environment-variables", update_nodejs_runtime_environment_variables),
    Route(
        "PUT",
        "/runtimes/nodejs/initialization-script",
        update_nodejs_runtime_initialization_script,
        body_bytes=8 * MEBIBYTE,  # for a script of 1 MiB, however it is escaped
    ),
)
