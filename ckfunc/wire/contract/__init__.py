"""The vendor's contract of the Platform API, as data.

`operations.json` is a list of operations. `schemas.json` contains JSON Schemas in camelCase: `x-snake` is the other
spelling of a property, where it differs, and `x-links` are the paths of a resource's links, below the application.
Both describe version 2.49.2 of the contract, with additions from the vendor's newest clients, in our own words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ckfunc.base.frozen import frozen

_HERE = Path(__file__).parent


@frozen
class Operation:
    """An operation of the API. `path` is without /v1; `content` maps media types of the body to names of schemas."""

    id: str
    family: str
    method: str
    path: str
    summary: str
    scopes: tuple[str, ...]
    parameters: tuple[Mapping[str, Any], ...]
    """Parameters of path and query, in the format of OpenAPI."""
    content: Mapping[str, str]
    body_required: bool
    status: int
    """The status of success."""
    response: str | None
    """The name of the schema of the response; None for a response without a body."""


@cache
def operations() -> tuple[Operation, ...]:
    """Return every operation of the Platform API."""
    return tuple(read_operation(entry) for entry in json.loads((_HERE / "operations.json").read_text("utf-8")))


@cache
def schemas() -> Mapping[str, Any]:
    """Return every schema by name, in camelCase, with references in the format of OpenAPI's components."""
    document: dict[str, Any] = json.loads((_HERE / "schemas.json").read_text("utf-8"))
    return document


def read_operation(document: Mapping[str, Any]) -> Operation:
    """Read an entry of `operations.json`, or of another file with its format."""
    request = document.get("request", {})
    return Operation(
        id=document["id"],
        family=document["family"],
        method=document["method"],
        path=document["path"],
        summary=document["summary"],
        scopes=tuple(document["scopes"]),
        parameters=tuple(document["parameters"]),
        content=request.get("content", {}),
        body_required=request.get("required", False),
        status=document["status"],
        response=document["response"],
    )
