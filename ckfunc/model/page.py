"""Pages of lists, by offset or by cursor."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeVar

from ckfunc.base.frozen import frozen

Item_co = TypeVar("Item_co", covariant=True)


@frozen
class Page(Generic[Item_co]):
    """A page of an offset list; `number` counts from 0."""

    items: tuple[Item_co, ...]
    number: int
    size: int
    total_elements: int
    total_pages: int


class Relation(StrEnum):
    """The requested page, relative to the page of the cursor."""

    SELF = "SELF"
    PREVIOUS = "PREVIOUS"
    NEXT = "NEXT"


@frozen
class Cursor:
    """A position in a list that grows at its head: the ids of the first (`start`) and the last (`next`) row of a page.

    If both are None, it is the head of the list at the time of the request.
    """

    start: int | None = None
    next: int | None = None
    relation: Relation = Relation.SELF


@frozen
class CursorPage(Generic[Item_co]):
    """A page of a cursor list, newest first; `start` and `next` are None if it is empty."""

    items: tuple[Item_co, ...]
    size: int
    start: int | None
    next: int | None
    has_next: bool
