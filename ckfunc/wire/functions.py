"""Functions and their versions, to and from JSON."""

from __future__ import annotations

from typing import Any

from ckfunc.model.function import Function, FunctionVersion, NewFunction
from ckfunc.wire.links import Links
from ckfunc.wire.reading import Malformed, optional, required, resource


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
    found = resource(document, "function")
    return Function(
        id=required(found, "id", int),
        type=required(found, "type", str),
        name=optional(found, "name", str) or required(found, "type", str),
        enabled=required(found, "enabled", bool),
        current_version_number=required(found, "currentVersionNumber", int),
        description=optional(found, "description", str),
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
    found = resource(document, "function")
    new = NewFunction(
        type=required(found, "type", str).strip(),
        name=required(found, "name", str),
        description=optional(found, "description", str),
        initialize_asynchronously=optional(found, "initializeAsynchronously", bool) or False,
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
    found = resource(document, "function version")
    return FunctionVersion(
        id=required(found, "id", int),
        version_number=required(found, "versionNumber", int),
        handler_script=required(found, "handlerScript", str),
    )
