"""What the emulator says of itself: the OpenAPI document at /openapi.json, and a page at /docs to read and try it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

from ckfunc.emulator import description
from ckfunc.emulator.description.openapi import document
from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.http.routing import Access, Route
from ckfunc.emulator.resources.services import Services

_PAGE = Path(description.__file__).parent / "docs.html"
_SCRIPT = re.compile(rb"<script>(.*)</script>", re.DOTALL)


def routes(described: Sequence[Route]) -> tuple[Route, ...]:
    """Return the routes of the description of the routes `described`."""

    def retrieve_openapi_document(call: Call, _services: Services) -> Reply:
        """Answer with the OpenAPI 3.1 document, whose server is the address that was called."""
        # Names in it are names of fields in camelCase: it is never respelled.
        text = json.dumps(document(described, call.links.base), ensure_ascii=False)
        return Reply(content=text.encode(), content_type="application/json")

    return (
        Route("GET", "/openapi.json", retrieve_openapi_document, Access.PUBLIC),
        Route("GET", "/docs", retrieve_documentation, Access.PUBLIC),
    )


def retrieve_documentation(_call: Call, _services: Services) -> Reply:
    """Answer with the page. It runs no script but its own, and talks to no address but this one."""
    page = _PAGE.read_bytes().replace(b"\r\n", b"\n")
    found = _SCRIPT.search(page)
    digest = base64.b64encode(hashlib.sha256(found[1] if found else b"").digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Reply(content=page, content_type="text/html; charset=utf-8", headers={"content-security-policy": policy})
