"""The page of requests: the last calls of the Platform API, with timings and bodies."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from dataclasses import dataclass

from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.request_log import RecordedBody, RecordedRequest
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui.pages import page, page_route

_MOST_SHOWN = 50
_SHOWN_CHARACTERS = 1500
_API_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request as the page shows it. `curl` and `api` are commands that send it again; `api` is None for forms."""

    request: RecordedRequest
    received: str
    sent: str
    curl: str
    api: str | None


def show_requests(call: Call, services: EmulatorServices) -> Reply:
    """Show the latest requests, or those whose path contains a text."""
    query = (call.first("query") or "")[:200]
    failed = call.first("failed") == "yes"
    found = [
        one
        for one in services.requests.latest
        if query.lower() in f"{one.method} {one.path}".lower() and (one.failed or not failed)
    ]
    rows = [
        RequestRow(
            one, body_text(one.received), body_text(one.sent), curl_command(one, call.links.base), api_command(one)
        )
        for one in found[:_MOST_SHOWN]
    ]
    return page(
        call,
        services,
        "requests",
        section="requests",
        title="Requests",
        rows=rows,
        omitted=len(found) - len(rows),
        query=query,
        failed=failed,
    )


def body_text(body: RecordedBody) -> str:
    """Return a body as text: indented if it is JSON, and cut if it is long."""
    try:
        text = body.content.decode("utf-8", "strict" if body.complete else "ignore")
    except UnicodeDecodeError:
        return f"({body.size_bytes:,} bytes that are not text)"
    if body.complete:
        with suppress(ValueError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    if body.complete and len(text) <= _SHOWN_CHARACTERS:
        return text
    return f"{text[:_SHOWN_CHARACTERS]}…\n({body.size_bytes:,} bytes)"


def curl_command(request: RecordedRequest, base: str) -> str:
    """Return a shell command that sends a request again, with a token of the variable TOKEN."""
    parts = ["curl", "-X", request.method, shlex.quote(f"{base}{request.path}"), '-H "authorization: Bearer $TOKEN"']
    if request.received.size_bytes:
        parts.append(f"-H {shlex.quote(f'content-type: {request.content_type}')}")
        parts.append(f"--data-binary {shlex.quote(_whole_json(request) or '@body')}")
    return " ".join(parts)


def api_command(request: RecordedRequest) -> str | None:
    """Return a `ckfunc api` command that sends a request again; None for methods and bodies that it cannot send."""
    if request.method not in _API_METHODS:
        return None
    parts = ["ckfunc api", request.method, shlex.quote(request.path)]
    if request.received.size_bytes or (request.private and request.method not in ("GET", "DELETE")):
        if not _is_json(request):
            return None
        parts.append(f"--data {shlex.quote(_whole_json(request) or '@body.json')}")
    return " ".join(parts)


def _is_json(request: RecordedRequest) -> bool:
    return request.content_type.partition(";")[0].strip().lower().endswith("json")


def _whole_json(request: RecordedRequest) -> str | None:
    """Return the JSON body of a request as text; None if it is not JSON, or was not recorded completely."""
    if not (request.received.complete and _is_json(request)):
        return None
    return request.received.content.decode("utf-8", "replace")


ROUTES = (page_route("/ui/requests", show_requests),)
