"""HAL links of resources, and pages of lists.

All links are below the URL of the application.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote_plus, urlencode, urlsplit

from ckfunc.base.text import is_id
from ckfunc.model.page import CursorPage, Page, Relation
from ckfunc.wire.reading import optional, required, resource

_APPLICATION = re.compile(r"/applications/(\d+)(?:/|$)")


class Links:
    """Generator of the `_links` of an application's resources; `base` has no trailing slash."""

    def __init__(self, base: str, application_id: int) -> None:
        self.base = base
        self.application = f"{base}/v1/applications/{application_id}"

    def href(self, path: str) -> str:
        """Return the URL of `path` below the application."""
        return f"{self.application}/{path}"

    def picture(self, display_name: str) -> str:
        """Return the URL of the picture that the platform generates for a display name (form-encoded)."""
        return f"{self.base}/v1/picture/{quote_plus(display_name)}"

    def absolute(self, address: str) -> str:
        """Return the absolute URL of a file; files of this host are stored as a path, `/v1/…`."""
        return self.base + address if address.startswith("/v1/") else address

    def to(self, /, **relations: str) -> dict[str, dict[str, str]]:
        """Return links to paths below the application, by relation name, and the link to the application itself."""
        links = {relation: {"href": self.href(path)} for relation, path in relations.items()}
        links["application"] = {"href": self.application}
        return links


def application_id_in(document: Mapping[str, Any]) -> int | None:
    """Return the id of the application in the links of a resource, or None."""
    links = document.get("_links")
    for link in (links.values() if isinstance(links, dict) else links) if isinstance(links, dict | list) else ():
        href = link.get("href") if isinstance(link, dict) else None
        if isinstance(href, str) and (match := _APPLICATION.search(href)):
            return int(match[1])
    return None


T = TypeVar("T")


def write_page(name: str, page: Page[Any], items: list[Any], href: str, query: Sequence[tuple[str, str]]) -> Any:
    """Return a page with `items`, which are JSON already, under `_embedded.name`.

    `query` contains the filters and sort of the list. A list with a single page has only the link `self`.
    """
    last = max(page.total_pages - 1, 0)

    def link(number: int) -> dict[str, str]:
        return {"href": f"{href}?{urlencode([*query, ('page', str(number)), ('size', str(page.size))])}"}

    links = {"self": link(page.number)}
    if page.total_pages > 1:
        links = {"first": link(0), **links}
        if page.number < last:
            links["next"] = link(page.number + 1)
        links["last"] = link(last)
    return {
        "_embedded": {name: items},
        "_links": links,
        "page": {
            "size": page.size,
            "totalElements": page.total_elements,
            "totalPages": page.total_pages,
            "number": page.number,
        },
    }


def read_page(document: Any, name: str, read: Callable[[Any], T]) -> Page[T]:
    """Read a page in either spelling, each item with `read`; an empty page may have no `_embedded`.

    The block `page` may lack any number; the links then give the number of pages as far as it is known. Source: the
    vendor's guide, by which only the link `self` is always present. Raises Malformed.
    """
    data = resource(document, "page")
    numbers = resource(optional(data, "page", dict) or {}, "page")
    embedded = optional(data, "_embedded", dict) or {}
    items = tuple(read(item) for item in embedded.get(name) or [])
    number, size = optional(numbers, "number", int), optional(numbers, "size", int)
    total_pages, total_elements = optional(numbers, "totalPages", int), optional(numbers, "totalElements", int)
    if number is None or total_pages is None:
        links = required(data, "_links", dict)
        here = required(links, "self", dict)
        number = number if number is not None else _linked(here, "page") or 0
        size = size or _linked(here, "size")
        last = _linked(links.get("last"), "page") or _linked(links.get("next"), "page") or number
        total_pages = total_pages if total_pages is not None else max(last, number) + 1
    size = size or len(items)
    if total_elements is None:
        # At least this many: full pages up to here, or one item on the last page.
        total_elements = max(
            number * size + len(items), (total_pages - 1) * size + 1 if total_pages > number + 1 else 0
        )
    return Page(items, number, size, total_elements, total_pages)


def _linked(link: Any, parameter: str) -> int | None:
    """Return a number in the query of a link, or None if it has none."""
    href = link.get("href") if isinstance(link, dict) else None
    text = parse_qs(urlsplit(href).query).get(parameter, [""])[0] if isinstance(href, str) else ""
    return int(text) if is_id(text) else None


def write_cursor_page(
    name: str, page: CursorPage[Any], items: list[Any], href: str, query: Sequence[tuple[str, str]] = ()
) -> dict[str, Any]:
    """Return a cursor page with `items`, which are JSON already, under `_embedded.name`. The last has no `next` link.

    `query` contains the filters of the list. All links have the same cursor and differ in `relation`. The block `page`
    repeats the cursor as strings, as both of the vendor's clients declare it, for callers that do not parse links.
    """
    cursor = [] if page.start is None else [("start", str(page.start)), ("next", str(page.next))]

    def link(relation: Relation) -> dict[str, str]:
        parts = [*cursor, ("size", str(page.size)), ("relation", relation.value), *query]
        return {"href": f"{href}?{urlencode(parts)}"}

    links = {"self": link(Relation.SELF)}
    block: dict[str, Any] = {"size": page.size}
    if page.start is not None:
        block["start"] = str(page.start)
    if page.has_next:
        links["next"] = link(Relation.NEXT)
        block["next"] = str(page.next)
    return {"_embedded": {name: items}, "_links": links, "page": block}
