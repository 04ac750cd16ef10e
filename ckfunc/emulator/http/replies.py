"""What a handler answers with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ckfunc.emulator.http.calls import Call
from ckfunc.emulator.store.paging import PageRequest
from ckfunc.model.page import Page
from ckfunc.wire.links import write_page


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: a `document` in canonical spelling (None: no body), or `content` with its own `content_type`."""

    document: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    content_type: str | None = None


def page_reply(
    call: Call,
    name: str,
    page: Page[Any],
    items: list[Any],
    *,
    request: PageRequest,
    filters: tuple[tuple[str, str], ...] = (),
) -> Reply:
    """Return a page of already written `items` under `_embedded.name`, its links pointing at the list that was asked.

    `filters` are the list's own query parameters, kept in the links.
    """
    return Reply(write_page(name, page, items, call.links.href(call.path[1:]), (*filters, *request.query)))
