"""Functions, their versions and invocations, to and from JSON."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.model.function import (
    ApiCall,
    ConsoleLine,
    Function,
    FunctionVersion,
    Invocation,
    InvocationDetail,
    NewFunction,
    Status,
)
from ckfunc.wire.links import Links
from ckfunc.wire.reading import Malformed, optional, required, resource

if TYPE_CHECKING:
    from ckfunc.model.outputs import CallJson


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
    try:
        status = Status(required(data, "status", str))
        created = parse_timestamp(required(data, "createdTime", str))
    except ValueError as error:
        raise Malformed(str(error)) from None
    return Invocation(
        id=required(data, "id", int),
        version_number=required(data, "versionNumber", int),
        status=status,
        args=optional(data, "args", dict) or {},
        result=optional(data, "result", dict) or {},
        created_time=created,
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


def concerns(event: Mapping[str, Any], channel_id: int, usernames: Collection[str]) -> bool:
    """Return whether an event is about a channel, or starts a session of one of these users."""
    return (
        event_field(event, "channel", "id") == channel_id
        or event_field(event, "message", "channelId") == channel_id
        or event_field(event, "notification", "data", "channelId") == channel_id
        or event.get("username") in usernames
    )


def event_field(event: Any, *names: str) -> Any:
    """Return the value at a path of fields, or None."""
    for name in names:
        event = event.get(name) if isinstance(event, Mapping) else None
    return event
