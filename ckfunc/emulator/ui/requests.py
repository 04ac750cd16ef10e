"""Pages of requests to the Platform API, and of injected faults."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ckfunc.base.frozen import frozen
from ckfunc.emulator.http.calls import Call, Reply, whole_number
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.request_log import RecordedBody, RecordedRequest
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui.pages import form_route, page, page_route, redirect
from ckfunc.wire.contract import operations
from ckfunc.wire.faults import MOST_DELAY_MS, MOST_FIRST, read_fault

_MOST_SHOWN = 50
_SHOWN_CHARACTERS = 1500
_API_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")

_NORMAL, _LOST = "normal", "lost"
_ANSWERS = (
    ("429", "429 Too Many Requests"),
    ("500", "500 Internal Server Error"),
    ("502", "502 Bad Gateway"),
    ("503", "503 Service Unavailable"),
    ("504", "504 Gateway Timeout"),
    (_LOST, "Carried out, response lost"),
    (_NORMAL, "Only the delay"),
)
"""The values of the form's field `answer`, and their labels."""


@frozen
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
    requests = [
        recorded
        for recorded in services.requests.latest
        if query.lower() in f"{recorded.method} {recorded.path}".lower() and (recorded.failed or not failed)
    ]
    rows = [
        RequestRow(
            recorded,
            body_text(recorded.received),
            body_text(recorded.sent),
            curl_command(recorded, call.links.base),
            api_command(recorded),
        )
        for recorded in requests[:_MOST_SHOWN]
    ]
    return page(
        call,
        services,
        "requests",
        title="Requests",
        rows=rows,
        omitted=len(requests) - len(rows),
        query=query,
        failed=failed,
    )


def show_faults(call: Call, services: EmulatorServices) -> Reply:
    """Show the active faults, and a form to add one."""
    return page(
        call,
        services,
        "faults",
        title="Faults",
        faults=services.faults.active,
        answers=_ANSWERS,
        operations=sorted(operation.id for operation in operations()),
        most_delay_ms=MOST_DELAY_MS,
        most_first=MOST_FIRST,
    )


def add_fault(call: Call, services: EmulatorServices) -> Reply:
    """Add a fault."""
    services.faults.add(read_fault(_document(call.form())))
    return redirect("/ui/faults")


def remove_fault(call: Call, services: EmulatorServices) -> Reply:
    """Remove a fault."""
    services.faults.remove(call.id())
    return redirect("/ui/faults")


def remove_all_faults(_call: Call, services: EmulatorServices) -> Reply:
    """Remove all faults."""
    services.faults.clear()
    return redirect("/ui/faults")


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


def _document(form: Mapping[str, str]) -> dict[str, Any]:
    """Return the fault of a form as JSON. Raises Refused."""
    answer = form.get("answer", "")
    document: dict[str, Any] = {"operation": form.get("operation") or None}
    if answer == _LOST:
        document["lost"] = True
    elif answer != _NORMAL:
        document["status"] = whole_number(answer)
    for field, name in (("retry-after", "retryAfterSeconds"), ("delay", "delayMs"), ("first", "first")):
        if text := form.get(field, "").strip():
            document[name] = _number(text, field)
    if text := form.get("rate", "").strip():
        try:
            document["ratePercent"] = float(text)
        except ValueError:
            raise Refused(f"rate: {text[:60]!r} is not a number") from None
    return document


def _number(text: str, field: str) -> int:
    number = whole_number(text)
    if number is None:
        raise Refused(f"{field}: {text[:60]!r} is not a whole number")
    return number


ROUTES = (
    page_route("/ui/requests", show_requests),
    page_route("/ui/faults", show_faults),
    form_route("/ui/faults", add_fault),
    form_route("/ui/faults/clear", remove_all_faults),
    form_route("/ui/faults/{id}/remove", remove_fault),
)
