"""Paging, sorting and filtering of lists.

Offset lists take `page`, `size` and `sort`. The platform runs on Spring, which refuses no number here. A size below 1,
or that is no number, is the default size, and one that is too large the largest; a page that is no number is the first.
Source: Spring Data's PageableHandlerMethodArgumentResolver. A `sort` by an unknown property is refused.

Cursor lists take `start`, `next`, `size` and `relation`.

The platform documents that lists can be filtered by custom `properties`, and no format. Accepted here are `key:value`,
where the value is compared as text or as JSON (`level:3` finds 3 and "3"), and a JSON object that the properties must
contain (`{"level": 3}`). Several `properties` must all match.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar

from ckfunc.emulator.http.bodies import read_json
from ckfunc.emulator.http.calls import Call, Reply, whole_number
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store.database import Condition
from ckfunc.emulator.store.paging import CursorRequest, PageRequest, Sorting
from ckfunc.model.page import Cursor, CursorPage, Page, Relation
from ckfunc.wire.dialects import camel
from ckfunc.wire.links import Links, write_cursor_page, write_page

T = TypeVar("T")

Write: TypeAlias = Callable[[T, Links], Mapping[str, Any]]
"""Returns an item of a list as JSON."""

DEFAULT_SIZE = 25
LARGEST_SIZE = 2000

_FORMATS = "key:value or a JSON object"


def page_request(call: Call, sorting: Sorting) -> PageRequest:
    """Return the requested page of an offset list. Raises Refused."""
    terms = [term for sort in call.every("sort") for term in _terms(sort, sorting.columns)]
    return PageRequest(_integer(call.first("page")) or 0, page_size(call), sorting.order_by(terms))


def page_size(call: Call) -> int:
    """Return the requested number of items per page."""
    return min(_integer(call.first("size")) or DEFAULT_SIZE, LARGEST_SIZE)


def _integer(text: str | None) -> int:
    """Return a Java int as Spring reads it; 0 if it is negative, too large or not a number."""
    number = whole_number((text or "").removeprefix("+"))
    return number if number is not None and number < 2**31 else 0


def _terms(text: str, columns: Mapping[str, str]) -> list[str]:
    """Read one `sort`: `property`, `property,asc`, or several properties and a direction."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    direction = "ASC"
    if names and names[-1].lower() in ("asc", "desc"):
        direction = names.pop().upper()
    for name in names:
        if camel(name) not in columns:
            raise Refused(f"cannot sort by {name[:60]!r}; this list can be sorted by {', '.join(columns)}")
    return [f"{columns[camel(name)]} {direction}" for name in names]


def cursor_request(call: Call) -> CursorRequest:
    """Return the requested page of a cursor list. Raises Refused.

    Without a relation, `next` alone requests the page after it, as the page block's `next` suggests.
    """
    start, after = _position(call, "start"), _position(call, "next")
    relation = call.choice("relation", Relation)
    if relation is None:
        relation = Relation.NEXT if start is None and after is not None else Relation.SELF
    return CursorRequest(Cursor(start, after, relation), page_size(call))


def cursor_reply(
    call: Call, name: str, page: CursorPage[T], write: Write[T], filters: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """Return a page, each item written with `write`, under `_embedded.name`, with links to the requested cursor list.

    `filters` are the list's own query parameters, repeated in the links.
    """
    items = [write(item, call.links) for item in page.items]
    return Reply(write_cursor_page(name, page, items, call.links.href(call.path[1:]), filters))


def _position(call: Call, name: str) -> int | None:
    if not call.first(name):
        return None
    return call.number(name, 0, least=-(2**63), most=2**63 - 1)


def property_conditions(call: Call) -> tuple[Condition, ...]:
    """Return the conditions on properties that the query sets. Raises Refused."""
    return tuple(condition for text in call.every("properties") if text for condition in _conditions(text))


def _conditions(text: str) -> list[Condition]:
    if text.lstrip().startswith("{"):
        try:
            document: Any = read_json(text.encode("utf-8", "replace"), None)
        except Refused as error:
            reason = error.explanation.replace("the body", "it", 1)
            raise Refused(f"query parameter 'properties' is not {_FORMATS}: {reason}") from None
        return [Condition(name, (value,)) for name, value in document.items()]
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise Refused(f"query parameter 'properties' is {text[:60]!r}, not {_FORMATS}")
    try:
        alternatives: tuple[Any, ...] = (value, json.loads(value))
    except (ValueError, RecursionError):
        alternatives = (value,)
    return [Condition(name.strip(), alternatives)]


def page_reply(
    call: Call, name: str, page: Page[T], write: Write[T], filters: tuple[tuple[str, str], ...] = (), href: str = ""
) -> Reply:
    """Return a page, each item written with `write`, under `_embedded.name`, with links to the requested offset list.

    `filters` are the list's own query parameters, repeated in the links. `href` is its URL if it is not below the
    application.
    """
    items = [write(item, call.links) for item in page.items]
    query = (*filters, *(("sort", sort) for sort in call.every("sort")))
    return Reply(write_page(name, page, items, href or call.links.href(call.path[1:]), query))
