"""Pages of lists, by offset and by cursor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

Item_co = TypeVar("Item_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item_co]):
    """One page of an offset list; `number` counts from 0."""

    items: tuple[Item_co, ...]
    number: int
    size: int
    total_elements: int
    total_pages: int


class Relation(StrEnum):
    """Which page a request wants, seen from the page that its cursor names."""

    SELF = "SELF"
    PREVIOUS = "PREVIOUS"
    NEXT = "NEXT"


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list that grows at its head: the first row of a page (`start`) and its last one (`next`).

    None and None is the head of the list, as it is when the page is read.
    """

    start: int | None = None
    next: int | None = None
    relation: Relation = Relation.SELF


@dataclass(frozen=True, slots=True)
class CursorPage(Generic[Item_co]):
    """One page of a cursor list, newest first; `start` and `next` are None when it is empty."""

    items: tuple[Item_co, ...]
    size: int
    start: int | None
    next: int | None
    has_next: bool
