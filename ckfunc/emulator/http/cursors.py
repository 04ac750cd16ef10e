"""How `start`, `next`, `size` and `relation` of a cursor list are read, and its page answered."""

from __future__ import annotations

from typing import Any

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.http.paging import page_size
from ckfunc.emulator.http.problems import Refused
from ckfunc.emulator.http.replies import Reply
from ckfunc.emulator.store.paging import CursorRequest
from ckfunc.model.page import Cursor, CursorPage, Relation
from ckfunc.wire.links import write_cursor_page


def cursor_request(call: Call) -> CursorRequest:
    """Return the page that was asked for. Raises Refused.

    Without a relation a lone `next` means the page after it, as the page block's `next` suggests.
    """
    start, after = _position(call, "start"), _position(call, "next")
    relation = call.first("relation")
    if relation is None or relation == "":
        wanted = Relation.NEXT if start is None and after is not None else Relation.SELF
    else:
        try:
            wanted = Relation(relation.upper())
        except ValueError:
            allowed = ", ".join(Relation)
            raise Refused(f"query parameter 'relation' is {relation[:60]!r}, not one of {allowed}") from None
    return CursorRequest(Cursor(start, after, wanted), page_size(call))


def cursor_reply(
    call: Call, name: str, page: CursorPage[Any], items: list[Any], filters: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """Return a page of already written `items` under `_embedded.name`, its links pointing at the list that was asked.

    `filters` are the list's own query parameters, kept in the links.
    """
    return Reply(write_cursor_page(name, page, items, call.links.href(call.path[1:]), filters))


def _position(call: Call, name: str) -> int | None:
    if not call.first(name):
        return None
    return call.number(name, 0, least=-(2**63), most=2**63 - 1)
