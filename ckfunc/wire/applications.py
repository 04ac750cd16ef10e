"""Applications, their settings and their NodeJS runtime, to and from JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.base.secrets import Secret, revealed, secret_values
from ckfunc.model.application import Application, ApplicationSettings, Dependency, Runtime
from ckfunc.wire.links import Links, application_id_in
from ckfunc.wire.reading import Malformed, optional, required, resource

_SETTINGS = ("guest_users", "user_created_channels")


def write_application(application: Application, links: Links) -> dict[str, Any]:
    """Return an application as the platform shows it: its time has both spellings, as in the platform's examples."""
    created = timestamp(application.created_time)
    return {
        "id": application.id,
        "key": application.key,
        "properties": dict(application.properties),
        "createdTime": created,
        "created_time": created,
        "_links": {"self": {"href": links.application}},
    }


def read_application(document: Any) -> Application:
    """Read an application in either spelling; raises Malformed."""
    data = resource(document, "application")
    try:
        created = parse_timestamp(required(data, "createdTime", str))
    except ValueError as error:
        raise Malformed(str(error)) from None
    return Application(
        id=required(data, "id", int),
        key=required(data, "key", str),
        created_time=created,
        properties=optional(data, "properties", dict) or {},
    )


def write_settings(settings: ApplicationSettings) -> dict[str, Any]:
    """Return settings, flat as in the schemas and also nested under `features` as in the platform's examples."""
    states = {name: "ENABLED" if getattr(settings, name) else "DISABLED" for name in _SETTINGS}
    return {
        "guestUsers": states["guest_users"],
        "userCreatedChannels": states["user_created_channels"],
        "features": states,
    }


def read_settings(document: Any) -> ApplicationSettings:
    """Read settings, flat or nested, in either spelling; raises Malformed."""
    data = resource(document, "settings")
    nested = optional(data, "features", dict)
    data = {**(resource(nested, "features") if nested else {}), **data}
    return ApplicationSettings(
        guest_users=_switch(data, "guestUsers"), user_created_channels=_switch(data, "userCreatedChannels")
    )


def _switch(document: Any, name: str) -> bool:
    state = required(document, name, str)
    if state not in ("ENABLED", "DISABLED"):
        raise Malformed(f"field {name!r} is {state!r}, not ENABLED or DISABLED")
    return state == "ENABLED"


def write_runtime(runtime: Runtime, links: Links) -> dict[str, Any]:
    """Return the runtime as the platform shows it, in canonical spelling, with environment values in clear text."""
    document: dict[str, Any] = {
        "id": runtime.id,
        "type": "NODEJS",
        "version": runtime.version,
        "dependencies": write_dependencies(runtime.dependencies),
        "environmentVariables": revealed(runtime.environment),
        "_links": links.to(
            self="runtimes/nodejs",
            dependencies="runtimes/nodejs/dependencies",
            initializationScript="runtimes/nodejs/initialization-script",
            functions="runtimes/nodejs/functions",
        ),
    }
    if runtime.initialization_script is not None:
        document["initializationScript"] = {"script": runtime.initialization_script}
    return document


def read_runtime(document: Any) -> Runtime:
    """Read the runtime in either spelling; raises Malformed."""
    data = resource(document, "runtime")
    environment = required(data, "environmentVariables", dict)
    script = optional(data, "initializationScript", dict)
    owner = application_id_in(data)
    if owner is None and str(environment.get("CHATKITTY_APPLICATION_ID", "")).isdecimal():
        owner = int(environment["CHATKITTY_APPLICATION_ID"])
    return Runtime(
        id=required(data, "id", int),
        version=required(data, "version", str),
        dependencies=read_dependencies(required(data, "dependencies", list)),
        environment=read_environment(environment),
        initialization_script=None if script is None else required(script, "script", str),
        application_id=owner,
    )


def write_dependencies(dependencies: Iterable[Dependency]) -> list[dict[str, Any]]:
    """Return a dependency list in canonical spelling."""
    return [{"name": each.name, "version": each.version, "defaultDependency": each.default} for each in dependencies]


def read_dependencies(document: Any) -> tuple[Dependency, ...]:
    """Read a dependency list in either spelling; `defaultDependency` may be left out. Raises Malformed."""
    if not isinstance(document, list):
        raise Malformed("the dependencies are not a list")
    entries = [resource(entry, "dependency") for entry in document]
    return tuple(
        Dependency(
            name=required(dependency, "name", str),
            version=required(dependency, "version", str),
            default=optional(dependency, "defaultDependency", bool) or False,
        )
        for dependency in entries
    )


def read_environment(document: Any) -> dict[str, Secret]:
    """Read a map of environment variables; the names are user data and keep their spelling. Raises Malformed."""
    if not isinstance(document, dict):
        raise Malformed("the environment variables are not an object")
    for name, value in document.items():
        if not isinstance(value, str):
            raise Malformed(f"environment variable {name!r} is not a string")
    return secret_values(document)


def write_script(script: str) -> dict[str, str]:
    """Return the body that sets the init script."""
    return {"script": script}


def read_script(document: Any) -> str:
    """Read the body that sets the init script; raises Malformed."""
    return required(resource(document, "initialization script"), "script", str)


def own(dependencies: Mapping[str, str]) -> tuple[Dependency, ...]:
    """Return the user's packages as a dependency list, sorted by name."""
    return tuple(Dependency(name, version) for name, version in sorted(dependencies.items()))
