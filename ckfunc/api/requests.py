"""Requests to arbitrary paths of the Platform API, with masked environment values."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ckfunc.api.client import Client
from ckfunc.base.errors import NotFound, UnreadableAnswer, UsageProblem
from ckfunc.base.secrets import Secret
from ckfunc.base.text import nearest
from ckfunc.wire.contract import operations

_ENVIRONMENT_FIELDS = ("environmentVariables", "environment_variables")
_MAX_PAGES = 10_000


def checked_path(path: str) -> str:
    """Return a path with a leading slash. Raises UsageProblem for a URL, so that the token is not sent elsewhere."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.isprintable() or " " in path or parts.fragment:
        raise UsageProblem(
            f"{path!r} is not a path of the API", hint="pass the part after the host, such as /v1/users?size=5"
        )
    return path if path.startswith("/") else f"/{path}"


def send(client: Client, method: str, path: str, body: Any) -> Any:
    """Send a request and return its response, with masked values of environment variables. Raises ApiFailure."""
    secret = path.partition("?")[0].rstrip("/").endswith("/environment-variables")
    try:
        answer = client.session.call(method, path, body, secrets=tuple(map(Secret, _texts(body))) if secret else ())
    except NotFound as problem:
        problem.hint = _hint(client, method, path) or problem.hint
        raise
    return _without_values(answer)


def _hint(client: Client, method: str, path: str) -> str | None:
    """Return a hint for a path that was not found, or None if the API has the operation."""
    requested = f"/{path.partition('?')[0].strip('/').removeprefix('v1/')}"
    patterns = {each.path: re.compile(re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(each.path))) for each in operations()}
    methods = [each.method for each in operations() if patterns[each.path].fullmatch(requested)]
    if method in methods:
        return None
    if methods:
        return f"this path supports {' and '.join(dict.fromkeys(methods))}"
    close = nearest(re.sub(r"(?<=/)\d+(?=/|$)", "{id}", requested), patterns)
    all_paths = "`ckfunc emulator` lists every path at its /docs"
    if client.emulator_id is not None and (url := client.connection.api_url):
        all_paths = f"{all_paths}, now {url}/docs"
    return f"did you mean /v1{close}? {all_paths}" if close else all_paths


def _without_values(document: Any) -> Any:
    """Return a document with the values of environment variables masked."""
    if isinstance(document, list):
        return [_without_values(item) for item in document]
    if not isinstance(document, dict):
        return document
    return {
        name: {variable: str(Secret(str(text))) for variable, text in value.items()}
        if name in _ENVIRONMENT_FIELDS and isinstance(value, dict)
        else _without_values(value)
        for name, value in document.items()
    }


def pages(client: Client, path: str) -> Iterator[Any]:
    """Yield the items of a list, with masked values, following the links to further pages. Raises UnreadableAnswer."""
    seen: set[str] = set()
    while path not in seen and len(seen) < _MAX_PAGES:
        seen.add(path)
        answer = client.session.call("GET", path)
        embedded = answer.get("_embedded") if isinstance(answer, dict) else None
        if not isinstance(embedded, dict):
            if isinstance(answer, dict) and "page" in answer:
                return
            raise UnreadableAnswer("the response is not a paginated list", hint="run the command without --paginate")
        for items in embedded.values():
            yield from map(_without_values, items if isinstance(items, list) else ())
        following = _next_path(answer, client.connection.api_url)
        if following is None:
            return
        path = following
    raise UnreadableAnswer(
        "the list links back to a page that was already read", hint="the platform's paging does not work"
    )


def _next_path(page: dict[str, Any], api_url: str) -> str | None:
    """Return the path of the next page. The host of the link is ignored, because only the API's host is trusted."""
    links = page.get("_links")
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str):
        return None
    parts = urlsplit(href)
    path = parts.path.removeprefix(urlsplit(api_url).path)
    return f"{path}?{parts.query}" if parts.query else path


def _texts(document: Any) -> tuple[str, ...]:
    """Return every text in a document, without keys."""
    if isinstance(document, dict):
        return tuple(text for value in document.values() for text in _texts(value))
    if isinstance(document, list):
        return tuple(text for value in document for text in _texts(value))
    return (document,) if isinstance(document, str) else ()
