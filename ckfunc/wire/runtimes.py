"""The NodeJS runtime, to and from JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ckfunc.model.application import Dependency, Runtime
from ckfunc.wire.links import Links, application_id_in
from ckfunc.wire.reading import Malformed, optional, required, resource


def write_runtime(runtime: Runtime, links: Links) -> dict[str, Any]:
    """Return the runtime as the platform shows it, in canonical spelling; environment values are in clear."""
    document: dict[str, Any] = {
        "id": runtime.id,
        "type": "NODEJS",
        "version": runtime.version,
        "dependencies": write_dependencies(runtime.dependencies),
        "environmentVariables": dict(runtime.environment),
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
    found = resource(document, "runtime")
    environment = required(found, "environmentVariables", dict)
    script = optional(found, "initializationScript", dict)
    owner = application_id_in(found)
    if owner is None and str(environment.get("CHATKITTY_APPLICATION_ID", "")).isdecimal():
        owner = int(environment["CHATKITTY_APPLICATION_ID"])
    return Runtime(
        id=required(found, "id", int),
        version=required(found, "version", str),
        dependencies=read_dependencies(required(found, "dependencies", list)),
        environment=read_environment(environment),
        initialization_script=None if script is None else required(script, "script", str),
        application_id=owner,
    )


def write_dependencies(dependencies: Iterable[Dependency]) -> list[dict[str, Any]]:
    """Return a dependency list in canonical spelling."""
    return [{"name": one.name, "version": one.version, "defaultDependency": one.default} for one in dependencies]


def read_dependencies(document: Any) -> tuple[Dependency, ...]:
    """Read a dependency list in either spelling; `defaultDependency` may be left out. Raises Malformed."""
    if not isinstance(document, list):
        raise Malformed("the dependencies are not a list")
    found = [resource(one, "dependency") for one in document]
    return tuple(
        Dependency(
            name=required(one, "name", str),
            version=required(one, "version", str),
            default=optional(one, "defaultDependency", bool) or False,
        )
        for one in found
    )


def read_environment(document: Any) -> dict[str, str]:
    """Read a map of environment variables; the names are user data and keep their spelling. Raises Malformed."""
    if not isinstance(document, dict):
        raise Malformed("the environment variables are not an object")
    for name, value in document.items():
        if not isinstance(value, str):
            raise Malformed(f"environment variable {name!r} is not a string")
    return dict(document)


def write_script(script: str) -> dict[str, str]:
    """Return the body that sets the init script."""
    return {"script": script}


def read_script(document: Any) -> str:
    """Read the body that sets the init script; raises Malformed."""
    return required(resource(document, "initialization script"), "script", str)


def own(dependencies: Mapping[str, str]) -> tuple[Dependency, ...]:
    """Return the user's packages as a dependency list, sorted by name."""
    return tuple(Dependency(name, version) for name, version in sorted(dependencies.items()))
