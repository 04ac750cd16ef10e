"""The vendor's contract of the Platform API, as data.

`operations.json` is a list, `schemas.json` holds JSON Schemas in camelCase; a property that the other spelling names
differently carries that name as `x-snake`, and a resource the paths of its links, under the application, as `x-links`.
Both are version 2.49.2 of the contract, with additions of the vendor's newest clients, in our own words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `path` is without /v1; `content` maps media types of the body to names of schemas."""

    id: str
    family: str
    method: str
    path: str
    summary: str
    scopes: tuple[str, ...]
    parameters: tuple[Mapping[str, Any], ...]
    """Parameters of path and query, as OpenAPI writes them."""
    content: Mapping[str, str]
    body_required: bool
    status: int
    """The status of success."""
    response: str | None
    """The schema of the response, None for a response without a body."""


@cache
def operations() -> tuple[Operation, ...]:
    """Return every operation of the Platform API."""
    return tuple(read_operation(one) for one in json.loads((_HERE / "operations.json").read_text("utf-8")))


@cache
def schemas() -> Mapping[str, Any]:
    """Return every schema by name, in camelCase; they refer to each other as OpenAPI's components do."""
    found: dict[str, Any] = json.loads((_HERE / "schemas.json").read_text("utf-8"))
    return found


def read_operation(document: Mapping[str, Any]) -> Operation:
    """Read an entry of `operations.json`, or of a file like it."""
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
