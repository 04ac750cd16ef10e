"""Requests to any path of the Platform API. Environment values are masked in the answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ckfunc.api.client import Client
from ckfunc.base.errors import UnreadableAnswer, UsageProblem
from ckfunc.base.secrets import Secret
from ckfunc.base.text import nearest

_VARIABLES = ("environmentVariables", "environment_variables")
_MOST_PAGES = 10_000


def checked_path(path: str) -> str:
    """Return a path that begins with a slash. Raises UsageProblem for an address: the token goes to its own host."""
    parts = urlsplit(path)
    if parts.scheme or parts.netloc or not path.isprintable() or " " in path or parts.fragment:
        raise UsageProblem(
            f"{path!r} is not a path of the API", hint="give what comes after the host: /v1/users?size=5"
        )
    return path if path.startswith("/") else f"/{path}"


def not_found_hint(client: Client, method: str, path: str) -> str | None:
    """Return a hint for a path that was not found: similar paths, or None when the API has the operation."""
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


def without_values(document: Any) -> Any:
    """Return a document with the values of environment variables masked."""
    if isinstance(document, list):
        return [without_values(one) for one in document]
    if not isinstance(document, dict):
        return document
    return {
        name: {key: str(Secret(str(one))) for key, one in value.items()}
        if name in _VARIABLES and isinstance(value, dict)
        else without_values(value)
        for name, value in document.items()
    }


def pages(client: Client, path: str) -> Iterator[Any]:
    """Yield the items of a list, following its links from page to page. Raises UnreadableAnswer."""
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
        following = _next_path(found, client.connection.api_url)
        if following is None:
            return
        path = following
    raise UnreadableAnswer(
        "the list leads back to a page that was read already", hint="the platform's paging is at fault"
    )


def _next_path(page: dict[str, Any], api_url: str) -> str | None:
    """Return the path of the next page. Only the path of a link counts: the host stays the one that is trusted."""
    links = page.get("_links")
    link = links.get("next") if isinstance(links, dict) else None
    href = link.get("href") if isinstance(link, dict) else None
    if not isinstance(href, str):
        return None
    parts = urlsplit(href)
    path = parts.path.removeprefix(urlsplit(api_url).path)
    return f"{path}?{parts.query}" if parts.query else path


def texts_in(document: Any) -> tuple[str, ...]:
    """Return every text in a document, keys aside."""
    if isinstance(document, dict):
        return tuple(text for value in document.values() for text in texts_in(value))
    if isinstance(document, list):
        return tuple(text for value in document for text in texts_in(value))
    return (document,) if isinstance(document, str) else ()
