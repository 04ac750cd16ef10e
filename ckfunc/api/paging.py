"""How a list is read whole, page by page, by number, whatever page size the platform grants."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from ckfunc.base.errors import UnreadableAnswer
from ckfunc.model.page import Page


class _Numbered(Protocol):
    @property
    def id(self) -> int: ...


Item = TypeVar("Item", bound=_Numbered)


def every(fetch: Callable[[int], Page[Item]], what: str) -> Iterator[Item]:
    """Yield every item of a list once; `fetch` reads the page of a number, from 0.

    Items that move between pages while these are read are not repeated. Raises UnreadableAnswer when the list never
    becomes whole: better no list than a part of one.
    """
    seen: set[int] = set()
    number = 0
    while True:
        page = fetch(number)
        fresh = [item for item in page.items if item.id not in seen]
        seen.update(item.id for item in fresh)
        yield from fresh
        number += 1
        if number >= page.total_pages:
            return
        if not fresh:
            raise UnreadableAnswer(
                f"{what}: page {number} of {page.total_pages} holds nothing new, so the list cannot be read whole",
                hint="try again; if it stays so, the platform's paging is at fault",
            )
