"""Validation of responses: no unknown, mistyped or missing field, and correct links."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.validators import extend

from ckfunc.wire.contract import Operation, operations, schemas
from ckfunc.wire.dialects import Dialect

OPERATIONS: Mapping[str, Operation] = {operation.id: operation for operation in operations()}

_FORMATS = FormatChecker(formats=())
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.(\d{3}|\d{6}|\d{9})Z")
_PAGE_LINKS = {"first", "self", "next", "last", "prev"}


@_FORMATS.checks("int32")
def _is_int32(value: object) -> bool:
    return not isinstance(value, int) or -(2**31) <= value < 2**31


@_FORMATS.checks("int64")
def _is_int64(value: object) -> bool:
    return not isinstance(value, int) or -(2**63) <= value < 2**63


@_FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    found = _TIME.fullmatch(str(value))
    return found is not None and bool(datetime.fromisoformat(str(value)[:19]))


def problems(operation: str, document: Any, dialect: Dialect, server: str) -> list[str]:
    """Return the problems of the body of an operation's successful response, each with its location."""
    schema = OPERATIONS[operation].response
    if schema is None:
        return [] if document is None else ["there is a body, where none can be"]
    found = sorted(
        _validator(schema, dialect, server).iter_errors(document), key=lambda error: list(error.path).__repr__()
    )
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message[:300]}" for error in found]


def error_problems(document: Any, dialect: Dialect) -> list[str]:
    """Return the problems of the body of a 400 or 404."""
    return [error.message for error in _validator("ApiError", dialect, "").iter_errors(document)]


def _links(validator: Any, links: Mapping[str, str], resource: Any, schema: Any) -> Iterator[ValidationError]:
    """Check `_links` against the paths of the schema's `x-links`."""
    found = resource.get("_links") if isinstance(resource, dict) else None
    if found is None:
        return
    if set(found) != set(links):
        yield ValidationError(f"the links are {sorted(found)}, not {sorted(links)}", path=["_links"])
    for name, path in links.items():
        pattern = re.sub(r"\\{\w+\\}", r"[^/?]+", re.escape(f"{schema['x-server']}/v1/applications/1{path}"))
        href = found.get(name, {}).get("href", "")
        if name in found and not re.fullmatch(pattern, href):
            yield ValidationError(f"{href} is not {path}", path=["_links", name])


def _page_links(validator: Any, server: str, page: Any, schema: Any) -> Iterator[ValidationError]:
    """Check that a page has its links and its list, even when it is empty."""
    if not isinstance(page, dict):
        return
    found = page.get("_links", {})
    if "self" not in found or not set(found) <= _PAGE_LINKS:
        yield ValidationError(f"the page's links are {sorted(found)}", path=["_links"])
    for name, link in found.items():
        if not link.get("href", "").startswith(f"{server}/v1/"):
            yield ValidationError(f"{link.get('href')} is not on {server}", path=["_links", name])
    if not page.get("_embedded"):
        yield ValidationError("the page has no list", path=["_embedded"])


_Strict = extend(Draft202012Validator, {"x-links": _links, "x-page": _page_links})


@cache
def _validator(schema: str, dialect: Dialect, server: str) -> Any:
    definitions = {name: strict(name, dialect, server) for name in schemas()}
    return _Strict({"$ref": f"#/$defs/{schema}", "$defs": definitions}, format_checker=_FORMATS)


def strict(name: str, dialect: Dialect, server: str = "", references: str = "#/$defs/") -> Any:
    """Return a schema in `dialect` that allows no other field, with the links that its resource must have."""
    made = json.loads(json.dumps(schemas()[name]).replace("#/components/schemas/", references))
    if "discriminator" in made:
        field, mapping = made["discriminator"]["propertyName"], made["discriminator"]["mapping"]
        # Choose the variant first, so that a problem is reported at its field, not as "matches no variant".
        return {
            "type": "object",
            "required": [field],
            "properties": {field: {"enum": list(mapping)}},
            "allOf": [
                {"if": {"properties": {field: {"const": value}}}, "then": {"$ref": reference}}
                for value, reference in mapping.items()
            ],
        }
    if "properties" not in made:
        return made
    spelling = {
        field: schema.get("x-snake", field) if dialect is Dialect.SNAKE else field
        for field, schema in made["properties"].items()
    }
    required = [spelling[field] for field in made.get("required", [])]
    extra: dict[str, Any] = {}
    if "x-links" in made and name.endswith("Resource"):
        required.append("_links")
    if name.startswith(("PagedModel", "CursorPagedModel")) and not name.endswith("Embedded"):
        extra = {"x-page": server}
    return {
        **made,
        "properties": {spelling[field]: schema for field, schema in made["properties"].items()},
        "required": required,
        "additionalProperties": False,
        "x-server": server,
        **extra,
    }
