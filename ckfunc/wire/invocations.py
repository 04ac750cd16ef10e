"""Invocations, to and from JSON."""

from __future__ import annotations

from typing import Any

from ckfunc.base.clock import parse_timestamp, timestamp
from ckfunc.model.function import ApiCall, ConsoleLine, Invocation, InvocationDetail, Status
from ckfunc.wire.links import Links
from ckfunc.wire.reading import Malformed, optional, required, resource


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
    found = resource(document, "invocation")
    try:
        status = Status(required(found, "status", str))
        created = parse_timestamp(required(found, "createdTime", str))
    except ValueError as error:
        raise Malformed(str(error)) from None
    return Invocation(
        id=required(found, "id", int),
        version_number=required(found, "versionNumber", int),
        status=status,
        args=optional(found, "args", dict) or {},
        result=optional(found, "result", dict) or {},
        created_time=created,
    )


def write_detail(detail: InvocationDetail) -> dict[str, Any]:
    """Return what the emulator alone knows of a run."""
    return {
        "id": detail.id,
        "console": [{"level": line.level, "text": line.text} for line in detail.console],
        "durationMs": detail.duration_ms,
        "calls": [write_call(one) for one in detail.calls],
        "callsOmitted": detail.calls_omitted,
    }


def write_call(call: ApiCall) -> dict[str, Any]:
    """Return a handler's request to the Platform API."""
    return {"method": call.method, "path": call.path, "body": call.body, "status": call.status}


def read_detail(document: Any) -> InvocationDetail:
    """Read what the emulator alone knows of a run; raises Malformed."""
    found = resource(document, "invocation detail")
    lines = [resource(line, "console line") for line in required(found, "console", list)]
    # Not in what an older emulator tells. What is in a body is the handler's own, and never respelled.
    calls = optional(found, "calls", list) or []
    duration = found.get("durationMs")
    return InvocationDetail(
        id=required(found, "id", int),
        console=tuple(ConsoleLine(required(line, "level", str), required(line, "text", str)) for line in lines),
        duration_ms=float(duration) if isinstance(duration, int | float) else None,
        calls=tuple(read_call(one) for one in calls),
        calls_omitted=optional(found, "callsOmitted", int) or 0,
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
