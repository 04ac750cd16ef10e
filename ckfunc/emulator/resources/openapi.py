"""The OpenAPI 3.1 document at /openapi.json, and its page at /docs.

Each route is the operation that its handler is named after. `controls.json` describes the emulator's own controls in
the format of the platform's contract.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ckfunc import __version__
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.wire.contract import Operation, operations, read_operation, schemas
from ckfunc.wire.dialects import JSON, camel

_CONTROLS = Path(__file__).parent / "controls.json"

_ERRORS = {
    "400": ("Refused", "The request is invalid, or cannot be carried out.", "ApiError"),
    "401": ("NotSignedIn", "The token is missing, unknown or expired.", "AuthenticationError"),
    "403": ("NotAllowed", "The token does not allow this.", "AuthenticationError"),
    "404": ("NotFound", "Something that the request names does not exist.", "ApiError"),
}

_DESCRIPTION = (
    "The ChatKitty Platform API as this emulator serves it, in its camelCase spelling. The same operations answer "
    "in snake_case without /v1, or to `Accept: application/vnd.chatkitty+json`. Client id and client secret are both "
    "`emulator`. The emulator's own controls, under /emulator, need no token."
)

_CONTROL_ERRORS = ("400", "404")
_PAGE = Path(__file__).parent / "docs.html"
_SCRIPT = re.compile(rb"<script>(.*)</script>", re.DOTALL)


@cache
def control_operations() -> tuple[Operation, ...]:
    """Return every control under /emulator/."""
    return tuple(read_operation(operation) for operation in _described_controls()["operations"])


def control_schemas() -> Mapping[str, Any]:
    """Return the schemas of the controls by name; they refer to those of the platform, too."""
    schemas: dict[str, Any] = _described_controls()["schemas"]
    return schemas


@cache
def _described_controls() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(_CONTROLS.read_text("utf-8"))
    return document


def operation_id(route: Route) -> str:
    """Return the id of the operation that a route serves: its handler's name in camelCase."""
    return camel(route.handler.__name__)


def document(routes: Iterable[Route], server: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the operations and controls among `routes`, served at the URL `server`."""
    known = {
        Access.TOKEN: {operation.id: operation for operation in operations()},
        Access.CONTROL: {operation.id: operation for operation in control_operations()},
    }
    paths: dict[str, dict[str, Any]] = {}
    served: list[Operation] = []
    for route in routes:
        operation = known.get(route.access, {}).get(operation_id(route))
        if operation is not None:
            control = route.access is Access.CONTROL
            path = route.path if control else f"/v1{route.path}"
            paths.setdefault(path, {})[route.method.lower()] = _operation(operation, control=control)
            served.append(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "ChatKitty Platform API", "version": __version__, "description": _DESCRIPTION},
        "servers": [{"url": server}],
        "security": [{"clientCredentials": []}],
        "tags": [{"name": name} for name in sorted({operation.family for operation in served})],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {**schemas(), **control_schemas()},
            "responses": {name: _answer(text, schema) for name, text, schema in _ERRORS.values()},
            "securitySchemes": {"clientCredentials": _security(served)},
        },
    }


def _operation(operation: Operation, *, control: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.family],
        "summary": operation.summary,
        "parameters": list(operation.parameters),
    }
    if operation.content:
        content = {media: {"schema": _reference(name)} for media, name in operation.content.items()}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    known = {status: error for status, error in _ERRORS.items() if not control or status in _CONTROL_ERRORS}
    if operation.method == "HEAD":
        # Such an answer has only a status and headers.
        errors: dict[str, Any] = {status: {"description": text} for status, (_, text, _) in known.items()}
    else:
        errors = {status: {"$ref": f"#/components/responses/{name}"} for status, (name, _, _) in known.items()}
    described["responses"] = {str(operation.status): _answer("Done.", operation.response), **errors}
    described["security"] = [] if control else [{"clientCredentials": list(operation.scopes)}]
    return described


def _answer(text: str, schema: str | None) -> dict[str, Any]:
    if schema is None:
        return {"description": text}
    return {"description": text, "content": {JSON: {"schema": _reference(schema)}}}


def _reference(name: str) -> Mapping[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _security(served: Iterable[Operation]) -> dict[str, Any]:
    scopes = sorted({scope for operation in served for scope in operation.scopes})
    flow = {"tokenUrl": "/oauth/token", "scopes": {scope: scope.replace(":", " ", 1) for scope in scopes}}
    return {"type": "oauth2", "flows": {"clientCredentials": flow}}


def routes(described: Sequence[Route]) -> tuple[Route, ...]:
    """Return the routes that describe the routes `described`."""

    def retrieve_openapi_document(call: Call, _services: EmulatorServices) -> Reply:
        """Answer with the OpenAPI 3.1 document, whose server is the requested address."""
        # Names in it are names of fields in camelCase, so they are never respelled.
        text = json.dumps(document(described, call.links.base), ensure_ascii=False)
        return Reply(content=text.encode(), content_type="application/json")

    return (
        Route("GET", "/openapi.json", retrieve_openapi_document, Access.PUBLIC),
        Route("GET", "/docs", retrieve_documentation, Access.PUBLIC),
    )


def retrieve_documentation(_call: Call, _services: EmulatorServices) -> Reply:
    """Answer with the page. It runs no script except its own, and connects only to this address."""
    page = _PAGE.read_bytes().replace(b"\r\n", b"\n")
    script = _SCRIPT.search(page)
    digest = base64.b64encode(hashlib.sha256(script[1] if script else b"").digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Reply(content=page, content_type="text/html; charset=utf-8", headers={"content-security-policy": policy})
