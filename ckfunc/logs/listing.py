"""Read a function's invocations, newest first, while rows are added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ckfunc.model.function import Invocation
from ckfunc.model.page import Page

if TYPE_CHECKING:
    from ckfunc.api import Client

# How often the search for a row may change direction before it is postponed.
_TURNS = 4


class InvocationListing:
    """The invocations of a function. Requests ask for the newest first.

    A platform that returns the oldest first anyway is detected by its first page, and read from its last page.
    """

    def __init__(self, client: Client, function_id: int) -> None:
        self._client = client
        self._function_id = function_id
        self._ascending = False
        self.total = 0
        """The number of rows when a page was last read."""

    def windows(self, size: int) -> Iterator[list[Invocation]]:
        """Yield all rows in windows of at most `size`, newest first.

        Rows that are added during the iteration move others to older pages, so a row may be repeated, but none is
        skipped.
        """
        number, page = self._newest(size)
        while page.items:
            yield sorted(page.items, key=lambda row: row.id, reverse=True)
            number += self._older
            if not 0 <= number < page.total_pages:
                return
            page = self._page(number, size)

    def find(self, ids: Sequence[int], offset: int, size: int) -> Iterator[tuple[int, Invocation | None]]:
        """Yield each of `ids` (ascending) with its row, or with None if the list no longer has it.

        `offset` is an estimate of how many rows are newer than the first id. An id that cannot be located, because rows
        keep moving, is not yielded.
        """
        waiting = list(reversed(ids))
        number = max(self.total - 1 - offset, 0) // size if self._ascending else offset // size
        turns, last_step = 0, 0
        while waiting and turns <= _TURNS:
            page = self._page(number, size)
            last = max(page.total_pages - 1, 0)
            rows = {row.id: row for row in page.items}
            if not rows and number <= last:
                yield from ((row_id, None) for row_id in reversed(waiting))
                return
            if not rows:
                number, turns = last, turns + 1
                continue
            low, high = min(rows), max(rows)
            at_oldest = not 0 <= number + self._older <= last
            while waiting and (low <= waiting[-1] <= high or (waiting[-1] < low and at_oldest)):
                found = waiting.pop()
                turns = 0
                yield found, rows.get(found)
            if waiting:
                step = self._older if waiting[-1] < low else -self._older
                turns += step == -last_step
                number, last_step = number + step, step
                if not 0 <= number <= last:
                    return

    @property
    def _older(self) -> int:
        """The step from a page number to that of the next older page."""
        return -1 if self._ascending else 1

    def _newest(self, size: int) -> tuple[int, Page[Invocation]]:
        """Read the page with the newest rows."""
        if not self._ascending:
            page = self._page(0, size)
            ids = [row.id for row in page.items]
            if page.total_pages < 2 or len(ids) < 2 or ids[0] > ids[-1]:
                return 0, page
            self._ascending = True
        number = max(self.total - 1, 0) // size
        page = self._page(number, size)
        # Rows may be added faster than pages are read, so this is limited; the next round reads the rest.
        for _ in range(_TURNS):
            last = max(page.total_pages - 1, 0)
            if number == last:
                break
            number, page = last, self._page(last, size)
        return number, page

    def _page(self, number: int, size: int) -> Page[Invocation]:
        page = self._client.invocations(self._function_id, page=number, size=size, sort="id,desc")
        self.total = page.total_elements
        return page
