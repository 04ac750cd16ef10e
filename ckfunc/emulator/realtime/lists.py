"""Pages of lists, with the relays of other pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from ckfunc.emulator.http.paging import DEFAULT_SIZE, LARGEST_SIZE, Write
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.realtime.requests import Destination
from ckfunc.emulator.store.paging import CursorRequest, PageRequest
from ckfunc.model.page import Cursor, CursorPage, Page, Relation
from ckfunc.wire.clients import client_page, relay
from ckfunc.wire.links import Links

T = TypeVar("T")


def page_request(destination: Destination, columns: Mapping[str, str], default: str) -> PageRequest:
    """Return the requested page of an offset list, in the requested order. Raises Refused.

    `columns` maps the names that the list can be sorted by to SQL.
    """
    position = destination.page
    order = [default]
    if position.sort.strip(","):
        names = [name for name in position.sort.split(",") if name]
        direction = names.pop().upper() if names[-1].lower() in ("asc", "desc") else "ASC"
        order = [f"{_column(name, columns)} {direction}" for name in names] or order
    tail = columns.get("id", "id")
    if not any(term.split(" ")[0] == tail for term in order):
        order.append(f"{tail} {order[-1].rsplit(' ', 1)[1]}")
    return PageRequest(position.at if position.direction == "page" else 0, _size(destination), ", ".join(order))


def cursor_request(destination: Destination) -> CursorRequest:
    """Return the requested page of a list that grows at its head."""
    position = destination.page
    cursor = Cursor()
    if position.direction == "next":
        cursor = Cursor(next=position.at, relation=Relation.NEXT)
    elif position.direction == "previous":
        cursor = Cursor(start=position.at, relation=Relation.PREVIOUS)
    return CursorRequest(cursor, _size(destination))


def written_page(destination: Destination, name: str, page: Page[T], write: Write[T], links: Links) -> dict[str, Any]:
    """Return a page of an offset list."""
    last = max(page.total_pages - 1, 0)
    relays = {"self": _relay(destination, "page", page.number)}
    if page.total_pages > 1:
        relays |= {"first": _relay(destination, "page", 0), "last": _relay(destination, "page", last)}
    if page.number > 0:
        relays["prev"] = _relay(destination, "page", min(page.number - 1, last))
    if page.number < last:
        relays["next"] = _relay(destination, "page", page.number + 1)
    block = {
        "size": page.size,
        "totalElement": page.total_elements,
        "totalElements": page.total_elements,
        "totalPages": page.total_pages,
        "number": page.number,
    }
    return client_page(name, [write(item, links) for item in page.items], block, relays)


def written_cursor_page(
    destination: Destination, name: str, page: CursorPage[T], write: Write[T], links: Links
) -> dict[str, Any]:
    """Return a page of a list that grows at its head, newest first; `prev` is the page of newer items."""
    relays = {"self": _relay(destination, destination.page.direction, destination.page.at)}
    block: dict[str, Any] = {"size": page.size}
    if page.start is not None:
        block["start"] = str(page.start)
        if destination.page.direction != "page":
            relays["prev"] = _relay(destination, "previous", page.start)
    if page.has_next and page.next is not None:
        block["next"] = str(page.next)
        relays["next"] = _relay(destination, "next", page.next)
    return client_page(name, [write(item, links) for item in page.items], block, relays)


def paged(items: Sequence[T], destination: Destination) -> Page[T]:
    """Return a page of items that are all known."""
    size, number = _size(destination), destination.page.at
    total = len(items)
    return Page(tuple(items[number * size : (number + 1) * size]), number, size, total, -(-total // size))


def _relay(destination: Destination, direction: str, at: int) -> str:
    page = destination.page
    size = "" if page.size is None else page.size
    return f"{relay(destination.of, destination.part)}.{direction}.{at}.size.{size}.sort.{page.sort}"


def _size(destination: Destination) -> int:
    return min(destination.page.size or DEFAULT_SIZE, LARGEST_SIZE)


def _column(name: str, columns: Mapping[str, str]) -> str:
    """Return the SQL of a property, which may be written with the resource before it, such as `user.displayName`."""
    column = columns.get(name) or columns.get(name.rsplit(".", 1)[-1])
    if column is None:
        raise Refused(f"cannot sort by {name[:60]!r}; this list can be sorted by {', '.join(columns)}")
    return column
