"""Forms of the dashboard: their routes, protected from other sites."""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Awaitable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ckfunc.emulator.http.bodies import MEBIBYTE, read_json
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Denied, Refused
from ckfunc.emulator.http.routing import Access, Handler, Route
from ckfunc.emulator.services import EmulatorServices
from ckfunc.emulator.ui.rendering import redirect

KEY_FIELD = "form-key"
KEY_HEADER = "x-form-key"


def form_route(path: str, handler: Handler, body_bytes: int = 2 * MEBIBYTE, *, stores_file: bool = False) -> Route:
    """Return the route of a form, which requires the key that the dashboard's own pages send."""

    async def checked(call: Call, services: EmulatorServices) -> Reply:
        given = call.headers.get(KEY_HEADER) or call.form().get(KEY_FIELD, "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), services.form_key.encode()):
            raise Denied("the form is from an earlier run of the emulator; reload the page")
        made: Reply | Awaitable[Reply] = handler(call, services)
        return await made if inspect.isawaitable(made) else made

    return Route("POST", path, checked, Access.CONTROL, body_bytes, stores_file)


def page_route(path: str, handler: Handler) -> Route:
    """Return the route of a page."""
    return Route("GET", path, handler, Access.CONTROL)


def back(call: Call, section: str) -> Reply:
    """Return to the page that sent a form if it is in `section`, a path; otherwise to the section."""
    sender = urlsplit(call.headers.get("hx-current-url") or call.headers.get("referer") or "")
    if sender.netloc == call.headers.get("host") and sender.path == section:
        return redirect(f"{section}?{sender.query}" if sender.query else section)
    return redirect(section)


def posted_object(form: Mapping[str, str], name: str) -> dict[str, Any]:
    """Return a field of a form as a JSON object. Raises Refused."""
    try:
        document = read_json(form.get(name, "").encode("utf-8", "replace"), None)
    except Refused as problem:
        raise Refused(f"{name}: {problem.explanation}") from None
    if not isinstance(document, dict):
        raise Refused(f"{name}: the JSON is not an object")
    return document
