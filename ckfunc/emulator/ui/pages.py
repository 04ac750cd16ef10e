"""Pages and forms of the dashboard: routes, templates, headers and values."""

from __future__ import annotations

import asyncio
import functools
import hmac
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

import jinja2

from ckfunc.base.clock import elapsed_text
from ckfunc.base.errors import CkfuncError, InvalidFiles
from ckfunc.base.files import templates
from ckfunc.base.text import escaped, shortened, size_text
from ckfunc.emulator.http.bodies import MEBIBYTE, read_json
from ckfunc.emulator.http.calls import Call, Reply
from ckfunc.emulator.http.problems import Denied, HttpProblem, Refused
from ckfunc.emulator.http.routing import Access, Handler, Route
from ckfunc.emulator.services import EmulatorServices

T = TypeVar("T")

MOST_SHOWN = 10_000
"""The most characters of one value that a page shows."""

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
"""Headers of every page. Pages run no script except ours, and load nothing from elsewhere."""

KEY_FIELD = "form-key"
KEY_HEADER = "x-form-key"

_DIRECTORY = "ui"


class NavigationLink(NamedTuple):
    """A link to a section of the dashboard."""

    name: str
    path: str
    title: str


_SECTIONS = ("chat", "users", "channels", "messages", "sessions", "requests", "faults", "data", "runtime", "trigger")

NAVIGATION = (
    NavigationLink("functions", "/", "Functions"),
    *(NavigationLink(name, f"/ui/{name}", name.capitalize()) for name in _SECTIONS),
)


def visible(value: Any) -> Any:
    """Return a text with hidden characters as escapes such as \\u202e; HTML and other values are returned unchanged."""
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return escaped(value)
    return value


def page(
    call: Call, services: EmulatorServices, template: str, *, section: str = "", title: str, **values: Any
) -> Reply:
    """Return a page of the dashboard. `section` is the name of its link in the navigation, by default `template`."""
    query = call.query_string.decode("latin-1")
    return _rendered(
        template,
        title=title,
        section=section or template,
        fault_count=len(services.faults),
        form_key=services.form_key,
        here=f"{call.path}?{query}" if query else call.path,
        live=True,
        **values,
    )


def problem_page(problem: HttpProblem) -> Reply:
    """Return the page of an error."""
    values = {"title": problem.text, "section": "", "fault_count": 0, "form_key": "", "here": "", "live": False}
    headers = {**HEADERS, **problem.headers}
    return _rendered("problem", problem.status, headers, problem=problem, **values)


def redirect(path: str) -> Reply:
    """Return the answer to a form: the browser shows the page at `path`."""
    return Reply(status=303, headers={**HEADERS, "location": path})


def asset(name: str, content_type: str) -> Reply:
    """Return a script or stylesheet of the dashboard."""
    content = (templates() / _DIRECTORY / name).read_bytes()
    return Reply(content=content, headers=HEADERS, content_type=content_type)


def form_route(path: str, handler: Handler, body_bytes: int = 2 * MEBIBYTE, *, stores_file: bool = False) -> Route:
    """Return the route of a form, which requires the key that the dashboard's own pages send."""

    async def checked(call: Call, services: EmulatorServices) -> Reply:
        key = call.headers.get(KEY_HEADER) or call.form().get(KEY_FIELD, "")
        if not hmac.compare_digest(key.encode("utf-8", "replace"), services.form_key.encode()):
            raise Denied("the form is from an earlier run of the emulator; reload the page")
        reply: Reply | Awaitable[Reply] = handler(call, services)
        return await reply if inspect.isawaitable(reply) else reply

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


async def on_a_thread(work: Callable[[], T]) -> T:
    """Return the result of work on another thread. Raises Refused for expected failures."""
    try:
        return await asyncio.to_thread(work)
    except InvalidFiles as problem:
        raise Refused("\n".join(map(str, problem.problems)) or problem.message) from None
    except CkfuncError as problem:
        raise Refused(problem.sentence) from None


def json_text(value: Any, most: int = MOST_SHOWN) -> str:
    """Return a value as indented JSON, cut if it is very long."""
    return shown(json.dumps(value, indent=2, ensure_ascii=False), most)


def json_source(value: Any) -> str:
    """Return a value as indented JSON, all of it: hidden characters are escapes."""
    return json.dumps(value, indent=2)


def json_line(value: Any, most: int) -> str:
    """Return a value as JSON on one line, cut if it is long."""
    return shortened(json.dumps(value, ensure_ascii=False), most)


def brief(text: str, most: int) -> str:
    """Return a text on one line, cut if it is long."""
    return shortened(" ".join(text[: 2 * most].split()), most)


def shown(text: str | None, most: int = MOST_SHOWN) -> str:
    """Return a text, or its beginning and its length if it is very long."""
    if text is None or len(text) <= most:
        return text or ""
    return f"{shortened(text, most)}\n({len(text):,} characters)"


def duration(milliseconds: float | None) -> str:
    """Return a duration such as "12 ms" or "1.5 s"; "" for None."""
    return "" if milliseconds is None else elapsed_text(milliseconds)


def clock_time(moment: datetime) -> str:
    """Return a moment of today as a time, an earlier one with its date, in the zone of this machine."""
    local = moment.astimezone()
    today = local.date() == datetime.now(local.tzinfo).date()
    return f"{local:%H:%M:%S}" if today else f"{local:%Y-%m-%d %H:%M:%S}"


_FILTERS: Mapping[str, Any] = {
    "brief": brief,
    "json": json_text,
    "json_source": json_source,
    "line": json_line,
    "shown": shown,
    "duration": duration,
    "clock": clock_time,
    "size": size_text,
}


def _rendered(template: str, status: int = 200, headers: Mapping[str, str] = HEADERS, /, **values: Any) -> Reply:
    text = _environment().get_template(f"{template}.html.j2").render(navigation=NAVIGATION, **values)
    content = text.encode("utf-8", "replace")
    return Reply(content=content, status=status, headers=headers, content_type="text/html; charset=utf-8")


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(templates() / _DIRECTORY),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FILTERS)
    return environment
