"""How any request goes to the Platform API, and its answer to stdout, with no environment value in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ckfunc.base.documents import read_data
from ckfunc.base.errors import EXIT_FAILED, EXIT_OK, ApiFailure, NoProject, NotFound, UnreadableAnswer, UsageProblem
from ckfunc.base.nearest import nearest
from ckfunc.base.secrets import masked
from ckfunc.base.text import printable
from ckfunc.cli.app import App
from ckfunc.cli.asking import confirmed

if TYPE_CHECKING:
    from ckfunc.api import Client

_VARIABLES = ("environmentVariables", "environment_variables")
_MOST_PAGES = 10_000


def call(app: App, method: str, path: str, *, data: str | None, paginate: bool, yes: bool = False) -> int:
    """Send one request, or with `paginate` one for each page, and print what comes back; return the exit code."""
    path = checked_path(path)
    if paginate and (method != "GET" or data is not None):
        raise UsageProblem("--paginate is for GET", hint="ckfunc api GET /v1/users --paginate")
    body = None if data is None else read_data(data, "body", '{"name": "jane"}')
    secret = path.partition("?")[0].rstrip("/").endswith("/environment-variables")
    if method != "GET" and not yes and not _write_confirmed(app, method, path):
        return EXIT_FAILED
    client = _client(app)
    if paginate:
        with app.output.progress("reading pages"):
            items = [shown(one) for one in _pages(client, path)]
        app.output.document(items)
        return EXIT_OK
    try:
        found = client.session.call(method, path, body, secrets=_texts(body) if secret else ())
    except ApiFailure as problem:
        if isinstance(problem, NotFound):
            problem.hint = _found_nothing(client, method, path) or problem.hint
        app.output.failure(problem)
        return EXIT_FAILED
    if isinstance(found, str):
        app.output.text(printable(found))
    elif found is not None:
        app.output.document(shown(found))
    return EXIT_OK


def _write_confirmed(app: App, method: str, path: str) -> bool:
    """Return whether a request that may write can be sent: a protected target asks. Raises NeedsYes."""
    try:
        target = app.target()
    except NoProject:  # no manifest, so nothing says that the application is protected
        return True
    return not target.protected or confirmed(
        app,
        f"Send {method} {path} to {target.name}?",
        cancelled="Nothing was sent.",
        refusal=f"target {target.name!r} is protected, and there is no terminal to ask on",
        hint="pass --yes to send the request",
    )


def _found_nothing(client: Client, method: str, path: str) -> str | None:
    """Return a hint for a path at which there is nothing: which one was meant, None for one that the API has."""
    from ckfunc.wire.contract import operations

    asked = f"/{path.partition('?')[0].strip('/').removeprefix('v1/')}"
    known = {one.path: re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(one.path))) for one in operations()}
    taking = [one.method for one in operations() if known[one.path].fullmatch(asked)]
    if method in taking:
        return None
    if taking:
        return f"this path takes {' and '.join(dict.fromkeys(taking))}"
    close = nearest(re.sub(r"(?<=/)\d+(?=/|$)", "{id}", asked), known)
    every = "`ckfunc emulator` lists every path at its /docs"
    if client.emulator_id is not None and (url := client.connection.api_url):
        every = f"{every}, now {url}/docs"
    return f"did you mean /v1{close}? {every}" if close else every


def checked_path(path: str) -> str:
    """Return a path that begins with a slash. Raises UsageProblem for an address: the token goes to its own host."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.isprintable() or " " in path or parts.fragment:
        raise UsageProblem(
            f"{path!r} is not a path of the API", hint="give what comes after the host: /v1/users?size=5"
        )
    return path if path.startswith("/") else f"/{path}"


def shown(document: Any) -> Any:
    """Return a document with every value of an environment variable masked."""
    if isinstance(document, list):
        return [shown(one) for one in document]
    if not isinstance(document, dict):
        return document
    return {
        name: {key: masked(str(one)) for key, one in value.items()}
        if name in _VARIABLES and isinstance(value, dict)
        else shown(value)
        for name, value in document.items()
    }


def _pages(client: Client, path: str) -> Iterator[Any]:
    """Yield the items of a list, page after page, as its links lead on."""
    seen: set[str] = set()
    while path not in seen and len(seen) < _MOST_PAGES:
        seen.add(path)
        found = client.session.call("GET", path)
        embedded = found.get("_embedded") if isinstance(found, dict) else None
        if not isinstance(embedded, dict):
            if isinstance(found, dict) and "page" in found:
                return
            raise UnreadableAnswer("the answer is no list with pages", hint="leave --paginate out")
        for items in embedded.values():
            yield from items if isinstance(items, list) else ()
        following = _next(found, client.connection.api_url)
        if following is None:
            return
        path = following
    raise UnreadableAnswer(
        "the list leads back to a page that was read already", hint="the platform's paging is at fault"
    )


def _next(page: dict[str, Any], api_url: str) -> str | None:
    """Return the path of the next page. Only the path of a link counts: the host stays the one that is trusted."""
    links = page.get("_links")
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str):
        return None
    parts = urlsplit(href)
    path = parts.path.removeprefix(urlsplit(api_url).path)
    return f"{path}?{parts.query}" if parts.query else path


def _texts(document: Any) -> tuple[str, ...]:
    if isinstance(document, dict):
        return tuple(text for value in document.values() for text in _texts(value))
    if isinstance(document, list):
        return tuple(text for value in document for text in _texts(value))
    return (document,) if isinstance(document, str) else ()


def _client(app: App) -> Client:
    """Return a client of the target; outside of a project, of the application that the environment names."""
    from ckfunc.api import connection_from_environment

    try:
        return app.connect(app.connection())
    except NoProject:
        if app.settings.target is not None:
            raise
        return app.connect(connection_from_environment(app.environ))
