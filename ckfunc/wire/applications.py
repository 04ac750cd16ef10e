"""Applications, their runtime, functions and invocations, to and from JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import timestamp
from ckfunc.base.secrets import Secret, revealed, secret_values
from ckfunc.model.application import (
    ApiCall,
    Application,
    ApplicationSettings,
    ConsoleLine,
    Dependency,
    Function,
    FunctionVersion,
    Invocation,
    InvocationDetail,
    NewFunction,
    Runtime,
    Status,
)
from ckfunc.wire.links import Links, application_id_in
from ckfunc.wire.reading import Malformed, choice, moment, optional, required, resource

if TYPE_CHECKING:
    from ckfunc.model.outputs import CallJson

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
    return Application(
        id=required(data, "id", int),
        key=required(data, "key", str),
        created_time=moment(data, "createdTime"),
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
        # The schema of the runtime allows any value; a process only has text.
        environment=secret_values(
            {name: value if isinstance(value, str) else json.dumps(value) for name, value in environment.items()}
        ),
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


def write_function(function: Function, runtime_id: int, runtime_version: str, links: Links) -> dict[str, Any]:
    """Return a function as the platform shows it, in canonical spelling."""
    at = f"functions/{function.id}"
    document: dict[str, Any] = {
        "id": function.id,
        "type": function.type,
        "runtime": {"id": runtime_id, "type": "NODEJS", "version": runtime_version},
        "name": function.name,
        "enabled": function.enabled,
        "currentVersionNumber": function.current_version_number,
        "_links": links.to(
            self=at,
            versions=f"{at}/versions",
            invocations=f"{at}/invocations",
            currentVersion=f"{at}/current-version",
        ),
    }
    if function.description is not None:
        document["description"] = function.description
    return document


def read_function(document: Any) -> Function:
    """Read a function in either spelling; raises Malformed."""
    data = resource(document, "function")
    return Function(
        id=required(data, "id", int),
        type=required(data, "type", str),
        name=optional(data, "name", str) or required(data, "type", str),
        enabled=required(data, "enabled", bool),
        current_version_number=required(data, "currentVersionNumber", int),
        description=optional(data, "description", str),
    )


def write_new_function(function: NewFunction) -> dict[str, Any]:
    """Return the body that creates a function, in canonical spelling."""
    document: dict[str, Any] = {
        "type": function.type,
        "name": function.name,
        "initializeAsynchronously": function.initialize_asynchronously,
    }
    if function.description is not None:
        document["description"] = function.description
    return document


def read_new_function(document: Any) -> NewFunction:
    """Read the body that creates a function; raises Malformed."""
    data = resource(document, "function")
    new = NewFunction(
        type=required(data, "type", str).strip(),
        name=required(data, "name", str),
        description=optional(data, "description", str),
        initialize_asynchronously=optional(data, "initializeAsynchronously", bool) or False,
    )
    if not new.type:
        raise Malformed("field 'type' is empty")
    return new


def write_version(version: FunctionVersion, links: Links) -> dict[str, Any]:
    """Return a function version as the platform shows it, in canonical spelling."""
    return {
        "id": version.id,
        "versionNumber": version.version_number,
        "handlerScript": version.handler_script,
        "_links": links.to(self=f"function-versions/{version.id}"),
    }


def read_version(document: Any) -> FunctionVersion:
    """Read a function version in either spelling; raises Malformed."""
    data = resource(document, "function version")
    return FunctionVersion(
        id=required(data, "id", int),
        version_number=required(data, "versionNumber", int),
        handler_script=required(data, "handlerScript", str),
    )


def write_invocation(invocation: Invocation, links: Links) -> dict[str, Any]:
    """Return an invocation as the platform shows it, in canonical spelling."""
    return {
        "id": invocation.id,
        "versionNumber": invocation.version_number,
        "args": invocation.args,
        "status": invocation.status.value,
        "result": invocation.result,
        "createdTime": timestamp(invocation.created_time),
        "_links": links.to(),
    }


def read_invocation(document: Any) -> Invocation:
    """Read an invocation in either spelling; raises Malformed."""
    data = resource(document, "invocation")
    return Invocation(
        id=required(data, "id", int),
        version_number=required(data, "versionNumber", int),
        status=choice(data, "status", Status),
        args=optional(data, "args", dict) or {},
        result=optional(data, "result", dict) or {},
        created_time=moment(data, "createdTime"),
    )


def write_detail(detail: InvocationDetail) -> dict[str, Any]:
    """Return the details of a run that only the emulator provides."""
    return {
        "id": detail.id,
        "console": [{"level": line.level, "text": line.text} for line in detail.console],
        "durationMs": detail.duration_ms,
        "calls": [write_call(call) for call in detail.calls],
        "callsOmitted": detail.calls_omitted,
    }


def write_call(call: ApiCall) -> CallJson:
    """Return a handler's request to the Platform API."""
    return {"method": call.method, "path": call.path, "body": call.body, "status": call.status}


def read_detail(document: Any) -> InvocationDetail:
    """Read the details of a run that only the emulator provides; raises Malformed."""
    data = resource(document, "invocation detail")
    lines = [resource(line, "console line") for line in required(data, "console", list)]
    # Older emulators do not send calls. Names in the body of a call are the handler's data, and are never converted.
    calls = optional(data, "calls", list) or []
    duration = data.get("durationMs")
    return InvocationDetail(
        id=required(data, "id", int),
        console=tuple(ConsoleLine(required(line, "level", str), required(line, "text", str)) for line in lines),
        duration_ms=float(duration) if isinstance(duration, int | float) else None,
        calls=tuple(read_call(call) for call in calls),
        calls_omitted=optional(data, "callsOmitted", int) or 0,
    )


def read_call(document: Any) -> ApiCall:
    """Read a handler's request to the Platform API; raises Malformed."""
    if not isinstance(document, dict):
        raise Malformed("an API call is not an object")
    return ApiCall(
        method=required(document, "method", str),
        path=required(document, "path", str),
        body=document.get("body"),
        status=required(document, "status", int),
    )


def _switch(document: Any, name: str) -> bool:
    state = required(document, name, str)
    if state not in ("ENABLED", "DISABLED"):
        raise Malformed(f"field {name!r} is {state!r}, not ENABLED or DISABLED")
    return state == "ENABLED"
