"""`page`, `size` and `sort` of an offset list.

The platform runs on Spring, which refuses no number here. A size below 1, or that is no number, is the default size,
and one that is too large the largest; a page that is no number is the first. Source: Spring Data's
PageableHandlerMethodArgumentResolver. A `sort` by an unknown property is refused.
"""

from __future__ import annotations

from collections.abc import Mapping

from ckfunc.emulator.http.calls import Call, whole_number
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.wire.dialects import camel

DEFAULT_SIZE = 25
LARGEST_SIZE = 2000


def page_request(call: Call, columns: Mapping[str, str], default: str = "id ASC") -> PageRequest:
    """Return the page that was asked for. Raises Refused.

    `columns` maps the names that the list can be sorted by, in camelCase, to SQL; `default` is the SQL order without
    `sort`. A list that is sorted by something else is then sorted by id, so that pages never overlap.
    """
    number = _integer(call.first("page")) or 0
    size = page_size(call)
    asked = call.every("sort")
    order = [term for one in asked for term in _terms(one, columns)]
    if not order:
        order = [default]
    tail = columns.get("id", "id")
    if not any(term.split(" ")[0] == tail for term in order):
        order.append(f"{tail} {order[-1].rsplit(' ', 1)[1]}")
    return PageRequest(number, size, ", ".join(order), tuple(("sort", one) for one in asked))


def page_size(call: Call) -> int:
    """Return how many items the page that was asked for has."""
    return min(_integer(call.first("size")) or DEFAULT_SIZE, LARGEST_SIZE)


def _integer(text: str | None) -> int:
    """Return a Java int as Spring reads it, with 0 for what is negative, too large or no number."""
    found = whole_number((text or "").removeprefix("+"))
    return found if found is not None and found < 2**31 else 0


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
