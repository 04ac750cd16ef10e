"""Offset pages, to and from JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from ckfunc.model.page import Page
from ckfunc.wire.reading import optional, required, resource

T = TypeVar("T")


def write_page(name: str, page: Page[Any], items: list[Any], href: str, query: Sequence[tuple[str, str]]) -> Any:
    """Return a page of already written `items` under `_embedded.name`.

    `query` holds the list's own filters and sort; a list of one page has a `self` link alone.
    """
    last = max(page.total_pages - 1, 0)

    def link(number: int) -> dict[str, str]:
        return {"href": f"{href}?{urlencode([('page', str(number)), ('size', str(page.size)), *query])}"}

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
    """Read a page in either spelling, each item with `read`; an empty page may leave `_embedded` out."""
    found = resource(document, "page")
    numbers = resource(required(found, "page", dict), "page")
    embedded = optional(found, "_embedded", dict) or {}
    items = embedded.get(name) or []
    return Page(
        items=tuple(read(item) for item in items),
        number=required(numbers, "number", int),
        size=required(numbers, "size", int),
        total_elements=required(numbers, "totalElements", int),
        total_pages=required(numbers, "totalPages", int),
    )
